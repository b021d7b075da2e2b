"""Verdicts of people: an append-only file beside the mart, from which each ranking takes what holds.

The mart is replaced at every ranking, so what people decide lives apart from it.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.errors import ScarecrowError
from schemas.mart import LABELS


@dataclass(frozen=True)
class Verdict:
    """One decision. at_ms, until_ms: epoch milliseconds; until None holds for good."""

    subject_kind: str
    subject_id: str
    verdict: str
    author: str
    reason: str
    at_ms: int
    until_ms: int | None


def labels_file(mart: Path) -> Path:
    """Where the verdicts of a mart are kept."""
    return mart.with_name(f"{mart.name}.labels.jsonl")


def append(mart: Path, verdict: Verdict) -> None:
    """Add a verdict, durably; writers take turns."""
    path = labels_file(mart)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(verdict)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_labels(mart: Path) -> list[Verdict]:
    """All verdicts in the order in which they were given."""
    path = labels_file(mart)
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            found.append(Verdict(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ScarecrowError(f"label {path}:{number} cannot be read; mend or remove that line") from error
    return found


def as_table(verdicts: Sequence[Verdict]) -> pa.Table:
    """As rows of schemas.mart.LABELS."""
    time = pa.timestamp("us", "UTC")

    def column(values: list[int | None]) -> pa.Array:
        return pa.array([None if v is None else v * 1000 for v in values], pa.int64()).cast(time)

    data = {
        name: [getattr(v, name) for v in verdicts]
        for name in ("subject_kind", "subject_id", "verdict", "author", "reason")
    }
    data |= {"at": column([v.at_ms for v in verdicts]), "until": column([v.until_ms for v in verdicts])}
    return pa.table(data, schema=LABELS.arrow())
