"""Diversity estimators of ecology, over many samples at once.

A sample is an account, an individual a distinct prompt, a species a cell of the prompt map. Belongs here:
estimators alone. Which histogram they are given is decided in `profiles`.

Sources: Chao & Jost 2012 (Ecology 93:2533, coverage-based rarefaction), Chao et al. 2014 (Ecological
Monographs 84:45, Hill numbers under rarefaction and extrapolation), Chao, Wang & Jost 2013 (Methods Ecol.
Evol. 4:1091, Shannon entropy), Chao 1984 with the (n-1)/n factor (Chao1). The figures agree with R iNEXT 3.0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Abundances:
    """Sample i holds counts[offsets[i]:offsets[i+1]] individuals per species: int64, all positive.

    offsets: int64[n+1].
    """

    offsets: Ints
    counts: Ints

    @cached_property
    def individuals(self) -> Ints:
        """int64[n]."""
        running = np.concatenate(([0], np.cumsum(self.counts)))
        return np.asarray(running[self.offsets[1:]] - running[self.offsets[:-1]], dtype=np.int64)

    @cached_property
    def species(self) -> Ints:
        """Observed species, int64[n]."""
        return np.diff(self.offsets)

    def occurring(self, times: int) -> Ints:
        """f_k, how many species occur exactly `times` times: int64[n]."""
        running = np.concatenate(([0], np.cumsum(self.counts == times)))
        return np.asarray(running[self.offsets[1:]] - running[self.offsets[:-1]], dtype=np.int64)


def unseen(a: Abundances) -> Floats:
    """f0 of Chao1, a lower bound on species not seen: float64[n], 0 where there are no individuals."""
    n, f1, f2 = (x.astype(np.float64) for x in (a.individuals, a.occurring(1), a.occurring(2)))
    factor = np.where(n > 0, (n - 1) / np.maximum(n, 1), 0)
    return np.asarray(factor * np.where(f2 > 0, f1**2 / (2 * np.maximum(f2, 1)), f1 * (f1 - 1) / 2))


def chao1(a: Abundances) -> Floats:
    """Chao1 richness: float64[n]."""
    return a.species + unseen(a)


def _unseen_decay(a: Abundances) -> Floats:
    """(n-1) f1 / ((n-1) f1 + 2 f2) of Chao & Jost 2012 (f1 - 1 and 2 where f2 = 0), 0 where f1 = 0."""
    n, f1, f2 = (x.astype(np.float64) for x in (a.individuals, a.occurring(1), a.occurring(2)))
    usual = (n - 1) * f1 / np.maximum((n - 1) * f1 + 2 * f2, 1e-300)
    no_doubletons = (n - 1) * (f1 - 1) / np.maximum((n - 1) * (f1 - 1) + 2, 1e-300)
    return np.where(f1 > 0, np.where(f2 > 0, usual, no_doubletons), 0.0)


def sample_coverage(a: Abundances) -> Floats:
    """Good-Turing coverage as improved by Chao & Jost 2012: share of the source that was seen.

    float64[n]; NaN where there are no individuals.
    """
    n, f1 = a.individuals.astype(np.float64), a.occurring(1)
    covered = 1 - f1 / np.maximum(n, 1) * _unseen_decay(a)
    return np.where(n > 0, covered, np.nan)


@njit(cache=True, nogil=True)
def _coverage(counts: Ints, m: int, n: int, logs: Floats) -> float:
    """Expected coverage of m of the n individuals, m < n (Chao & Jost 2012, eq. 4a)."""
    missed = 0.0
    whole = logs[n - 1] - logs[n - 1 - m]
    for x in counts:
        if n - x >= m:
            missed += x / n * math.exp(logs[n - x] - logs[n - x - m] - whole)
    return 1.0 - missed


@njit(cache=True, nogil=True)
def _hill(counts: Ints, m: int, n: int, order: int, logs: Floats) -> float:
    """Expected Hill number of m of the n individuals, 1 <= m <= n (Chao et al. 2014)."""
    whole = logs[n] - logs[n - m] - logs[m]
    if order == 0:
        seen = 0.0
        for x in counts:
            seen += 1.0
            if n - x >= m:
                seen -= math.exp(logs[n - x] - logs[n - x - m] - logs[m] - whole)
        return seen
    if order == 2:
        pairs = 0.0
        for x in counts:
            pairs += x * (x - 1.0)
        same = pairs / (n * (n - 1.0)) if n > 1 else 0.0
        return 1.0 / (1.0 / m + (m - 1.0) / m * same)
    entropy = 0.0
    for x in counts:
        for k in range(max(1, m - (n - x)), min(x, m) + 1):
            ways = logs[x] - logs[k] - logs[x - k] + logs[n - x] - logs[m - k] - logs[n - x - m + k] - whole
            entropy -= k / m * math.log(k / m) * math.exp(ways)
    return math.exp(entropy)


@njit(cache=True, nogil=True)
def _at_sizes(
    offsets: Ints, counts: Ints, n: Ints, sizes: Ints, order: int, logs: Floats, out: Floats
) -> None:
    for i in range(len(n)):
        if 1 <= sizes[i] <= n[i]:
            out[i] = _hill(counts[offsets[i] : offsets[i + 1]], sizes[i], n[i], order, logs)


@njit(cache=True, nogil=True)
def _sizes_of_coverage(offsets: Ints, counts: Ints, n: Ints, target: float, logs: Floats, out: Ints) -> None:
    """Largest m < n whose expected coverage is at most the target; 0 when one individual covers more."""
    for i in range(len(n)):
        sample = counts[offsets[i] : offsets[i + 1]]
        low, high = 0, n[i] - 1
        while low < high:
            middle = (low + high + 1) // 2
            if _coverage(sample, middle, n[i], logs) <= target:
                low = middle
            else:
                high = middle - 1
        out[i] = max(low, 0)


@njit(cache=True, nogil=True)
def _coverages(offsets: Ints, counts: Ints, n: Ints, sizes: Ints, logs: Floats, out: Floats) -> None:
    for i in range(len(n)):
        if 1 <= sizes[i] < n[i]:
            out[i] = _coverage(counts[offsets[i] : offsets[i + 1]], sizes[i], n[i], logs)


@njit(cache=True, nogil=True)
def _shannon(
    offsets: Ints, counts: Ints, n: Ints, f1: Ints, share: Floats, harmonic: Floats, out: Floats
) -> None:
    for i in range(len(n)):
        if n[i] < 1:
            continue
        size = n[i]
        entropy = 0.0
        for k in range(offsets[i], offsets[i + 1]):
            entropy += counts[k] / size * (harmonic[size - 1] - harmonic[counts[k] - 1])
        a = share[i]
        if f1[i] > 0 and 0.0 < a < 1.0:
            # -ln a less its first n-1 terms is the tail of its series: summed here, as subtracting cancels.
            tail = 0.0
            power = 1.0 - a
            r = size
            while True:
                term = power / r
                tail += term
                if term < 1e-12 * tail or r > size + 200_000:
                    break
                power *= 1.0 - a
                r += 1
            entropy += f1[i] / size * tail
        out[i] = entropy


def shannon(a: Abundances) -> Floats:
    """Nearly unbiased Shannon entropy of the source, in nats (Chao, Wang & Jost 2013): float64[n], NaN
    when empty.
    """
    n, f1 = a.individuals, a.occurring(1)
    harmonic = np.concatenate(([0.0], np.cumsum(1.0 / np.arange(1, max(int(n.max(initial=1)), 1) + 1))))
    out = np.full(len(n), np.nan)
    _shannon(a.offsets, a.counts, n, f1, 1.0 - _unseen_decay(a), harmonic, out)
    return out


def hill(a: Abundances, order: int) -> Floats:
    """Observed Hill number of order 0, 1 or 2 (effective number of species): float64[n], NaN when empty."""
    return at_size(a, a.individuals, order)


def asymptotic(a: Abundances, order: int) -> Floats:
    """Estimated Hill number of the source: Chao1, exp of `shannon`, or the unbiased inverse Simpson; NaN when
    empty.

    Of order 2 it is infinite where no species occurs twice.
    """
    n = a.individuals.astype(np.float64)
    if order == 0:
        return np.where(n > 0, chao1(a), np.nan)
    if order == 1:
        return np.exp(shannon(a))
    running = np.concatenate(([0.0], np.cumsum(a.counts * (a.counts - 1.0))))
    pairs = running[a.offsets[1:]] - running[a.offsets[:-1]]
    some = np.divide(n * (n - 1), pairs, out=np.full(len(n), np.inf), where=pairs > 0)
    return np.where(n > 0, some, np.nan)


def _log_factorials(n: Ints) -> Floats:
    return np.asarray(gammaln(np.arange(int(n.max(initial=0)) + 2) + 1.0))


def at_size(a: Abundances, sizes: Ints | int, order: int) -> Floats:
    """Expected Hill number of `sizes` individuals: rarefied below n, extrapolated to at most 2n, else NaN.

    sizes: int64[n] or one for all. order: 0, 1 or 2. Extrapolation as in iNEXT: by the last step of the
    accumulation curve towards the asymptote.
    """
    n = a.individuals
    m = np.broadcast_to(np.asarray(sizes, dtype=np.int64), n.shape)
    logs = _log_factorials(n)
    out = np.full(len(n), np.nan)
    _at_sizes(a.offsets, a.counts, n, np.ascontiguousarray(m), order, logs, out)
    beyond = (m > n) & (m <= 2 * n) & (n > 1)
    if not beyond.any():
        return out
    if order == 2:
        limit = asymptotic(a, 2)
        steps = 1 / m.clip(1) + (m - 1) / m.clip(1) / limit
        return np.where(beyond, 1 / np.where(beyond, steps, 1.0), out)
    last, before = (np.full(len(n), np.nan) for _ in range(2))
    _at_sizes(a.offsets, a.counts, n, n, order, logs, last)
    _at_sizes(a.offsets, a.counts, n, n - 1, order, logs, before)
    limit = np.maximum(asymptotic(a, order), last)
    step = np.divide(last - before, limit - before, out=np.zeros(len(n)), where=limit - before > 1e-12)
    extrapolated = last + (limit - last) * (1 - (1 - step) ** (m - n).clip(0))
    return np.where(beyond, extrapolated, out)


def coverage_at(a: Abundances, sizes: Ints | int) -> Floats:
    """Expected sample coverage of `sizes` individuals, extrapolated beyond n: float64[n], NaN when empty."""
    n = a.individuals
    m = np.broadcast_to(np.asarray(sizes, dtype=np.int64), n.shape)
    out = np.full(len(n), np.nan)
    _coverages(a.offsets, a.counts, n, np.ascontiguousarray(m), _log_factorials(n), out)
    decay = _unseen_decay(a)
    missed = a.occurring(1) / np.maximum(n, 1) * decay ** ((m - n).clip(0) + 1.0)
    return np.where((m >= n) & (n > 0), 1 - missed, out)


def at_coverage(a: Abundances, target: float, orders: Sequence[int]) -> list[Floats]:
    """Expected Hill numbers of some orders at equal sample coverage (Chao & Jost 2012): float64[n] each.

    Linear between the two whole sizes around the target; NaN where even 2n individuals are not expected to
    reach it.
    """
    n = a.individuals
    below = np.zeros(len(n), dtype=np.int64)
    _sizes_of_coverage(a.offsets, a.counts, n, target, _log_factorials(n), below)
    covered, decay = sample_coverage(a), _unseen_decay(a)
    short = covered <= target
    with np.errstate(divide="ignore", invalid="ignore"):
        extra = np.log((1 - target) * n / a.occurring(1)) / np.log(decay) - 1
    below = np.where(
        short, n + np.floor(np.nan_to_num(extra, nan=0.0, posinf=1e9, neginf=0.0)).astype(np.int64), below
    )
    low, high = coverage_at(a, below), coverage_at(a, below + 1)
    low = np.where(below == 0, 0.0, low)
    share = np.divide(target - low, high - low, out=np.zeros(len(n)), where=high - low > 0).clip(0, 1)
    out = []
    for order in orders:
        smaller = np.where(below == 0, 0.0, at_size(a, below, order))
        larger = at_size(a, below + 1, order)
        mixed = np.where(share > 0, (1 - share) * smaller + share * larger, smaller)
        # One individual is one species however little it covers.
        out.append(np.where(n > 0, np.maximum(mixed, 1.0), np.nan))
    return out
