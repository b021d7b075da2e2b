"""Puts the table macros that analysts call into a mart."""

import duckdb

import sql

MACROS: tuple[str, ...] = (
    "top_suspects",
    "explain_account",
    "explain_campaign",
    "ranking_snapshot",  # used by changed_since
    "changed_since",
)


def install_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates or replaces the macros of sql/macros with their comments. The relations must exist."""
    for name in MACROS:
        connection.execute(sql.load(f"macros/{name}.sql"))
