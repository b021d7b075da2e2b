"""Builds a mart beside the one in force and swaps it in: readers never wait and never see half a ranking.

Belongs here: running `sql/` over staged tables, auditing, publishing. Not here: what the tables hold.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

import sql
from pipelines.errors import ScarecrowError
from pipelines.mart.macros import install_macros
from schemas.mart import MART

STAGED: Final = (
    "accounts", "campaigns", "members", "account_reasons", "campaign_reasons", "links", "profiles", "activity",
    "labels", "sources", "runs", "history",
)  # fmt: skip
"""Tables that the models read, each as view `staged_<name>`."""

_STAGING: Final = ("labels_in_force", "known_before")
_ORDER: Final = (
    "suspect_accounts", "account_activity", "account_profiles", "suspect_campaigns", "campaign_members",
    "account_reasons", "campaign_reasons", "account_links", "labels", "sources", "runs", "ranking_history",
)  # fmt: skip
"""Models in the order in which they need each other; each fills the relation of its name."""


def draft_path(mart: Path) -> Path:
    """Where the next mart is built."""
    return mart.with_name(f".{mart.name}.draft")


def build(draft: Path, staged: Mapping[str, pa.Table]) -> None:
    """Write a mart file from the staged tables (every name of STAGED)."""
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    connection = duckdb.connect(str(draft))
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for relation in MART:
            connection.execute(relation.ddl())
        install_macros(connection)
        for name in STAGED:
            connection.register(f"staged_{name}", staged[name])
        for name in _STAGING:
            connection.execute(f"CREATE TEMP TABLE {name} AS {sql.load(f'staging/{name}.sql')}")
        for name in _ORDER:
            connection.execute(f"INSERT INTO {name} BY NAME {sql.load(f'marts/{name}.sql')}")
        for name in STAGED:
            connection.unregister(f"staged_{name}")
        connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise ScarecrowError(
            f"mart {draft} cannot be built ({str(error).splitlines()[0]}); the one in force stays as it is"
        ) from error
    finally:
        connection.close()


def audit(draft: Path) -> dict[str, int]:
    """Rows that each audit of `sql/audits` returns; all are 0 in a sound mart."""
    with duckdb.connect(str(draft), read_only=True) as connection:
        found = {}
        for name in sql.listed("audits"):
            counted = connection.execute(
                f"SELECT count(*) FROM ({sql.load(name).rstrip().rstrip(';')})"
            ).fetchall()
            found[Path(name).stem] = int(counted[0][0])
    return found


def publish(draft: Path, mart: Path) -> None:
    """Replace the mart in force, atomically and durably."""
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, mart)
