"""Verdicts of people: an append-only file beside the mart, from which each ranking takes what holds.

The mart is replaced at every ranking, so what people decide lives apart from it. Ways in: the command and CSV
(`pipelines.cli.label`) and SQL (`inbox`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.mart import journal
from schemas.mart import LABELS


@dataclass(frozen=True)
class Verdict:
    """One decision. at_ms, until_ms: epoch milliseconds; until None holds for good.

    entry: identity of a row of the inbox, so that it is taken once; empty for other ways in.
    """

    subject_kind: str
    subject_id: str
    verdict: str
    author: str
    reason: str
    at_ms: int
    until_ms: int | None
    entry: str = ""


def labels_file(mart: Path) -> Path:
    """Where the verdicts of a mart are kept."""
    return mart.with_name(f"{mart.name}.labels.jsonl")


def append(mart: Path, verdicts: Sequence[Verdict]) -> None:
    """Add verdicts, durably and all together; writers take turns."""
    journal.append(labels_file(mart), (asdict(verdict) for verdict in verdicts))


def read_labels(mart: Path) -> list[Verdict]:
    """All verdicts in the order in which they were given."""
    path = labels_file(mart)
    found = []
    for number, line in journal.read(path):
        try:
            found.append(Verdict(**line))
        except TypeError as error:
            raise journal.broken(path, number) from error
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
