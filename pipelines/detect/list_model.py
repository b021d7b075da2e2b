"""Which of its prompts an account took from a list that others share, and which are its own (METHOD 3.3).

Own prompts follow a nested Polya urn: a topic is drawn again in proportion to how often it was drawn before, and a
cell inside its topic likewise, both starting from the population's shares. Prompts from a list follow the list's cell
distribution whatever came before. An account's log likelihood ratio is that of the mixture over the urn alone, every
prompt judged by the account's other prompts (leave-one-out), and with its own prompts taken out of the list.

Belongs here: the urn, the list, the ratio. Not here: where groups come from (`communities`, `sub_traffic`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipelines.detect.arrays import entries_of, owners_among, owners_of

SHARES: Final = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.98])
"""Shares of list prompts that are tried; the best one counts."""
TANGENTS: Final = SHARES[:-1:2].copy()
"""Shares at which the likelihood is bounded by its tangents, the smallest one that is tried first."""
PRIOR_PROMPTS: Final = 50.0
"""Weight of the population in a list's distribution, in prompts."""
_STEPS: Final = 4
_URNS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1e6)
"""Concentrations that are tried, in prompts; the last one is the population itself."""
_LEAST: Final = 1e-9
_ROUNDING: Final = 1e-6
"""Share by which sums in single precision may differ."""
_CAP: Final = 0.05


@dataclass(frozen=True)
class Urn:
    """The population's prompts. ordinary: float64[cells], mean of the accounts' shares, each capped at 0.05 (METHOD
    3.4). own: float64[nnz], probability of each entry of the histogram under the account's other prompts. telling:
    float32[nnz], count of each entry over that probability. topics: of the prompt map."""

    ordinary: NDArray[np.float64]
    own: NDArray[np.float64]
    telling: NDArray[np.float32]
    topics: int


@dataclass(frozen=True)
class ListFit:
    """How k members share a list. ratio: float64[k] log likelihood ratio, nats. share: float64[k], of prompts from
    the list. cells: float64[cells], distribution of the list. responsible: float64[entries], probability that the
    prompts of each entry of the members' histograms, in order, come from the list."""

    ratio: NDArray[np.float64]
    share: NDArray[np.float64]
    cells: NDArray[np.float64]
    responsible: NDArray[np.float64]


def ordinary_shares(histogram: csr_matrix) -> NDArray[np.float64]:
    """The ordinary account's cell distribution: mean of the shares, each capped."""
    total = np.asarray(histogram.sum(axis=1)).ravel()
    owner = owners_of(histogram.indptr)
    share = np.minimum(histogram.data / np.maximum(total[owner], 1), _CAP)
    summed = np.bincount(histogram.indices, weights=share, minlength=histogram.shape[1]) + 1e-2
    return np.asarray(summed / summed.sum())


