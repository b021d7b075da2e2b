"""Same-source test: are two accounts fed from one list (METHOD section 3)?

    D2(a,b) = |m_a - m_b|^2 - tr S_a / n_a - tr S_b / n_b
    SE      = sqrt(2) (s_a / n_a + s_b / n_b),  s = sqrt(tr S^2)

SE is METHOD's with tr(S_a S_b) = s_a s_b: exact when both accounts draw on one distribution (the hypothesis that is
tested), an upper bound otherwise (Cauchy-Schwarz). The weight of a link is a log Bayes factor: D2 = 0 against the
population's own distribution of D2, taken from pairs with a small SE, both blurred by the pair's SE.

Belongs here: means, scatter, the Bayes factor, the search over pairs. Not here: which pairs are compared when all are
too many (`blocking`), nor what a group of links means.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from pipelines.detect.blocking import HOMES, block

BLOCK: Final = 2048
EXACT: Final = 20_000
"""Accounts up to which all pairs are compared."""
THREADS: Final = 2
KINDS: Final = 32
"""Ranges of noise into which accounts are sorted: a pair's D2 is first held against what the two ranges allow."""
_GRID_SE: Final = 40
_GRID_D2: Final = 400
_SAMPLE_PAIRS: Final = 200_000


@dataclass(frozen=True)
class Vectors:
    """Mean and scatter of A accounts in d dimensions.

    n: float64[A] prompts. mean: float64[A, d]. trace: float64[A], tr S (unbiased; 0 below two prompts).
    spread: float64[A], sqrt(tr S^2).
    """

    n: NDArray[np.float64]
    mean: NDArray[np.float64]
    trace: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def noise(self) -> NDArray[np.float64]:
        """What an account adds to the standard error of D2: sqrt(2) s / n; infinite below two prompts."""
        return np.where(self.n >= 2, np.sqrt(2.0) * self.spread / np.maximum(self.n, 1), np.inf)

    def take(self, rows: NDArray[np.int64]) -> "Vectors":
        """The same for some accounts."""
        return Vectors(self.n[rows], self.mean[rows], self.trace[rows], self.spread[rows])


@dataclass(frozen=True)
class Links:
    """Linked pairs a < b, ordered by a and b. a, b: int32[m] account rows. weight: float32[m], log Bayes factor. d2:
    float32[m]."""

    a: NDArray[np.int32]
    b: NDArray[np.int32]
    weight: NDArray[np.float32]
    d2: NDArray[np.float32]

    @classmethod
    def room(cls, size: int) -> "Links":
        """Arrays for so many links, not filled in."""
        a, b = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
        return cls(a, b, np.empty(size, dtype=np.float32), np.empty(size, dtype=np.float32))


@dataclass(frozen=True)
class BayesFactor:
    """Log Bayes factor of "one list" over "two people" as a table over (SE, D2).

    se: float64[S] ascending. low, step: the D2 grid is low + step * j. table: float64[S, G].
    """

    se: NDArray[np.float64]
    low: float
    step: float
    table: NDArray[np.float64]


def usable_centroids(centroids: NDArray[np.float32]) -> NDArray[np.float64]:
    """Centroids in float64; those of cells that the fit left empty (far outside the unit ball) become 0."""
    z = centroids.astype(np.float64)
    z[np.abs(z).max(axis=1) > 2] = 0
    return z


