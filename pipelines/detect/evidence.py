"""What account-level evidence looks like to the ranking, and the one function that gathers all of it.

Belongs here: the interface between the evidence families (`families`), their calibration (`calibrate`) and
the ranking (`score`). Not here: any statistic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.detect import calibrate, links
from pipelines.detect.accounts import Accounts, commonest
from pipelines.detect.course import Course
from pipelines.detect.families import coverage, diversity, elicitation, linkage, systematicity, tempo
from pipelines.detect.families.statistic import Statistic
from pipelines.detect.profiles import DAY_MS, Map, profile, table
from pipelines.ingest.fold import Rows
from schemas.account_hour import UNKNOWN_TIME


@dataclass(frozen=True)
class Evidence:
    """One reason for all accounts; arrays are float64[accounts], in the order of the profiles.

    family: one of `schemas.mart.FAMILIES`. reason: a stable name in snake case. values: what was seen, NaN
    when a field is missing or there are too few requests. p_values: conformal within the account's stratum,
    NaN when unavailable; empty in a ranking, which reads the others. peer_percentile: within the stratum, in
    percent; NaN without peers. medians: float64[strata], of the values of each stratum. contribution: nats added
    to the score, 0 when unavailable; contributions of one family are bounded together by `calibrate.CEILING`.
    ordinary_cause: what would explain it innocently. words: a `str.format` template with the fields value and
    peer_median. stratum: int64[accounts], whom an account was compared with; None for what is compared with all,
    as one stratum.
    """

    family: str
    reason: str
    values: NDArray[np.float64]
    p_values: NDArray[np.float64]
    peer_percentile: NDArray[np.float64]
    medians: NDArray[np.float64]
    contribution: NDArray[np.float64]
    ordinary_cause: str
    words: str
    stratum: NDArray[np.int64] | None = None

    def medians_at(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Median of the peers of some accounts, float64[rows]; NaN where the value is, and without peers."""
        of = self.medians[0] if self.stratum is None else self.medians[self.stratum[rows]]
        return np.where(np.isnan(self.values[rows]), np.nan, of)

    @property
    def peer_median(self) -> NDArray[np.float64]:
        """`medians_at` of all accounts."""
        return self.medians_at(np.arange(len(self.values)))


def peer_groups(profiles: Rows, as_of_ms: int) -> NDArray[np.int64]:
    """Stratum of each account (volume x age x surface), int64[accounts]: whom it is compared with."""
    known = profiles.created != UNKNOWN_TIME
    age = np.where(known, (as_of_ms - np.where(known, profiles.created, 0)) / DAY_MS, np.nan)
    return calibrate.strata(profiles.sum("requests"), age, commonest(profiles.sketches["endpoints"], -1))


def account_evidence(
    profiles: Rows,
    course: Course,
    prompt_map: Map | None,
    as_of_ms: int,
    peers: NDArray[np.bool_] | None = None,
    accounts: Accounts | None = None,
) -> tuple[pl.DataFrame, list[Evidence]]:
    """Profiles (`schemas.mart.ACCOUNT_PROFILES`) and the evidence of every account-level family.

    profiles: folded to one row per account; this is the order of both results. course: of the same
    accounts. prompt_map: the map they were measured with; None without prompts. as_of_ms: end of the horizon.
    peers: accounts that others are compared with, bool[accounts]; all when None. accounts: the view of the profiles,
    which need no prompts then; made of them when None.
    """
    p = profile(profiles, prompt_map, as_of_ms, accounts)
    shared = links.shared_values(profiles)
    by_family = {
        "tempo": tempo.statistics(p, course),
        "coverage": coverage.statistics(p),
        "diversity": diversity.statistics(p),
        "systematicity": systematicity.statistics(p, course),
        "elicitation": elicitation.statistics(p),
        "linkage": linkage.statistics(p, shared, links.expand(shared)),
    }
    stratum = peer_groups(profiles, as_of_ms)
    return table(p), [e for family, s in by_family.items() for e in judge(family, s, stratum, peers)]


def judge(
    family: str,
    statistics: Sequence[Statistic],
    stratum: NDArray[np.int64],
    peers: NDArray[np.bool_] | None = None,
) -> list[Evidence]:
    """Calibrates the statistics of one family: ranks, one p for the family, contributions that add up."""
    ranked = [calibrate.rank(s.values, stratum, s.tail, peers) for s in statistics]
    p_values = [r.p for r in ranked]
    p = calibrate.family_p([r.middle for r in ranked], stratum, peers, [s.weight for s in statistics])
    nats = calibrate.contributions(family, p, p_values)
    return [
        Evidence(
            family, s.reason, s.values, r.p, r.percentile, _by_stratum(r.median, stratum), c, s.ordinary_cause, s.words,
            stratum,
        )
        for s, r, c in zip(statistics, ranked, nats, strict=True)
    ]  # fmt: skip


def _by_stratum(median: NDArray[np.float64], stratum: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of each stratum, float64[strata], from those of its accounts."""
    out = np.full(int(stratum.max(initial=0)) + 1, np.nan)
    known = ~np.isnan(median)
    out[stratum[known]] = median[known]
    return out
