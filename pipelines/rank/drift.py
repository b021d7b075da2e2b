"""Drift: is today's traffic still what the ranking and its prompt map were made for? Warnings, never verdicts.

Belongs here: volume, missing fields, rejects, and the map against the traffic. Not here: what happens on a warning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.lake.notes import Note
from pipelines.prompt_map.store import NO_MAP, PromptMap
from pipelines.rank.daily import Daily
from schemas.account_hour import PRESENCE

VOLUME_FACTOR: Final = 3.0
"""The newest day may be so many times the median of the days before, or as many times less."""
REJECT_SHARE: Final = 0.05
STABILITY_LIMIT: Final = 0.25
"""Population stability index from which a population counts as changed (a convention of credit scoring)."""
_DAYS_NEEDED: Final = 3
_PROMPTS_NEEDED: Final = 2_000


@dataclass(frozen=True)
class Drift:
    """One look. value, limit: null when there was too little to look at. says: in words."""

    name: str
    is_sound: bool
    value: float | None
    limit: float
    says: str


def drift_facts(daily: Daily, prompt_map: PromptMap, notes: Sequence[Note]) -> list[Drift]:
    """Every look at a horizon, one each of volume, missing_fields, rejects and map_drift."""
    return [
        volume(daily.sum("requests").astype(np.float64)),
        missing_fields(daily),
        rejects(notes),
        map_drift(daily, prompt_map),
    ]


def volume(by_day: NDArray[np.float64]) -> Drift:
    """by_day: float64[days], calls by day, the newest first; days without calls after the first call count as 0."""
    if len(by_day) <= _DAYS_NEEDED:
        return Drift("volume", True, None, VOLUME_FACTOR, f"fewer than {_DAYS_NEEDED + 1} days of calls")
    usual = float(np.median(by_day[1:8]))
    ratio = float(by_day[0]) / usual if usual else np.inf
    is_sound = 1 / VOLUME_FACTOR <= ratio <= VOLUME_FACTOR
    says = f"{by_day[0]:,.0f} calls on the newest day, {usual:,.0f} on the median of the days before"
    return Drift("volume", is_sound, ratio if np.isfinite(ratio) else None, VOLUME_FACTOR, says)


def missing_fields(daily: Daily) -> Drift:
    """Fields that most calls carried on the days before and almost none on the newest."""
    calls = daily.sum("requests")
    if not calls[:1].sum() or not calls[1:].sum():
        return Drift("missing_fields", True, None, 0, "only one day of calls")
    gone = []
    for name in PRESENCE:
        carried = daily.sum(f"with_{name}")
        if carried[1:].sum() >= 0.5 * calls[1:].sum() and carried[0] < 0.05 * calls[0]:
            gone.append(name)
    says = f"no longer logged: {', '.join(gone)}" if gone else "every field that used to come still comes"
    return Drift("missing_fields", not gone, float(len(gone)), 0, says)


def rejects(notes: Sequence[Note]) -> Drift:
    """The worst source by its share of rejected records."""
    shares = [(note.rejects / note.records, note.rejects, note.records) for note in notes if note.records]
    if not shares:
        return Drift("rejects", True, None, REJECT_SHARE, "no records yet")
    share, rejected, records = max(shares)
    says = f"at worst {rejected:,} of {records:,} records of a source are rejects"
    return Drift("rejects", share <= REJECT_SHARE, share, REJECT_SHARE, says)


def map_drift(daily: Daily, prompt_map: PromptMap) -> Drift:
    """Topics of the last week's distinct prompts against those of the sample that the map was fitted to."""
    if prompt_map.version == NO_MAP:
        return Drift("map_drift", False, None, STABILITY_LIMIT, "there is no prompt map; fit one")
    size = len(daily.prompts)
    if size < _PROMPTS_NEEDED:
        says = f"{size:,} distinct prompts in a week, fewer than {_PROMPTS_NEEDED:,}"
        return Drift("map_drift", True, None, STABILITY_LIMIT, says)
    per_topic = prompt_map.cells_per_topic
    topics = len(prompt_map.ordinary) // per_topic
    now = np.bincount(daily.cells // per_topic, minlength=topics).astype(np.float64)
    fitted = prompt_map.ordinary.reshape(topics, per_topic).sum(axis=1, dtype=np.float64)
    index = stability(fitted, now)
    says = f"population stability index {index:.3f} over {topics} topics, {size:,} distinct prompts of a week"
    return Drift("map_drift", index < STABILITY_LIMIT, index, STABILITY_LIMIT, says)


def stability(expected: NDArray[np.float64], seen: NDArray[np.float64]) -> float:
    """Population stability index: sum (q - p) ln(q / p), shares bounded below by 1e-4.

    expected, seen: float64[groups], counts or shares.
    """
    p = np.maximum(expected / expected.sum(), 1e-4)
    q = np.maximum(seen / seen.sum(), 1e-4)
    return float(np.sum((q - p) * np.log(q / p)))