@njit(cache=True, nogil=True)
def _scatter(
    start: int,
    stop: int,
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    weights: NDArray[np.float64],
    z: NDArray[np.float64],
    squares: NDArray[np.float64],
    n: NDArray[np.float64],
    mean: NDArray[np.float64],
    trace: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> None:
    """squares: (z_c . z_d)^2. Fills n, mean, tr S and sqrt(tr S^2), the latter freed of its small-sample excess, of
    the rows from start to before stop."""
    for i in range(start, stop):
        begin, end = indptr[i], indptr[i + 1]
        total = 0.0
        for j in range(begin, end):
            total += weights[j]
        n[i] = total
        if total <= 0:
            continue
        length = 0.0
        for j in range(begin, end):
            share = weights[j] / total
            c = indices[j]
            for k in range(z.shape[1]):
                mean[i, k] += share * z[c, k]
                length += share * z[c, k] * z[c, k]
        middle = 0.0
        for k in range(z.shape[1]):
            middle += mean[i, k] * mean[i, k]
        if total < 2:
            continue
        trace[i] = max(total / (total - 1) * (length - middle), 0.0)
        second = middle * middle
        for j in range(begin, end):
            share = weights[j] / total
            c = indices[j]
            along = 0.0
            for k in range(z.shape[1]):
                along += z[c, k] * mean[i, k]
            second -= 2 * share * along * along
            for other in range(begin, end):
                second += share * weights[other] / total * squares[c, indices[other]]
        spread[i] = np.sqrt(max(second - trace[i] * trace[i] / total, 0.2 * second, 0.0))


def vectors(histogram: csr_matrix, z: NDArray[np.float64]) -> Vectors:
    """Mean and scatter of every row of a cell histogram (csr float64[A, cells]) under centroids z."""
    size = histogram.shape[0]
    squares = (z @ z.T) ** 2
    n, trace, spread = (np.zeros(size) for _ in range(3))
    mean = np.zeros((size, z.shape[1]))
    entries = (histogram.indptr, histogram.indices, histogram.data)
    with ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, size, BLOCK):
            end = min(begin + BLOCK, size)
            pool.submit(_scatter, begin, end, *entries, z, squares, n, mean, trace, spread)
    return Vectors(n, mean, trace, spread)


