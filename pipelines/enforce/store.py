"""What is in force and every version of it: one SQLite file beside the mart.

The file of the feed and the compacted topic are made from here; whoever dies between writes them again.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipelines.enforce.actions import Entry
from pipelines.errors import ScarecrowError

_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE entries (key TEXT PRIMARY KEY, row TEXT NOT NULL)",
    # row is null where an action ended.
    "CREATE TABLE history (version INTEGER NOT NULL, at_ms INTEGER NOT NULL, key TEXT NOT NULL, row TEXT,"
    " PRIMARY KEY (version, key))",
    "CREATE TABLE published (topic TEXT PRIMARY KEY, version INTEGER NOT NULL)",
    "CREATE TABLE progress (version INTEGER NOT NULL, as_of_ms INTEGER NOT NULL)",
    "INSERT INTO progress VALUES (0, -1)",
)


def store_file(mart: Path) -> Path:
    """Where the actions of a mart are kept."""
    return mart.with_name(f"{mart.name}.enforce.sqlite")


@contextmanager
def opened(mart: Path) -> Iterator["Store"]:
    """The store, for one writer at a time. Raises ScarecrowError when it is damaged or from a later version."""
    path = store_file(mart)
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        try:
            yield Store(connection, path)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ScarecrowError(
            f"The actions in {path} cannot be used ({error}); free space or restore it from a backup."
        ) from error


class Store:
    """Open store. `update` is one durable transaction from reading to writing."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with self.transaction():
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
        if version not in (0, _VERSION):
            raise ScarecrowError(f"The actions in {path} are of a later version of Scarecrow; upgrade.")
        path.chmod(0o600)  # it names suspects

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside, or nothing; other writers wait."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def in_force(self) -> dict[str, Entry]:
        """Entries by key."""
        return {
            key: Entry(**json.loads(row)) for key, row in self._db.execute("SELECT key, row FROM entries")
        }

    def progress(self) -> tuple[int, int]:
        """Version of the feed, and the newest ranking graded (epoch ms; -1 before the first)."""
        version, as_of_ms = self._db.execute("SELECT version, as_of_ms FROM progress").fetchone()
        return int(version), int(as_of_ms)

    def update(self, entries: Sequence[Entry], as_of_ms: int, now_ms: int) -> int:
        """Puts entries in force and notes what changed; returns the number of changes. Inside a transaction."""
        before = self.in_force()
        version = self.progress()[0] + 1
        changed: dict[str, Entry | None] = {}
        for entry in entries:
            held = before.pop(entry.key, None)
            if held is None or replace(held, version=0) != replace(entry, version=0):
                changed[entry.key] = replace(entry, version=version)
        changed |= dict.fromkeys(before)
        if changed:
            self._write(changed, version, now_ms)
        # A mart restored from a backup must not turn the clock back.
        self._db.execute("UPDATE progress SET as_of_ms = max(as_of_ms, ?)", (as_of_ms,))
        return len(changed)

    def _write(self, changed: Mapping[str, Entry | None], version: int, now_ms: int) -> None:
        for key, entry in changed.items():
            row = None if entry is None else json.dumps(entry.row())
            self._db.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (version, now_ms, key, row))
            if row is None:
                self._db.execute("DELETE FROM entries WHERE key = ?", (key,))
            else:
                self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, row))
        self._db.execute("UPDATE progress SET version = ?", (version,))

    def unpublished(self, topic: str) -> tuple[int, dict[str, str | None]]:
        """The version to note when done, and the newest row (null: ended) of each key that the topic lacks."""
        found = self._db.execute("SELECT version FROM published WHERE topic = ?", (topic,)).fetchone()
        since = found[0] if found else 0
        rows = self._db.execute("SELECT key, row FROM history WHERE version > ? ORDER BY version", (since,))
        return self.progress()[0], dict(rows.fetchall())

    def note_published(self, topic: str, version: int) -> None:
        """The topic has everything up to a version."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO published VALUES (?, ?)", (topic, version))
