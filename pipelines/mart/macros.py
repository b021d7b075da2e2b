"""Puts the table macros that analysts call into a mart."""

import duckdb

import sql
from pipelines.mart.words import reason_words
from schemas.describe import literal

MACROS: tuple[str, ...] = (
    "top_suspects",
    "explain_account",
    "explain_campaign",
    "ranking_snapshot",  # used by changed_since
    "changed_since",
)


def install_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates or replaces the macros of sql/macros with their comments. The relations must exist."""
    connection.execute(_reason_in_words())
    for name in MACROS:
        connection.execute(sql.load(f"macros/{name}.sql"))


def _reason_in_words() -> str:
    """The macro that the explanations and analysts use: a reason's name to what it says, NULL for no reason's name."""
    words = ", ".join(f"{literal(reason)}: {literal(says)}" for reason, says in reason_words().items())
    return f"""
        CREATE OR REPLACE MACRO reason_in_words(reason) AS (MAP {{{words}}})[reason];
        COMMENT ON MACRO reason_in_words IS 'What a reason of account_reasons or campaign_reasons says, in words.';
    """