def _topic_counts(
    histogram: csr_matrix, topics: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(owner, topic, count of that topic in that account) of every entry."""
    owner = owners_of(histogram.indptr)
    topic = histogram.indices.astype(np.int64) // (histogram.shape[1] // topics)
    key = owner * topics + topic
    count = np.bincount(key, weights=histogram.data, minlength=histogram.shape[0] * topics)
    return owner, topic, count[key]


def fit_urn(histogram: csr_matrix, topics: int) -> Urn:
    """Every account's own urn: both concentrations by leave-one-out likelihood, each for itself.

    One concentration for everybody would call every broad account (a gateway, a person of many interests) a member
    of every broad list; with its own, what speaks for a list is only what the account's own breadth does not explain.
    """
    ordinary = ordinary_shares(histogram)
    size = histogram.shape[0]
    per_topic = np.bincount(np.arange(len(ordinary)) // (len(ordinary) // topics), weights=ordinary)
    owner, topic, count = _topic_counts(histogram, topics)
    total = np.asarray(histogram.sum(axis=1)).ravel()[owner]
    of_topic = per_topic[topic]
    of_cell = ordinary[histogram.indices] / of_topic
    by_topic = _best_of(
        [(a * of_topic + count - 1) / (a + total - 1) for a in _URNS], histogram.data, owner, size
    )
    by_cell = _best_of(
        [(a * of_cell + histogram.data - 1) / (a + count - 1) for a in _URNS], histogram.data, owner, size
    )
    own = np.maximum(by_topic * by_cell, _LEAST)
    return Urn(ordinary, own, (histogram.data / own).astype(np.float32), topics)


def _best_of(
    tried: Sequence[NDArray[np.float64]], counts: NDArray[np.float64], owner: NDArray[np.int64], size: int
) -> NDArray[np.float64]:
    """For every account the alternative under which its entries are likeliest."""
    best = np.full(size, -np.inf)
    chosen = np.empty(len(counts))
    for probability in tried:
        fit = np.bincount(owner, weights=counts * np.log(np.maximum(probability, _LEAST)), minlength=size)
        better = fit > best
        best[better] = fit[better]
        chosen[better[owner]] = probability[better[owner]]
    return chosen


@njit(cache=True, nogil=True)
def best_share(
    counts: NDArray[np.float64], relative: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[float, float]:
    """The largest log likelihood ratio of an account over the shares that are tried, and its share. relative: what the
    list says of each of its entries over what its own urn does, less 1."""
    # The log likelihood is concave in the share: its slope changes sign once, for most accounts below every share.
    low, high, middle = -1, len(shares) - 1, 0
    while low < high:
        slope = 0.0
        for j in range(len(counts)):
            slope += counts[j] * relative[j] / (1 + shares[middle] * relative[j])
        if slope > 0:
            low = middle
        else:
            high = middle - 1
        middle = (low + high + 1) // 2
    best, share = -np.inf, 0.0
    for s in range(max(low, 0), min(low + 2, len(shares))):
        # The logarithm of a product, taken whenever the product leaves the range in which it is exact.
        tried, product = 0.0, 1.0
        for j in range(len(counts)):
            factor = 1 + shares[s] * relative[j]
            if counts[j] != 1:
                tried += counts[j] * np.log(factor)
                continue
            product *= factor
            if not 1e-150 < product < 1e150:
                tried += np.log(product)
                product = 1.0
        tried += np.log(product)
        if tried > best:
            best, share = tried, shares[s]
    return best, share


@njit(cache=True, nogil=True)
def _ratios(
    rows: NDArray[np.int64],
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    counts: NDArray[np.float64],
    own: NDArray[np.float64],
    mass: NDArray[np.float64],
    total: float,
    inside: NDArray[np.float64],
    ordinary: NDArray[np.float64],
    shares: NDArray[np.float64],
    prior: float,
    ratio: NDArray[np.float64],
    share: NDArray[np.float64],
) -> None:
    """inside: per entry of `rows` in order, its mass in the list (0 for accounts that are not in it)."""
    relative = np.empty(1 + int((indptr[rows + 1] - indptr[rows]).max()) if len(rows) else 1)
    at = 0
    for i in range(len(rows)):
        begin, end = indptr[rows[i]], indptr[rows[i] + 1]
        mine = 0.0
        for j in range(end - begin):
            mine += inside[at + j]
        for j in range(end - begin):
            cell = indices[begin + j]
            listed = (mass[cell] - inside[at + j] + prior * ordinary[cell]) / (total - mine + prior)
            relative[j] = listed / own[begin + j] - 1
        ratio[i], share[i] = best_share(counts[begin:end], relative, shares)
        at += end - begin


def fit_list(histogram: csr_matrix, urn: Urn, members: NDArray[np.int64]) -> ListFit:
    """The list that members share, by a few steps of expectation and maximisation. No member adds more than twice the
    median to it."""
    places = entries_of(histogram.indptr, members)
    owner = owners_among(histogram.indptr, members)
    counts: NDArray[np.float64] = histogram.data[places]
    cells: NDArray[np.int32] = histogram.indices[places]
    ratio, share = np.zeros(len(members)), np.full(len(members), 0.5)
    responsible = np.ones(len(places))
    mass: NDArray[np.float64] = np.zeros(len(urn.ordinary))
    total = 0.0
    for _ in range(_STEPS):
        inside = counts * responsible
        given = np.bincount(owner, weights=inside, minlength=len(members))
        inside *= np.minimum(1.0, 2 * np.median(given) / np.maximum(given, 1e-9))[owner]
        mass = np.bincount(cells, weights=inside, minlength=len(urn.ordinary)).astype(np.float64)
        total = float(mass.sum())
        _ratios(
            members, histogram.indptr, histogram.indices, histogram.data, urn.own, mass, total, inside, urn.ordinary,
            SHARES, PRIOR_PROMPTS, ratio, share,
        )  # fmt: skip
        listed = share[owner] * (mass[cells] + PRIOR_PROMPTS * urn.ordinary[cells]) / (total + PRIOR_PROMPTS)
        responsible = listed / (listed + (1 - share[owner]) * urn.own[places])
    return ListFit(ratio, share, (mass + PRIOR_PROMPTS * urn.ordinary) / (total + PRIOR_PROMPTS), responsible)


def ratios_to(
    histogram: csr_matrix, urn: Urn, rows: NDArray[np.int64], cells: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(ratio, share) of accounts outside a list with the given cell distribution, float64[rows] each."""
    ratio, share = np.zeros(len(rows)), np.zeros(len(rows))
    none = np.zeros(len(entries_of(histogram.indptr, rows)))
    _ratios(
        rows, histogram.indptr, histogram.indices, histogram.data, urn.own, cells, 1.0, none, urn.ordinary, SHARES, 0.0,
        ratio, share,
    )  # fmt: skip
    return ratio, share


def may_reach(
    histogram: csr_matrix,
    urn: Urn,
    rows: NDArray[np.int64],
    cells: NDArray[np.float64],
    least: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which accounts outside a list may have a ratio of at least least (float64[rows]), bool[rows]: no account that
    does is left out.

    The log likelihood is concave in the share and 0 at 0, so its tangents bound it. Where it falls already at the
    smallest share that is tried, that share is the best one.
    """
    out = np.empty(len(rows), dtype=np.bool_)
    _may_reach(
        rows, histogram.indptr, histogram.indices, histogram.data, urn.telling, cells, TANGENTS, float(SHARES[-1]),
        least, out,
    )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def reaches(
    indices: NDArray[np.int32],
    counts: NDArray[np.float64],
    telling: NDArray[np.float32],
    cells: NDArray[np.float64],
    shares: NDArray[np.float64],
    largest: float,
    least: float,
) -> bool:
    """`may_reach` for the entries of one account. shares: where tangents are drawn, the smallest share that is tried
    first. largest: the largest one that is tried."""
    if not np.isfinite(least):
        return bool(least < 0)
    listed, prompts = 0.0, 0.0
    for j in range(len(indices)):
        listed += telling[j] * cells[indices[j]]
        prompts += counts[j]
    slope = listed * (1 + _ROUNDING) - prompts
    if max(largest * slope, shares[0] * slope) < least:
        return False
    bound, before = 0.0, 0.0
    for share in shares:
        bound += (share - before) * slope
        before = share
        slope = 10 * _ROUNDING * prompts
        for j in range(len(indices)):
            seen = telling[j] * cells[indices[j]]
            slope += counts[j] * (seen - counts[j]) / ((1 - share) * counts[j] + share * seen)
        if bound >= least or bound + (largest - share) * max(slope, 0.0) < least:
            break
    return bool(bound + (largest - before) * max(slope, 0.0) >= least)


@njit(cache=True, nogil=True)
def _may_reach(
    rows: NDArray[np.int64],
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    counts: NDArray[np.float64],
    telling: NDArray[np.float32],
    cells: NDArray[np.float64],
    shares: NDArray[np.float64],
    largest: float,
    least: NDArray[np.float64],
    out: NDArray[np.bool_],
) -> None:
    for i in range(len(rows)):
        begin, end = indptr[rows[i]], indptr[rows[i] + 1]
        out[i] = reaches(
            indices[begin:end], counts[begin:end], telling[begin:end], cells, shares, largest, least[i]
        )
