"""The labels' inbox: a small DuckDB file beside the mart into which analysts insert verdicts by SQL.

    ATTACH 'mart.duckdb.inbox' AS inbox;
    INSERT INTO inbox.labels (subject_kind, subject_id, verdict, author, reason)
    VALUES ('account', 'acct-0042', 'false_positive', 'ana', 'university class');
    DETACH inbox;

Each ranking takes the rows over into the labels. The table refuses unknown verdicts at once. DuckDB lets one
process write at a time: while an analyst is attached the rows wait for the next ranking, and nobody fails.
Not here: what a label does.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.errors import ScarecrowError
from pipelines.mart.labels import Verdict, append, read_labels
from schemas.describe import literal
from schemas.mart import SUBJECTS, VERDICTS


@dataclass(frozen=True)
class Taken:
    """What a look into the inbox gave. is_busy: somebody is attached, the rows wait."""

    labels: int
    is_busy: bool


def inbox_file(mart: Path) -> Path:
    """Where the inbox of a mart is."""
    return mart.with_name(f"{mart.name}.inbox")


def _ddl() -> str:
    def one_of(values: tuple[str, ...]) -> str:
        return ", ".join(literal(value) for value in values)

    return f"""
    CREATE TABLE IF NOT EXISTS labels (
        subject_kind VARCHAR NOT NULL CHECK (subject_kind IN ({one_of(SUBJECTS)})),
        subject_id VARCHAR NOT NULL CHECK (length(subject_id) > 0),
        verdict VARCHAR NOT NULL CHECK (verdict IN ({one_of(VERDICTS)})),
        author VARCHAR NOT NULL CHECK (length(author) > 0),
        reason VARCHAR NOT NULL CHECK (length(reason) > 0),
        "at" TIMESTAMPTZ NOT NULL DEFAULT current_timestamp,
        until TIMESTAMPTZ,
        entry UUID NOT NULL DEFAULT gen_random_uuid()
    );
    COMMENT ON TABLE labels IS 'Verdicts that the next ranking takes over; rows vanish once they are taken.';
    COMMENT ON COLUMN labels.until IS 'how long it holds; null for good';
    COMMENT ON COLUMN labels.entry IS 'leave it out: it makes sure that a row is taken once';
    """


def make_inbox(mart: Path) -> None:
    """Make the inbox unless it is there. Does nothing while somebody is attached."""
    path = inbox_file(mart)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with duckdb.connect(str(path)) as connection:
            connection.execute(_ddl())
    except duckdb.IOException:
        return  # another process makes it at this moment


def _is_empty(path: Path) -> bool:
    with duckdb.connect(str(path), read_only=True) as connection:
        try:
            return connection.execute("SELECT count(*) FROM labels").fetchone() == (0,)
        except duckdb.CatalogException:
            return False  # whoever made it was killed before its table


def take_inbox(mart: Path) -> Taken:
    """Move the rows of the inbox to the labels: each exactly once, in order of time, whoever is killed when.

    An inbox without rows is not written, for its time of change tells schedules that somebody has labelled.
    """
    path = inbox_file(mart)
    if not path.exists():
        return Taken(0, False)
    try:
        if _is_empty(path):
            return Taken(0, False)
        connection = duckdb.connect(str(path))
    except duckdb.IOException as error:
        if "lock" in str(error):
            return Taken(0, True)
        raise ScarecrowError(
            f"inbox {path} cannot be read ({str(error).splitlines()[0]}); move it away, a new one is made"
        ) from error
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(_ddl())
        rows = connection.execute(
            'SELECT subject_kind, subject_id, verdict, author, reason, epoch_ms("at"), epoch_ms(until), entry::VARCHAR '
            'FROM labels ORDER BY "at", entry'
        ).fetchall()
        known = {verdict.entry for verdict in read_labels(mart)} if rows else set()
        fresh = [Verdict(*row) for row in rows if row[-1] not in known]
        append(mart, fresh)
        # Only what was read and is on disk by now: a row that came in between stays.
        connection.executemany(
            "DELETE FROM labels WHERE entry = ?::UUID", [[row[-1]] for row in rows]
        ) if rows else None
    finally:
        connection.close()
    return Taken(len(fresh), False)
