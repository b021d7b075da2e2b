"""Builds a mart beside the one in force and swaps it in: readers never wait and never see half a ranking.

Belongs here: running `sql/` over staged tables, auditing, publishing. Not here: what the tables hold.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

import sql
from pipelines.errors import ScarecrowError
from pipelines.mart import audit_log
from pipelines.mart.audit_log import Change
from pipelines.mart.macros import install_macros
from pipelines.mart.models import MODELS, STAGED, STAGING
from pipelines.mart.open import reader
from pipelines.replacing import sync
from schemas.mart import MART, RANKINGS_KEPT

MEMORY: Final = "2GB"
"""What DuckDB may hold while a mart is built; what is sorted beyond it goes to a folder beside the draft."""


def open_draft(draft: Path, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to a draft that holds MEMORY at most, times in UTC."""
    connection = duckdb.connect(str(draft), read_only, {"memory_limit": MEMORY})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def build(draft: Path, staged: Mapping[str, pa.Table | Path]) -> None:
    """Write a mart file from the staged tables (every name of `models.STAGED`), in memory or in Parquet files."""
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    connection = open_draft(draft)
    try:
        for relation in MART:
            connection.execute(relation.ddl())
        install_macros(connection)
        for name in STAGED:
            table = staged[name]
            found = connection.read_parquet(str(table)) if isinstance(table, Path) else table
            connection.register(f"staged_{name}", found)
        for name in STAGING:
            connection.execute(f"CREATE TEMP TABLE {name} AS {sql.load(f'staging/{name}.sql')}")
        for name in MODELS:
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


def record_changes(draft: Path, trail: Sequence[Change], as_of_ms: int) -> list[Change]:
    """Changes of states that the draft makes against the trail; they are in its audit_log from here on."""
    with open_draft(draft) as connection:
        changes = audit_log.state_changes(connection, trail, as_of_ms)
        connection.register("made", audit_log.as_table(changes))
        connection.execute("INSERT INTO audit_log BY NAME SELECT * FROM made")
        connection.unregister("made")
    return changes


def audit(draft: Path) -> dict[str, int]:
    """Rows that each audit of `sql/audits` returns; all are 0 in a sound mart."""
    with open_draft(draft, read_only=True) as connection:
        found = {}
        for name in sql.listed("audits"):
            counted = connection.execute(
                f"SELECT count(*) FROM ({sql.load(name).rstrip().rstrip(';')})"  # noqa: S608
            ).fetchall()
            found[Path(name).stem] = int(counted[0][0])
    return found


def row_counts(draft: Path) -> dict[str, int]:
    """Rows of every relation."""
    with open_draft(draft, read_only=True) as connection:
        return {
            relation.name: int(connection.table(relation.name).count("*").fetchall()[0][0])
            for relation in MART
        }


def as_of(mart: Path) -> int | None:
    """End of the horizon of a mart, epoch milliseconds; None where there is no mart.

    Raises ScarecrowError for a file that is no mart.
    """
    if not mart.exists():
        return None
    try:
        with reader(str(mart)) as connection:
            found = connection.execute("SELECT epoch_ms(max(as_of)) FROM runs").fetchall()
    except duckdb.Error as error:
        raise ScarecrowError(
            f"mart {mart} cannot be read ({str(error).splitlines()[0]}); move it away to rank without its history"
        ) from error
    return None if found[0][0] is None else int(found[0][0])


@dataclass(frozen=True)
class Made:
    """What a mart was made of. basis: lake version and settings hash. published_ms: when, epoch milliseconds."""

    as_of_ms: int
    basis: tuple[int, str]
    published_ms: int


def last_run(mart: Path) -> Made | None:
    """What the mart in force was made of; None where there is no mart. Raises ScarecrowError as `as_of` does."""
    end = as_of(mart)
    if end is None:
        return None
    with reader(str(mart)) as connection:
        found = connection.execute(
            "SELECT lake_version, settings_hash FROM runs ORDER BY as_of DESC LIMIT 1"
        ).fetchall()
    return Made(end, (int(found[0][0]), str(found[0][1])), mart.stat().st_mtime_ns // 1_000_000)


def publish(draft: Path, mart: Path, changes: Sequence[Change] = (), replace: bool = False) -> bool:
    """Put a checked draft in force, atomically and durably; the draft is gone afterwards.

    A draft whose horizon ends before that of the mart in force does not replace it unless `replace` says so: then
    only its places in the ranking go into ranking_history. changes: what the audit trail gets. Returns whether the
    draft is in force.
    """
    with _turn(mart):
        newest, ours = as_of(mart), as_of(draft)
        if newest is not None and ours is not None and ours < newest and not replace:
            _add_history(mart, draft)
            draft.unlink()
            return False
        if newest is not None:
            # Another ranking may have been published since this one read the history.
            _merge_history(draft, mart)
        audit_log.append(mart, changes)
        _swap(draft, mart)
        return True


@contextmanager
def _turn(mart: Path) -> Iterator[None]:
    """Publishing of one mart, one process at a time."""
    with mart.with_name(f".{mart.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _add_history(mart: Path, other: Path) -> None:
    copy = other.with_name(f"{other.name}.copy")
    shutil.copyfile(mart, copy)
    _merge_history(copy, other, replaced=as_of(other))
    _swap(copy, mart)


def _merge_history(target: Path, other: Path, replaced: int | None = None) -> None:
    """Rankings of `other` that `target` does not know, in its history. replaced: as_of that is taken over anyway."""
    with duckdb.connect(str(target)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("ATTACH ? AS other (READ_ONLY)", [str(other)])
        connection.execute("BEGIN")
        connection.execute("DELETE FROM ranking_history WHERE epoch_ms(as_of) = ?", [replaced])
        connection.execute(
            """
            INSERT INTO ranking_history BY NAME
            SELECT * FROM other.ranking_history
            WHERE as_of NOT IN (SELECT as_of FROM ranking_history) AND (?::BIGINT IS NULL OR epoch_ms(as_of) = ?)
            ORDER BY as_of, subject_kind, rank""",
            [replaced, replaced],
        )
        connection.execute(
            """
            DELETE FROM ranking_history WHERE as_of NOT IN (
                SELECT as_of FROM (SELECT DISTINCT as_of FROM ranking_history) ORDER BY as_of DESC LIMIT ?
            )""",
            [RANKINGS_KEPT],
        )
        connection.execute("COMMIT")
        connection.execute("DETACH other")


def _swap(draft: Path, mart: Path) -> None:
    sync(draft)
    os.replace(draft, mart)
    sync(mart.parent)