def pair_d2(v: Vectors, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """D2 of the pairs (a, b)."""
    d2: NDArray[np.float64] = np.empty(len(a))
    for begin in range(0, len(a), _SAMPLE_PAIRS):  # so that memory is bounded
        one, other = a[begin : begin + _SAMPLE_PAIRS], b[begin : begin + _SAMPLE_PAIRS]
        d2[begin : begin + _SAMPLE_PAIRS] = (
            ((v.mean[one] - v.mean[other]) ** 2).sum(axis=1)
            - v.trace[one] / np.maximum(v.n[one], 1)
            - v.trace[other] / np.maximum(v.n[other], 1)
        )
    return d2


def bayes_factor(v: Vectors, rows: NDArray[np.int64], seed: int = 0) -> BayesFactor:
    """The table for the population of these accounts (int64, row numbers of v).

    The population's D2 is read off random pairs of the quarter of the accounts with the least noise; a floor of one
    pair in a thousand, spread evenly up to the median, keeps a population that is nowhere near 0 from making links
    certain.
    """
    noise = v.noise[rows]
    quiet = rows[noise <= np.quantile(noise, 0.25)] if len(rows) else rows
    rng = np.random.default_rng(seed)
    a, b = (
        (quiet[rng.integers(0, max(len(quiet), 1), _SAMPLE_PAIRS)] for _ in range(2))
        if len(quiet) > 1
        else (quiet, quiet)
    )
    apart = a != b
    seen = np.maximum(pair_d2(v, a[apart], b[apart]), 0.0)
    if len(seen) == 0:
        seen = np.array([0.3])
    top = float(max(np.quantile(seen, 0.999), 1e-3))
    edges = np.linspace(0.0, top, 201)
    mass = np.histogram(np.minimum(seen, top * (1 - 1e-9)), edges)[0] / len(seen)
    middle = 0.5 * (edges[1:] + edges[:-1])
    low_half = middle <= np.median(seen)
    mass = mass * 0.999 + 0.001 * low_half / max(int(low_half.sum()), 1)
    se = np.geomspace(
        max(float(noise.min(initial=1e-3)) * 2, 1e-5), max(float(np.median(seen)), 1e-3), _GRID_SE
    )
    low = -3.0 * float(se[-1])
    step = (top - low) / (_GRID_D2 - 1)
    grid = low + step * np.arange(_GRID_D2)
    table = np.empty((_GRID_SE, _GRID_D2))
    for i, width in enumerate(se):
        blurred = np.sqrt(width**2 + (edges[1] - edges[0]) ** 2 / 12)
        far = np.exp(-0.5 * ((grid[:, None] - middle[None, :]) / blurred) ** 2) @ mass / blurred
        # A list drawn without replacement has a D2 a little below 0: what lies below 0 counts as 0.
        near = -0.5 * (np.maximum(grid, 0.0) / width) ** 2 - np.log(width)
        at_zero = np.exp(-0.5 * (middle / blurred) ** 2) @ mass / blurred
        table[i] = near - np.log(np.where(grid < 0, at_zero, np.maximum(far, 1e-300)))
    return BayesFactor(se, low, step, table)


@njit(cache=True, nogil=True)
def _lower(grid: NDArray[np.float64], se: float) -> int:
    """The first place of an ascending grid that is not below se; its length when all are."""
    i, last = 0, len(grid)
    while i < last:
        middle = (i + last) // 2
        if grid[middle] < se:
            i = middle + 1
        else:
            last = middle
    return i


@njit(cache=True, nogil=True)
def _weight(
    d2: float, se: float, grid: NDArray[np.float64], low: float, step: float, table: NDArray[np.float64]
) -> float:
    if not se < grid[-1]:
        return -np.inf
    i = _lower(grid, se)
    j = min(max(int((d2 - low) / step + 0.5), 0), table.shape[1] - 1)
    return float(table[i, j])


@njit(cache=True, nogil=True)
def _weights(
    d2: NDArray[np.float64],
    se: NDArray[np.float64],
    grid: NDArray[np.float64],
    low: float,
    step: float,
    table: NDArray[np.float64],
) -> NDArray[np.float64]:
    out = np.empty(len(d2))
    for i in range(len(d2)):
        out[i] = _weight(d2[i], se[i], grid, low, step, table)
    return out


@njit(cache=True, nogil=True)
def _lives(nearest: NDArray[np.int32], cluster: int) -> bool:
    lives = False
    for home in range(HOMES):
        lives |= nearest[home] == cluster
    return lives


@njit(cache=True, nogil=True)
def _first_common(one: NDArray[np.int32], other: NDArray[np.int32], homes: int) -> int:
    """The smallest cluster in which one of two accounts is seen and the other lives."""
    least = 1 << 30
    for i in range(len(one)):
        for j in range(len(other)):
            if one[i] == other[j] and (i < homes or j < homes):
                least = min(least, one[i])
    return least


@njit(cache=True, nogil=True)
def _collect(
    product: NDArray[np.float32],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    cluster: int,
    nearest: NDArray[np.int32],
    own: NDArray[np.float64],
    noise: NDArray[np.float64],
    kind: NDArray[np.uint8],
    kinds: NDArray[np.float64],
    furthest: NDArray[np.float64],
    grid: NDArray[np.float64],
    low: float,
    step: float,
    table: NDArray[np.float64],
    threshold: float,
    out_a: NDArray[np.int32],
    out_b: NDArray[np.int32],
    out_w: NDArray[np.float32],
    out_d: NDArray[np.float32],
) -> int:
    """Links among the pairs of left x right, whose inner products are given, each in the order of its rows.

    Returns how many there are; writes as many as there is room for. kind: uint8[A], which of the K ranges of noise
    (kinds: float64[K, 2]) each account lies in. furthest: float64[S], by SE the D2 above which there is no link.
    cluster: which block this is; negative when every pair of rows comes but once, in ascending order. A pair that
    several blocks hold counts in the first of them.
    """
    count = 0
    near = np.empty(len(right), dtype=np.int64)
    right_own, right_kind = own[right], kind[right]
    limit = np.empty(len(kinds))
    for i in range(len(left)):
        a = left[i]
        self_a = own[a]
        for k in range(len(kinds)):
            limit[k] = -np.inf
            for s in range(_lower(grid, noise[a] + kinds[k, 0]), len(grid)):
                limit[k] = max(limit[k], furthest[s])
                if grid[s] >= noise[a] + kinds[k, 1]:
                    break
        found = 0
        for j in range(len(right)):
            near[found] = j
            found += self_a + right_own[j] - 2.0 * product[i, j] <= limit[right_kind[j]]
        for k in range(found):
            j = near[k]
            b = right[j]
            if b == a or (cluster < 0 and a > b):
                continue
            d2 = self_a + right_own[j] - 2.0 * product[i, j]
            first, second = min(a, b), max(a, b)
            weight = _weight(d2, noise[first] + noise[second], grid, low, step, table)
            if weight < threshold:
                continue
            if cluster >= 0 and (
                _first_common(nearest[a], nearest[b], HOMES) != cluster
                or (a > b and _lives(nearest[b], cluster))
            ):
                continue
            if count < len(out_a):
                out_a[count] = first
                out_b[count] = second
                out_w[count] = weight
                out_d[count] = d2
            count += 1
    return count


def sampled_weights(v: Vectors, factor: BayesFactor, seed: int = 1) -> NDArray[np.float64]:
    """Log Bayes factors of random pairs; of very many accounts, where links are rare, of ten times as many pairs."""
    rng = np.random.default_rng(seed)
    pairs = _SAMPLE_PAIRS if len(v.n) <= EXACT else 10 * _SAMPLE_PAIRS
    a, b = (rng.integers(0, len(v.n), pairs) for _ in range(2))
    a, b = a[a != b], b[a != b]
    return _weights(
        pair_d2(v, a, b), v.noise[a] + v.noise[b], factor.se, factor.low, factor.step, factor.table
    )


def _furthest(factor: BayesFactor, threshold: float) -> NDArray[np.float64]:
    """By SE, the D2 above which no pair is linked; float64[S]."""
    passes = factor.table >= threshold
    last = factor.table.shape[1] - np.argmax(passes[:, ::-1], axis=1)
    return np.where(passes.any(axis=1), factor.low + factor.step * last, -np.inf)


def _kinds(noise: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Accounts by their noise: (uint8[A] range of each, float64[K, 2] least and largest noise in each range)."""
    edges = np.unique(np.quantile(noise, np.linspace(0, 1, KINDS + 1)[1:-1], method="lower"))
    kind = np.searchsorted(edges, noise, side="left")
    ranges = [(noise[kind == k].min(), noise[kind == k].max()) for k in range(int(kind.max()) + 1)]
    return kind.astype(np.uint8), np.array(ranges)


def link(v: Vectors, factor: BayesFactor, threshold: float, exact: int = EXACT) -> Links:
    """Pairs of v whose log Bayes factor is at least `threshold`, from a float32 product of the means.

    All pairs up to `exact` accounts; of more, those that `blocking` puts side by side. Memory is bounded by a block
    and by the links found.
    """
    size = len(v.n)
    mean = v.mean.astype(np.float32)
    own = (mean.astype(np.float64) ** 2).sum(axis=1) - v.trace / np.maximum(v.n, 1)
    noise = v.noise
    kind, kinds = _kinds(noise)
    furthest = _furthest(factor, threshold)
    nearest = np.empty((0, 1), dtype=np.int32)
    tasks: Iterable[tuple[int, NDArray[np.int64], NDArray[np.int64]]]
    if size <= exact:
        rows = [np.arange(first, min(first + BLOCK, size)) for first in range(0, size, BLOCK)]
        tasks = ((-1, one, other) for place, one in enumerate(rows) for other in rows[place:])
    else:
        with threadpool_limits(1):
            blocks = block(mean)
        nearest = blocks.nearest
        tasks = (
            (cluster, living[first : first + BLOCK], seen)
            for cluster, living, seen in blocks
            for first in range(0, len(living), BLOCK)
        )

    def compare(task: tuple[int, NDArray[np.int64], NDArray[np.int64]]) -> Links:
        cluster, one, other = task
        product = mean[one] @ mean[other].T
        room = 1 << 16
        while True:
            out = Links.room(room)
            found = _collect(
                product, one, other, cluster, nearest, own, noise, kind, kinds, furthest, factor.se, factor.low,
                factor.step, factor.table, threshold, out.a, out.b, out.weight, out.d2,
            )  # fmt: skip
            if found <= room:
                return Links(
                    out.a[:found].copy(),
                    out.b[:found].copy(),
                    out.weight[:found].copy(),
                    out.d2[:found].copy(),
                )
            room = found

    # One thread for each product: those of the library would fight with ours.
    with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(compare, tasks))
    parts.append(Links.room(0))
    left = np.concatenate([part.a for part in parts])
    right = np.concatenate([part.b for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    apart = np.concatenate([part.d2 for part in parts])
    order = np.argsort(left.astype(np.int64) << 32 | right)
    return Links(left[order], right[order], weight[order], apart[order])
