"""The outbox: what was told and what still has to get there, in one SQLite file beside the mart.

Transactional outbox: the decision to tell and the messages that tell it are one transaction, so that a
process killed anywhere either has decided (and the messages wait here) or has not (and the next run decides
the same). A message leaves only when its channel took it; one whose outcome is unknown is sent again under
the same key. Here: tables and transactions. Not here: rules, formats, sending. Secrets are never stored.
"""

import fcntl
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.alerts.notice import Digest, Mention, Notice, delivery_key, from_json, to_json
from pipelines.alerts.rules import DAY_MS, Decision, Known, Telling
from pipelines.errors import ScarecrowError
from pipelines.mart.rows import Kind

_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE subjects (
    kind TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL, is_open INTEGER NOT NULL,
    told_score REAL NOT NULL, told_accounts INTEGER NOT NULL, told_at_ms INTEGER NOT NULL,
    missed INTEGER NOT NULL, PRIMARY KEY (kind, id)
);
CREATE TABLE events (
    at_ms INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL,
    event TEXT NOT NULL, score REAL NOT NULL, PRIMARY KEY (kind, id, generation)
);
CREATE TABLE held (
    day INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, why TEXT NOT NULL,
    score REAL NOT NULL, PRIMARY KEY (day, kind, id)
);
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, uid TEXT NOT NULL, channel TEXT NOT NULL,
    body TEXT NOT NULL, created_ms INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    settled_ms INTEGER, said TEXT
);
CREATE INDEX waiting ON messages (channel, seq) WHERE state = 'waiting';
CREATE TABLE progress (as_of_ms INTEGER NOT NULL, digest_day INTEGER NOT NULL, digest_ms INTEGER NOT NULL);
INSERT INTO progress VALUES (-1, -1, 0);
"""


@dataclass(frozen=True)
class Message:
    """A message that waits. attempts: tries begun, by this process or one that died in the middle."""

    key: str
    uid: str
    channel: str
    notice: Notice
    created_ms: int
    attempts: int


def outbox_file(mart: Path) -> Path:
    """Where the outbox of a mart is."""
    return mart.with_name(f"{mart.name}.alerts.sqlite")


@contextmanager
def opened(mart: Path, wait_seconds: float = 60.0) -> Iterator["Outbox"]:
    """The outbox of a mart, held by one process at a time.

    Raises ScarecrowError when another process holds it for longer than the wait, and when the file is damaged
    or made by a later version.
    """
    path = outbox_file(mart)
    with path.with_name(path.name + ".lock").open("w") as lock:
        _lock(lock.fileno(), path, wait_seconds)
        try:
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                yield Outbox(connection, path)
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise ScarecrowError(
                f"The outbox {path} cannot be used ({error}); free space or restore it from a backup."
            ) from error


def _lock(descriptor: int, path: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ScarecrowError(
                    f"The outbox {path} is in use by another process; wait for it to end."
                ) from None
            time.sleep(0.05)


class Outbox:
    """An open outbox. Every method that writes is one durable transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        connection.execute("PRAGMA journal_mode = WAL")
        # WAL alone would keep the file sound but could lose the last commits in a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self._transaction():
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            path.chmod(0o600)  # it names suspects
        elif version != _VERSION:
            raise ScarecrowError(
                f"The outbox {path} was made by a later version of Scarecrow ({version}); upgrade."
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def as_of_ms(self) -> int:
        """The newest ranking that was decided on; -1 before the first."""
        return int(self._db.execute("SELECT as_of_ms FROM progress").fetchone()[0])

    def known(self) -> dict[tuple[Kind, str], Known]:
        """What was told, by subject."""
        rows = self._db.execute(
            "SELECT kind, id, generation, is_open, told_score, told_accounts, told_at_ms, missed"
            " FROM subjects"
        )
        return {(r[0], r[1]): Known(r[0], r[1], r[2], bool(r[3]), *r[4:]) for r in rows}

    def told_on(self, day: int) -> int:
        """Openings and re-alerts of a day (days since 1970, UTC)."""
        row = self._db.execute(
            "SELECT count(*) FROM events WHERE event <> 'resolved' AND at_ms >= ? AND at_ms < ?",
            (day * DAY_MS, (day + 1) * DAY_MS),
        ).fetchone()
        return int(row[0])

    def record(
        self,
        decision: Decision,
        notices: Sequence[Notice],
        channels: Sequence[str],
        as_of_ms: int,
        now_ms: int,
    ) -> None:
        """The decision on a ranking and a message per notice and channel, all or nothing."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO subjects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        k.kind,
                        k.id,
                        k.generation,
                        k.is_open,
                        k.told_score,
                        k.told_accounts,
                        k.told_at_ms,
                        k.missed,
                    )
                    for k in decision.known
                ],
            )
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        now_ms,
                        t.kind,
                        t.id,
                        t.generation,
                        t.event,
                        _score(t),
                    )
                    for t in decision.tell
                ],
            )
            day = now_ms // DAY_MS
            self._db.executemany(
                "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?)",
                [(day, h.finding.kind, h.finding.id, h.event, h.why, h.finding.score) for h in decision.held],
            )
            self._db.executemany(
                "DELETE FROM held WHERE day = ? AND kind = ? AND id = ?",
                [(day, t.kind, t.id) for t in decision.tell],
            )
            self._put(notices, channels, now_ms)
            self._db.execute("UPDATE progress SET as_of_ms = ?", (as_of_ms,))

    def _put(self, notices: Sequence[Notice], channels: Sequence[str], now_ms: int) -> None:
        self._db.executemany(
            "INSERT INTO messages (key, uid, channel, body, created_ms, state, attempts)"
            " VALUES (?, ?, ?, ?, ?, 'waiting', 0)",
            [(delivery_key(n, c), n.uid, c, to_json(n), now_ms) for n in notices for c in channels],
        )

    def digest(self, now_ms: int) -> Digest:
        """What happened since the last digest."""
        (since,) = self._db.execute("SELECT digest_ms FROM progress").fetchone()
        day = now_ms // DAY_MS
        told = self._db.execute(
            "SELECT event, kind, id, score FROM events WHERE at_ms > ? AND at_ms <= ?"
            " ORDER BY score DESC, kind, id",
            (since, now_ms),
        )
        held = self._db.execute(
            "SELECT event, kind, id, score, why FROM held WHERE day >= ? ORDER BY score DESC, kind, id",
            (since // DAY_MS if since else 0,),
        )
        (is_open,) = self._db.execute("SELECT count(*) FROM subjects WHERE is_open").fetchone()
        (waiting,) = self._db.execute("SELECT count(*) FROM messages WHERE state = 'waiting'").fetchone()
        (lost,) = self._db.execute(
            "SELECT count(*) FROM messages WHERE state = 'given_up' AND settled_ms > ?", (since,)
        ).fetchone()
        mentions = [Mention(*row) for row in held]
        return Digest(
            day, self.as_of_ms(), now_ms, [Mention(*row) for row in told], mentions, is_open, waiting, lost
        )

    def digest_day(self) -> int:
        """The day of the last digest; -1 before the first."""
        return int(self._db.execute("SELECT digest_day FROM progress").fetchone()[0])

    def record_digest(self, digest: Digest, channels: Sequence[str]) -> None:
        """The digest's messages, and that this day has had its digest."""
        with self._transaction():
            self._put([digest], channels, digest.told_at_ms)
            self._db.execute(
                "UPDATE progress SET digest_day = ?, digest_ms = ?", (digest.day, digest.told_at_ms)
            )

    def skip_digest(self, now_ms: int) -> None:
        """Digests begin on the next day; the first one covers all from the start."""
        with self._transaction():
            self._db.execute("UPDATE progress SET digest_day = ?", (now_ms // DAY_MS,))

    def waiting(self, channel: str) -> list[Message]:
        """Messages of a channel that have not got there, the oldest first."""
        rows = self._db.execute(
            "SELECT key, uid, channel, body, created_ms, attempts FROM messages"
            " WHERE state = 'waiting' AND channel = ? ORDER BY seq",
            (channel,),
        )
        return [Message(r[0], r[1], r[2], from_json(r[3]), r[4], r[5]) for r in rows.fetchall()]

    def begin(self, key: str) -> None:
        """A try begins: whoever comes after a crash knows that its outcome is unknown."""
        with self._transaction():
            self._db.execute("UPDATE messages SET attempts = attempts + 1 WHERE key = ?", (key,))

    def sent(self, key: str, now_ms: int, said: str | None = None) -> None:
        """The channel has the message."""
        self._settle(key, "sent", now_ms, said)

    def failed(self, key: str, said: str) -> None:
        """The channel did not take it; it waits for the next run."""
        self._settle(key, "waiting", None, said)

    def give_up(self, key: str, now_ms: int, said: str) -> None:
        """The message is too old to be of use."""
        self._settle(key, "given_up", now_ms, said)

    def _settle(self, key: str, state: str, at_ms: int | None, said: str | None) -> None:
        with self._transaction():
            self._db.execute(
                "UPDATE messages SET state = ?, settled_ms = ?, said = ? WHERE key = ?",
                (state, at_ms, said, key),
            )

    def forget(self, before_ms: int) -> None:
        """Drop settled messages, events and held lines from before a moment; what is open stays."""
        with self._transaction():
            self._db.execute("DELETE FROM messages WHERE state <> 'waiting' AND settled_ms < ?", (before_ms,))
            self._db.execute("DELETE FROM events WHERE at_ms < ?", (before_ms,))
            self._db.execute("DELETE FROM held WHERE day < ?", (before_ms // DAY_MS,))


def _score(telling: Telling) -> float:
    if telling.finding is not None:
        return telling.finding.score
    return telling.before.told_score if telling.before is not None else 0.0
