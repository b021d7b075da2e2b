"""The registry: which account was given which answer, as sketches in a SQLite file.

An answer without an account is a control: made like the others and given to nobody, it tells how often an
answer is found by accident. Accounts are kept by name, texts never.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from pipelines.canary.sketch import shingle_hashes
from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.hashing import key_fingerprint

MOST: Final = 512
"""Shingles kept of an answer: the smallest hashes."""
_SCHEMA: Final = (
    "CREATE TABLE meta (key_fingerprint TEXT NOT NULL)",
    "CREATE TABLE answers (id INTEGER PRIMARY KEY, account TEXT, digest TEXT NOT NULL,"
    " registered_ms INTEGER NOT NULL, shingles BLOB NOT NULL, UNIQUE (account, digest))",
)
_LONGEST_LINE: Final = 4 << 20


@dataclass(frozen=True)
class Given:
    """An answer as it was given. account_id None: a control. text is hashed and let go."""

    account_id: str | None
    text: str


@dataclass(frozen=True)
class Answer:
    """A registered answer. shingles: int64[m], ascending."""

    account_id: str | None
    shingles: NDArray[np.int64]


@dataclass(frozen=True)
class Registered:
    """answers: new ones. known: repeats of registered ones. short: under eight tokens, not kept."""

    answers: int
    known: int
    short: int


@contextmanager
def opened(path: Path, key: bytes, make: bool) -> Iterator[sqlite3.Connection]:
    """The registry. Raises UsageError when there is none, ScarecrowError for a damaged one or another
    secret's.
    """
    if not make and not path.is_file():
        raise UsageError(f"The registry {path} does not exist; make it with `scarecrow canary register`.")
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                connection.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES (?)", (key_fingerprint(key),))
                connection.execute("PRAGMA user_version = 1")
                connection.execute("COMMIT")
                path.chmod(0o600)
            (found,) = connection.execute("SELECT key_fingerprint FROM meta").fetchone()
            if found != key_fingerprint(key):
                raise ScarecrowError(
                    f"The registry {path} was made under another secret; set the SCARECROW_PRIVACY__HASH_KEY of then."
                )
            yield connection
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ScarecrowError(
            f"The registry {path} cannot be used ({error}); restore it from a backup."
        ) from error


def register(path: Path, given: Iterable[Given], key: bytes, now_ms: int) -> Registered:
    """Adds answers, all or none."""
    new = known = short = 0
    with opened(path, key, make=True) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for answer in given:
            hashes = shingle_hashes(answer.text, key)[:MOST].astype("<i8")
            if not len(hashes):
                short += 1
                continue
            digest = f"{int(hashes[0]):x}-{int(np.bitwise_xor.reduce(hashes)):x}"
            # A null account is distinct in a UNIQUE constraint: repeats of controls are looked for.
            seen = connection.execute(
                "SELECT 1 FROM answers WHERE account IS ? AND digest = ?", (answer.account_id, digest)
            ).fetchone()
            if seen:
                known += 1
                continue
            connection.execute(
                "INSERT INTO answers (account, digest, registered_ms, shingles) VALUES (?, ?, ?, ?)",
                (answer.account_id, digest, now_ms, hashes.tobytes()),
            )
            new += 1
        connection.execute("COMMIT")
    return Registered(new, known, short)


def read(path: Path, key: bytes) -> list[Answer]:
    """Every registered answer, in order of registration."""
    with opened(path, key, make=False) as connection:
        rows = connection.execute("SELECT account, shingles FROM answers ORDER BY id")
        return [Answer(account, np.frombuffer(blob, dtype="<i8")) for account, blob in rows]


def read_given(path: Path) -> Iterator[Given]:
    """Answers from JSON lines with `account_id` (null: a control) and `text`.

    Raises UsageError with the line's number, never with its text.
    """
    remedy = 'write {"account_id": "...", "text": "..."} per line, null for a control'
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    record = orjson.loads(line) if len(line) <= _LONGEST_LINE else None
                except orjson.JSONDecodeError:
                    record = None
                if not isinstance(record, dict) or "account_id" not in record:
                    raise UsageError(f"{path}:{number} is no canary; {remedy}.")
                account, text = record["account_id"], record.get("text")
                if not (account is None or isinstance(account, str)) or not isinstance(text, str):
                    raise UsageError(
                        f"{path}:{number} has no account_id or text of the right type; {remedy}."
                    )
                yield Given(account, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a file of JSON lines.") from error
