"""When requests are made: the calendar of a world, people's days and nights, jobs that run by the clock.

Belongs here: moments in time only. All times are int64 epoch milliseconds in UTC; zones are hours east of
UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from pipelines.simulate.randomness import pick, ragged

HOUR = 3_600_000
DAY = 24 * HOUR
_WORK = np.array(
    [1, 1, 1, 1, 1, 2, 6, 18, 45, 75, 85, 80, 55, 65, 85, 85, 75, 55, 32, 20, 14, 9, 5, 2], dtype=float
)
_EVENING = np.array(
    [9, 4, 2, 1, 1, 1, 3, 8, 12, 14, 16, 18, 22, 22, 22, 24, 28, 36, 48, 66, 82, 85, 62, 30], dtype=float
)


@dataclass(frozen=True)
class Calendar:
    """The span of a world: first moment, number of days, weekday of the first day (0 = Monday), a model
    release.
    """

    start: int
    days: int
    weekday: int
    release: int
    """when the provider publishes its new model"""

    @classmethod
    def of(cls, start: datetime, days: int) -> Calendar:
        """Calendar of `days` days from `start`; the release comes after three fifths of it, at 17:00."""
        first = int(start.timestamp() * 1000)
        return cls(first, days, start.weekday(), first + int(days * 0.6) * DAY + 17 * HOUR)

    @property
    def end(self) -> int:
        return self.start + self.days * DAY

    def inside(self, moments: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The moments folded into the span, keeping the time of day."""
        span = self.end - self.start
        return np.asarray(self.start + (moments - self.start) % span)


@dataclass(frozen=True)
class Rhythm:
    """How people spread over the days: cumulative f32[n, days]; zone, shift and work share f32[n]."""

    days: npt.NDArray[np.float32]
    zone: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    work: npt.NDArray[np.float32]

    @classmethod
    def of_people(
        cls,
        calendar: Calendar,
        zone: npt.NDArray[np.floating],
        created: npt.NDArray[np.int64],
        rng: np.random.Generator,
        regular: float = 0.0,
    ) -> Rhythm:
        """Rhythms of people in the given zones. `regular` (0..1) is the share who come back on every day."""
        count = len(zone)
        work = rng.beta(0.8, 0.8, count).astype(np.float32)
        weekend = (np.arange(calendar.days) + calendar.weekday) % 7 >= 5
        weights = rng.gamma(0.8, 1.0, (count, calendar.days)).astype(np.float32) + np.float32(0.01)
        active = rng.random((count, calendar.days)) < rng.beta(2.0, 1.2, count)[:, None]
        active |= (rng.random(count) < regular)[:, None]
        weights = weights * np.where(active, 1.0, 0.001)
        weights = weights * np.where(weekend[None, :], (1.1 - work)[:, None], 1.0)
        first_day = np.clip((created - calendar.start) // DAY, 0, calendar.days - 1)
        weights = weights * np.where(np.arange(calendar.days)[None, :] >= first_day[:, None], 1.0, 1e-9)
        table = np.cumsum(weights, axis=1)
        return cls(
            (table / table[:, -1:]).astype(np.float32),
            zone.astype(np.float32),
            rng.normal(0.0, 1.3, count).astype(np.float32),
            work,
        )

    def moments(
        self, rows: npt.NDArray[np.integer], calendar: Calendar, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """One waking moment for each of `rows` (row numbers of this rhythm)."""
        day = pick(self.days, rows, rng)
        hour = np.where(
            rng.random(len(rows)) < self.work[rows],
            _hours(_WORK, rng.random(len(rows))),
            _hours(_EVENING, rng.random(len(rows))),
        )
        local = calendar.start + day * DAY + ((hour + self.shift[rows]) * HOUR).astype(np.int64)
        return calendar.inside(local - (self.zone[rows] * HOUR).astype(np.int64))


def _hours(curve: npt.NDArray[np.float64], draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    table = np.concatenate([[0.0], np.cumsum(curve) / curve.sum()])
    return np.asarray(np.interp(draws, table, np.arange(25.0)), dtype=np.float64)


def spread(
    count: int, first: int, last: int, rng: np.random.Generator, evenness: float = 0.5
) -> npt.NDArray[np.int64]:
    """`count` moments in order from `first` to `last`: evenly spaced at evenness 1, independent at 0."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    even = (np.arange(count) + rng.random(count)) / count
    free = np.sort(rng.random(count))
    share = evenness * even + (1 - evenness) * free
    return (first + share * (last - first - 1)).astype(np.int64)


def within_conversations(
    lengths: npt.NDArray[np.integer],
    starts: npt.NDArray[np.int64],
    rng: np.random.Generator,
    pause_seconds: float = 45.0,
) -> npt.NDArray[np.int64]:
    """Times of all turns of conversations that begin at `starts`: log-normal pauses between the turns."""
    group, position = ragged(lengths)
    pauses = (rng.lognormal(np.log(pause_seconds), 0.9, len(group)) * 1000).astype(np.int64)
    pauses[position == 0] = 0
    total = np.cumsum(pauses)
    first = np.cumsum(lengths) - lengths
    return np.asarray(starts[group] + total - total[first][group])
