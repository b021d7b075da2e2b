"""Calibration: from a statistic to a p-value against peers, to one p per family, to bounded log-odds and
to the rate at which e-BH tells it.

Belongs here: what METHOD section 6 asks of every statistic alike. Not here: any statistic, or how the
contributions of families and groups are joined (`score`).

All p-values are conformal: an account's rank among the accounts of its stratum, so they hold whatever the
statistic's distribution, as long as an ordinary account is exchangeable with its peers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.arrays import ratio, run_starts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Tail = Literal["high", "low", "both"]

MIN_PEERS: Final = 100
"""A stratum with fewer accounts is pooled with its like: p could not fall below 1/(peers+1)."""
AGES_DAYS: Final = (14.0, 90.0)
DECILES: Final = 10
KAPPA: Final = 0.5
"""Exponent of the calibrator kappa p^(kappa-1) (Vovk & Wang 2021): its mean is 1 over uniform p."""
P_CEILING: Final = 0.99
"""Where p is capped before combining, so that one p near 1 cannot outweigh every other."""
SHIFT: Final = 3.0
"""Standard deviations above the null that `beyond_the_usual` expects of a finding."""
QUARTILE: Final = 0.6745
HALF_LIFE_DAYS: Final = 30.0
"""Days after which accumulated evidence counts half."""
PREVALENCE: Final = {
    "tempo": 0.2,
    "coverage": 0.1,
    "diversity": 0.1,
    "systematicity": 0.3,
    "elicitation": 0.2,
    "linkage": 0.2,
}
"""Share of harvesting accounts that are thought to show in each family; the rest look ordinary in it."""
CEILING: Final = 1.5
"""Most nats that one account-level family adds, so that all of them together stay below one firm group."""


@dataclass(frozen=True)
class Ranked:
    """Where n values stand among their peers: float64[n] each, NaN where the value is.

    p: conformal p-value, ties counted against evidence. middle: the same with ties counted half, for
    combining only. median: of the peers. percentile: share of the peers below, in percent.
    """

    p: Floats
    middle: Floats
    median: Floats
    percentile: Floats


def strata(requests: Ints, age_days: Floats, surface: Ints, minimum: int = MIN_PEERS) -> Ints:
    """Stratum of each account, int64[n]: volume decile x age x surface, pooled where too few.

    age_days: NaN when unknown. surface: any code, negative when unknown. A stratum with fewer than `minimum`
    accounts is pooled over surfaces, then over ages, then over volumes: every account is in exactly one
    stratum, and a last remainder joins the largest one of all.
    """
    n = len(requests)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    edges = np.quantile(requests, np.arange(1, DECILES) / DECILES)
    volume = np.searchsorted(edges, requests, side="right").astype(np.int64)
    age = np.where(
        np.isnan(age_days), 0, 1 + np.searchsorted(AGES_DAYS, np.nan_to_num(age_days), side="right")
    )
    code = np.unique(surface, return_inverse=True)[1].astype(np.int64)
    levels = (
        (volume * 8 + age) * (int(code.max()) + 2) + code + 1,
        (volume * 8 + age) * (int(code.max()) + 2),
        volume * 8 * (int(code.max()) + 2),
        np.zeros(n, dtype=np.int64),
    )
    out = np.full(n, -1, dtype=np.int64)
    for level, keys in enumerate(levels):
        left = np.flatnonzero(out < 0)
        _, inverse, size = np.unique(keys[left], return_inverse=True, return_counts=True)
        settled = size[inverse] >= minimum
        out[left[settled]] = keys[left[settled]] * len(levels) + level
    names, places = np.unique(out, return_inverse=True)
    if names[0] == -1 and len(names) > 1:
        size = np.bincount(places)
        out[out < 0] = names[1 + int(np.argmax(size[1:]))]
        places = np.unique(out, return_inverse=True)[1]
    return places.astype(np.int64)


def rank(values: Floats, stratum: Ints, tail: Tail, peers: NDArray[np.bool_] | None = None) -> Ranked:
    """Conformal p-values of values within strata: (1 + peers at least as extreme) / (peers + 1).

    peers: which accounts others are compared with (all when None); an account is never its own peer. Ties
    count as at least as extreme, so that p is conservative. tail "both" doubles the smaller side.
    """
    n = len(values)
    p, half, median, percentile = (np.full(n, np.nan) for _ in range(4))
    seen = np.flatnonzero(~np.isnan(values))
    if len(seen) == 0:
        return Ranked(p, half, median, percentile)
    order = seen[np.lexsort((values[seen], stratum[seen]))]
    value, group = values[order], stratum[order]
    is_peer = np.ones(len(order), dtype=bool) if peers is None else peers[order]
    starts, first = run_starts(group), run_starts(group, value)
    ends, last = np.append(starts[1:], len(order)), np.append(first[1:], len(order))
    section = np.repeat(np.arange(len(starts)), ends - starts)
    block = np.repeat(np.arange(len(first)), last - first)
    running = np.concatenate(([0], np.cumsum(is_peer)))
    size = (running[ends] - running[starts])[section]
    below = (running[first[block]] - running[starts[section]]).astype(np.float64)
    above = (running[ends[section]] - running[last[block]]).astype(np.float64)
    own = is_peer.astype(np.float64)
    equal = size - below - above - own  # peers with the same value, oneself left out
    others = size - own
    p[order] = _side(1 + above + equal, 1 + below + equal, others + 1, tail)
    half[order] = _side(0.5 + above + equal / 2, 0.5 + below + equal / 2, others + 1, tail)
    percentile[order] = np.divide(100 * below, others, out=np.full(len(order), np.nan), where=others > 0)
    # The peers' values in order are a run of `running`: its middle is their median.
    ranks = np.flatnonzero(is_peer)
    if len(ranks):
        at, count = running[starts], running[ends] - running[starts]
        middle = np.full(len(starts), np.nan)
        some = count > 0
        lower, upper = at[some] + (count[some] - 1) // 2, at[some] + count[some] // 2
        middle[some] = 0.5 * (value[ranks[lower]] + value[ranks[upper]])
        median[order] = middle[section]
    return Ranked(p, half, median, percentile)


def _side(high: Floats, low: Floats, size: Floats, tail: Tail) -> Floats:
    chosen = {"high": high, "low": low, "both": 2 * np.minimum(high, low)}[tail]
    return np.asarray(np.minimum(chosen / size, 1.0))


def cauchy(p_values: Sequence[Floats], weights: Sequence[float] | None = None) -> Floats:
    """Cauchy combination (Liu & Xie 2020) of the p-values that there are: float64[n], NaN for none.

    weights: of each, equal when None; those of missing ones are left out.
    """
    p = np.stack(p_values)
    weight = np.where(
        np.isnan(p), 0.0, np.ones(len(p))[:, None] if weights is None else np.array(weights)[:, None]
    )
    scores = np.tan((0.5 - np.minimum(np.nan_to_num(p, nan=0.5), P_CEILING)) * np.pi)
    total = weight.sum(axis=0)
    mean = ratio((weight * scores).sum(axis=0), total)
    return np.asarray(0.5 - np.arctan(mean) / np.pi)


def family_p(
    p_values: Sequence[Floats],
    stratum: Ints,
    peers: NDArray[np.bool_] | None = None,
    weights: Sequence[float] | None = None,
) -> Floats:
    """One conformal p per account for a family: the Cauchy combination, ranked again among the peers.

    The second ranking makes it uniform over ordinary accounts however the statistics hang together.
    """
    return rank(cauchy(p_values, weights), stratum, "low", peers).p


def log_e(p: Floats) -> Floats:
    """Logarithm of the e-value kappa p^(kappa-1), nats; 0 where p is NaN."""
    return np.where(np.isnan(p), 0.0, np.log(KAPPA) + (KAPPA - 1) * np.log(np.where(np.isnan(p), 1.0, p)))


def family_nats(family: str, p: Floats) -> Floats:
    """What a family adds to the score, float64[n] nats: ln(1 - s + s e(p)), s its prevalence.

    A mixture of 1 and an e-value is one again: what only some harvesters show weighs little when absent,
    at least ln(1 - s). At most CEILING. 0 where p is NaN.
    """
    s = PREVALENCE[family]
    return np.where(np.isnan(p), 0.0, np.minimum(np.log(1 - s + s * np.exp(log_e(p))), CEILING))


def contributions(family: str, p: Floats, p_values: Sequence[Floats]) -> list[Floats]:
    """What each reason of a family adds to the score, float64[n] nats each; they add up to the family.

    p: the family's. Of a positive sum each reason has a part as large as its own evidence is positive; of a
    negative one likewise; equal parts among the available ones when no reason points that way.
    """
    total = family_nats(family, p)
    each = np.stack([family_nats(family, q) for q in p_values])
    there = np.stack([~np.isnan(q) for q in p_values])
    same_way = np.where(total > 0, np.maximum(each, 0), np.maximum(-each, 0)) * there
    parts = np.where(same_way.sum(axis=0) > 0, same_way, there.astype(np.float64))
    shares = parts / np.maximum(parts.sum(axis=0), 1e-300)
    return list(shares * total)


def beyond_the_usual(values: Floats, location: float, scale: float) -> Floats:
    """Log e-values of values that lie above a normal null, float64[n] nats; 0 where the value is NaN.

    The likelihood ratio of a normal shifted by SHIFT standard deviations to the null: exp(SHIFT z - SHIFT^2 / 2),
    which is an e-value under the null (and under every null with a lighter upper tail). location, scale: of the null,
    as `usual` finds them (Efron 2004, "Large-scale simultaneous hypothesis testing", calls it the empirical null).
    """
    z = (values - location) / scale
    return np.where(np.isnan(values), 0.0, SHIFT * np.nan_to_num(z) - SHIFT**2 / 2)


def usual(values: Floats, location: float, scale: float, enough: int = 20) -> tuple[float, float]:
    """Location and scale of a normal null: median, and upper quartile less median over .674, of the values that are
    not NaN. location, scale: what neither may fall below, and what holds below `enough` values."""
    known = values[~np.isnan(values)]
    if len(known) < enough:
        return location, scale
    middle, upper = np.quantile(known, [0.5, 0.75])
    return max(float(middle), location), max(float(upper - middle) / QUARTILE, scale)


def mean_log_e(*parts: Floats) -> Floats:
    """Log of the mean of e-values, nats: an e-value again, however they hang together."""
    return np.asarray(np.logaddexp.reduce(np.stack(parts), axis=0) - np.log(len(parts)))


def accumulate(before: Floats, now: Floats, elapsed_days: float, horizon_days: float) -> Floats:
    """Log e-value accumulated over rankings, nats: 2^(-elapsed / HALF_LIFE_DAYS) before + (elapsed / horizon) now.

    before: of the ranking `elapsed_days` earlier; 0 for what is new. now: log e-value of this ranking. Each ranking
    looks back over a whole horizon, so neighbouring ones see mostly the same calls. Each therefore counts by the
    share of the horizon that is new, at most 1: over one horizon the exponents add up to 1, which makes the product a
    geometric mean of e-values (one again, Hoelder), and rankings a horizon apart multiply. The factor below 1 before
    the past keeps it one (Jensen). It is exact as long as an ordinary account's later calls are exchangeable with its
    peers' given the earlier ones; a lasting oddity counts again with every horizon, which the decay bounds: at most
    HALF_LIFE_DAYS / ln 2 / horizon horizons count. `sql/staging/e_values.sql` does this in the mart.
    """
    if elapsed_days < 0 or horizon_days <= 0:
        raise ValueError(
            f"{elapsed_days} days elapsed of {horizon_days} are out of range; use times in order"
        )
    weight = min(elapsed_days / horizon_days, 1.0)
    return np.asarray(0.5 ** (elapsed_days / HALF_LIFE_DAYS) * before + weight * now)


def false_discovery_rate(log_e_values: Floats, tested: int | None = None) -> Floats:
    """The smallest rate at which e-BH (Wang & Ramdas 2022) tells each hypothesis, float64[n], at most 1.

    With e_(k) the k-th largest of `tested` e-values (all given ones when None; what is not given is below all): the
    least tested / (j e_(j)) over j >= k. Equal e-values share it. Those up to a rate alpha have a false discovery rate
    of at most alpha under any dependence. p-values ranked among the very accounts that are tested cannot reach a rate
    below 1 in one window (their e-values average 1): that takes peers from elsewhere, a null with a known tail
    (`beyond_the_usual`), or e-values accumulated over windows.
    """
    n = len(log_e_values)
    order = np.argsort(-log_e_values, kind="stable")
    falling = log_e_values[order]
    place = np.searchsorted(-falling, -falling, side="right")  # ties count whole
    rate = np.exp(np.minimum(np.log(max(tested or n, 1)) - np.log(np.maximum(place, 1)) - falling, 0.0))
    out = np.empty(n)
    out[order] = np.minimum.accumulate(rate[::-1])[::-1]
    return out


def e_bh(log_e_values: Floats, alpha: float) -> NDArray[np.bool_]:
    """e-BH: which hypotheses to reject at false discovery rate alpha, bool[n]."""
    return false_discovery_rate(log_e_values) <= alpha
