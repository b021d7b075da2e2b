"""The audit trail: an append-only file beside the mart, shown as relation audit_log.

Belongs here: which states changed against what the trail last said, verdicts and weights as events. The trail is
what the next change is compared with, so a ranking that is repeated adds nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.mart import journal
from pipelines.mart.labels import Verdict
from pipelines.mart.weights import NONE, Calibration
from schemas.mart import AUDIT_LOG, AUDITED_ACCOUNTS

RANKING = "ranking"


@dataclass(frozen=True)
class Change:
    """One change. at_ms: epoch milliseconds. before, after: null when new, or gone."""

    at_ms: int
    event: str
    subject_kind: str
    subject_id: str
    before: str | None
    after: str | None
    author: str
    reason: str | None = None


def audit_file(mart: Path) -> Path:
    """Where the trail of state changes of a mart is kept."""
    return mart.with_name(f"{mart.name}.audit.jsonl")


def read_changes(mart: Path) -> list[Change]:
    """All changes of states in order."""
    path = audit_file(mart)
    found = []
    for number, line in journal.read(path):
        try:
            found.append(Change(**line))
        except TypeError as error:
            raise journal.broken(path, number) from error
    return found


def append(mart: Path, changes: Sequence[Change]) -> None:
    """Add changes, durably and all together."""
    journal.append(audit_file(mart), (asdict(change) for change in changes))


def state_changes(
    connection: duckdb.DuckDBPyConnection, trail: Sequence[Change], as_of_ms: int
) -> list[Change]:
    """What the mart of a connection says against the trail.

    Looked at are campaigns and their members, the first accounts, what has a label, and what the trail follows.
    """
    last = {(c.subject_kind, c.subject_id): c.after for c in trail if c.event == "state"}
    now: dict[tuple[str, str], tuple[str, bool]] = {
        (kind, subject): (state, followed)
        for kind, subject, state, followed in connection.execute(
            """
            SELECT 'account', account_id, state, rank <= ? OR campaign_id IS NOT NULL OR label IS NOT NULL
            FROM suspect_accounts
            UNION ALL
            SELECT 'campaign', campaign_id, state, true FROM suspect_campaigns""",
            [AUDITED_ACCOUNTS],
        ).fetchall()
    }
    followed = {key for key, (_, is_followed) in now.items() if is_followed}
    followed |= {key for key, state in last.items() if state is not None}
    changes = []
    for kind, subject in sorted(followed):
        before = last.get((kind, subject))
        after = now[kind, subject][0] if (kind, subject) in now else None
        if before != after:
            changes.append(Change(as_of_ms, "state", kind, subject, before, after, RANKING))
    return changes


def decisions(verdicts: Sequence[Verdict], calibrations: Sequence[Calibration]) -> list[Change]:
    """Verdicts and changes of weights as events."""
    found = []
    said: dict[tuple[str, str], str] = {}
    for v in verdicts:
        key = (v.subject_kind, v.subject_id)
        found.append(Change(v.at_ms, "label", *key, said.get(key), v.verdict, v.author, v.reason))
        said[key] = v.verdict
    before = NONE
    for c in calibrations:
        for family in sorted({*c.weights, *before.weights}):
            old, new = before.of(family), c.of(family)
            if old != new:
                text = (f"{old:.3g}", f"{new:.3g}")
                found.append(Change(c.at_ms, "weights", "weights", family, *text, c.author, c.reason))
        before = c
    return found


def as_table(changes: Sequence[Change]) -> pa.Table:
    """As rows of schemas.mart.AUDIT_LOG, in order of time."""
    ordered = sorted(changes, key=lambda c: (c.at_ms, c.event, c.subject_kind, c.subject_id))
    rows = [
        {"changed_at": c.at_ms * 1000, **{k: v for k, v in asdict(c).items() if k != "at_ms"}}
        for c in ordered
    ]
    return pa.Table.from_pylist(rows, schema=AUDIT_LOG.arrow())
