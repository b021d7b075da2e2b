"""Tempo: no rest, full load from the start, calls like clockwork, hugging the limit, moving to a new model at
once.

Metadata only: together with `linkage` it never suffices for an alert (METHOD section 6).
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.detect.arrays import owners_of
from pipelines.detect.course import Course
from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.profiles import Profiled
from schemas.account_hour import UNKNOWN_TIME

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_LIFE_DAYS: Final = 2.0
_NEW_MODEL_SHARE: Final = 0.02
"""A model counts as released in the horizon when this share of the accounts uses it and nobody did on its
first day.
"""


@njit(cache=True, nogil=True)
def _early(offsets: Ints, minutes: Ints, counts: Ints, begin: Ints, end: Ints, out: Floats) -> None:
    for i in range(len(begin)):
        early = 0.0
        total = 0.0
        for k in range(offsets[i], offsets[i + 1]):
            total += counts[k]
            if minutes[k] < end[i]:
                early += counts[k]
        out[i] = early / total if total > 0 else np.nan


def ramp(p: Profiled) -> Floats:
    """Calls in the first quarter of an account's life over a quarter of its calls: 0 ramped up late, 1 full
    load at once.

    float64[n]; NaN for accounts that were created before the horizon or that have lived less than two days in
    it.
    """
    rows = p.rows
    created = np.where(rows.created == UNKNOWN_TIME, 0, rows.created)
    begin = created // 60_000
    quarter = (p.as_of_ms // 60_000 - begin) // 4
    minutes = rows.sketches["minutes"]
    out = np.full(len(rows), np.nan)
    keys, counts = (each.astype(np.int64, copy=False) for each in (minutes.keys, minutes.counts))
    _early(minutes.offsets, keys, counts, begin, begin + quarter, out)
    first = int(rows.first.min(initial=UNKNOWN_TIME))
    young = (created >= first) & (p.as_of_ms - created >= _LIFE_DAYS * _DAY_MS)
    return np.where(young, np.minimum(out / 0.25, 1.0), np.nan)


def model_move(p: Profiled, course: Course) -> Floats:
    """Hours from the release of the newest model of the horizon until the account's first call to it.

    float64[n]; accounts that called after the release but never moved have the hours until the horizon's end;
    NaN when no model was released, or nothing was called since. A model's release is its first call by
    anybody. The grain is that of the rows that the course follows: within a row all models count as called when the
    row begins.
    """
    names, which = np.unique(course.models, return_inverse=True)
    out = np.full(len(p), np.nan)
    if len(names) == 0:
        return out
    started = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(started, which, course.first_ms)
    users = np.bincount(which, minlength=len(names))
    begin = int(p.rows.first.min())
    fresh = (started >= begin + _DAY_MS) & (users >= max(3, _NEW_MODEL_SHARE * len(p)))
    if not fresh.any():
        return out
    newest = int(np.flatnonzero(fresh)[np.argmax(started[fresh])])
    release = int(started[newest])
    since = p.rows.last >= release
    out[since] = (p.as_of_ms - release) / _HOUR_MS
    uses = np.flatnonzero(which == newest)
    movers = owners_of(course.model_offsets)[uses]
    out[movers] = np.maximum(course.first_ms[uses] - release, 0) / _HOUR_MS
    return out


def statistics(p: Profiled, course: Course) -> list[Statistic]:
    """All statistics. course: of the same accounts."""
    when, calls = p.activity, p.requests
    job = "a scheduled job or a back end with customers in many time zones"
    return [
        Statistic(
            "no_idle_period",
            enough(when.quiet_hours, calls),
            "low",
            job,
            "longest daily rest {value:.0f} hours; peers {peer_median:.0f}",
            weight=2.0,
        ),
        Statistic(
            "hour_of_week_entropy_nats",
            enough(when.week_entropy, calls),
            "high",
            job,
            "evenness over the hours of the week {value:.2f} nats; peers {peer_median:.2f}",
            weight=2.0,
        ),
        Statistic(
            "burstiness",
            enough(when.burstiness, calls),
            "low",
            "a program that works through a queue at a steady pace",
            "burstiness {value:.2f} (-1 a clock, 0 chance, 1 bursts); peers {peer_median:.2f}",
        ),
        Statistic(
            "ramp",
            enough(ramp(p), calls),
            "high",
            "a finished product that moved over from another provider",
            "{value:.0%} of its average load in the first quarter of its life; peers {peer_median:.0%}",
            weight=0.5,
        ),
        Statistic(
            "throttle_share",
            enough(p.columns["throttle_share"], calls),
            "high",
            "a client that does not back off",
            "{value:.1%} of calls ran into the rate limit; peers {peer_median:.1%}",
            weight=0.5,
        ),
        Statistic(
            "model_move",
            enough(model_move(p, course), calls),
            "low",
            "a developer or benchmarker who tries every new model, or an alias that the provider moved",
            "moved to the new model after {value:.0f} hours; peers {peer_median:.0f}",
        ),
    ]
