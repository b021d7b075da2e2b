"""When an account calls: what is read off its minutes.

Belongs here: measures of one account's own times. Not here: which of them is evidence (`families.tempo`), nor
times of several accounts together (`families.linkage`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.ingest.fold import Entries

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK_HOURS: Final = 168
_EPOCH_WEEKDAY_HOURS: Final = 72
"""1970-01-01 was a Thursday: hours since the Monday before."""


@dataclass(frozen=True)
class Activity:
    """Measures of n accounts, all UTC.

    calls: int64[n]. days, hours: int64[n], with calls. idle_hours: float64[n], the longest run of whole hours
    without calls between the first and the last. day_entropy, week_entropy: float64[n] nats, over the hours
    of the day and of the week. quiet_hours: float64[n], the longest run of hours of the day, round midnight,
    that no call ever fell in. burstiness: float64[n], -1 (a clock) over 0 (chance) to 1 (bursts); NaN below 4
    calls.
    """

    calls: Ints
    days: Ints
    hours: Ints
    idle_hours: Floats
    day_entropy: Floats
    week_entropy: Floats
    quiet_hours: Floats
    burstiness: Floats


@njit(cache=True, nogil=True)
def _entropy(histogram: Ints, total: np.int64) -> float:
    value = 0.0
    for count in histogram:
        if count > 0:
            value -= count / total * np.log(count / total)
    return value


@njit(cache=True, nogil=True)
def _quiet_run(of_day: Ints) -> int:
    longest = 0
    run = 0
    for k in range(48):
        run = 0 if of_day[k % 24] > 0 else run + 1
        longest = max(longest, run)
    return min(longest, 24)


@njit(cache=True, nogil=True)
def _measure(
    offsets: Ints,
    minutes: Ints,
    counts: Ints,
    calls: Ints,
    days: Ints,
    hours: Ints,
    idle: Floats,
    day_entropy: Floats,
    week_entropy: Floats,
    quiet: Floats,
    burstiness: Floats,
) -> None:
    of_day = np.zeros(24, dtype=np.int64)
    of_week = np.zeros(WEEK_HOURS, dtype=np.int64)
    for i in range(len(calls)):
        begin, end = offsets[i], offsets[i + 1]
        if begin == end:
            continue
        of_day[:] = 0
        of_week[:] = 0
        hour = np.int64(-1)
        day = np.int64(-1)
        gap = np.int64(0)
        total = np.int64(0)
        squares = 0.0
        for k in range(begin, end):
            now = np.int64(minutes[k]) // 60
            total += counts[k]
            of_day[now % 24] += counts[k]
            of_week[(now + _EPOCH_WEEKDAY_HOURS) % WEEK_HOURS] += counts[k]
            if now != hour:
                if hour >= 0:
                    gap = max(gap, now - hour - 1)
                hours[i] += 1
                hour = now
            if now // 24 != day:
                day = now // 24
                days[i] += 1
            if k > begin:
                squares += float(minutes[k] - minutes[k - 1]) ** 2
        calls[i] = total
        idle[i] = gap
        day_entropy[i] = _entropy(of_day, total)
        week_entropy[i] = _entropy(of_week, total)
        quiet[i] = _quiet_run(of_day)
        n = total - 1
        mean = (minutes[end - 1] - minutes[begin]) / n if n > 0 else 0.0
        if n >= 3 and mean > 0:
            r = np.sqrt(max(squares / n - mean * mean, 0.0)) / mean
            burstiness[i] = (np.sqrt(n + 1.0) * r - np.sqrt(n - 1.0)) / (
                (np.sqrt(n + 1.0) - 2) * r + np.sqrt(n - 1.0)
            )


def activity(minutes: Entries) -> Activity:
    """Measures of every row of the minutes sketch.

    burstiness is that of Goh & Barabasi 2008 for the times between calls (whole minutes; calls within one
    minute are 0 apart), corrected for few calls as in Kim & Jo 2016 (Phys. Rev. E 94, 032311).
    """
    n = len(minutes.offsets) - 1
    calls, days, hours = (np.zeros(n, dtype=np.int64) for _ in range(3))
    idle, by_day, by_week, quiet, burstiness = (np.full(n, np.nan) for _ in range(5))
    _measure(
        minutes.offsets,
        minutes.keys.astype(np.int64, copy=False),
        minutes.counts.astype(np.int64, copy=False),
        calls,
        days,
        hours,
        idle,
        by_day,
        by_week,
        quiet,
        burstiness,
    )
    return Activity(calls, days, hours, idle, by_day, by_week, quiet, burstiness)
