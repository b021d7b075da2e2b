"""Who belongs to a list: every account held against the list that a seed group shares (METHOD 3.3).

Pairs are noisy; a list pooled over a group is known well, so an account is judged by its own noise only. The
log-odds are a sum of terms that each have a reading, not a fitted black box:

    min(log likelihood ratio of list over own urn, 14)        prompts that the list explains and the account does not
    + 7 (share of the members it is linked to - 1/2)           the pairwise test, in the view that links it best
    + 4 ln(1 - repeats) + ln(first turns)                      a harvester buys an answer once and hardly talks on
    - max(0, z - 3/2)^2                                        its mean is not the list's, z in standard errors
    - max(0, prompts shared with members - 12 %)               a harvester never pays twice
    + 0.7 (alike: one hand has one habit, see `alike`)
    + own evidence, - 4 (few accounts belong to any list; less, the more accounts there are)

Belongs here: these measures. Not here: the search for the members of a list (`growth`), nor whether the group is a
campaign (`campaigns`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipelines.detect.accounts import Accounts
from pipelines.detect.alike import Habits, alike, alike_table
from pipelines.detect.arrays import entries_of
from pipelines.detect.candidates import SameSource
from pipelines.detect.list_model import (
    SHARES,
    TANGENTS,
    ListFit,
    best_share,
    fit_list,
    may_reach,
    ratios_to,
    reaches,
)
from pipelines.detect.neighbours import Neighbours
from pipelines.detect.same_source import Vectors

HEAVIEST: Final = 60.0
"""Prompts above which a member weighs no more in the group's centre."""
PRIOR: Final = 4.0
"""Log-odds against an account's belonging to a given list, among so many accounts and fewer."""
PRIOR_ACCOUNTS: Final = 5_000.0
MOST_RATIO: Final = 14.0
LINKED: Final = 7.0
"""Nats between an account linked to all members and one linked to none."""
USUAL_DUPLICATES: Final = 0.12
ALIKE: Final = 0.7
LEAST_LINKED: Final = 0.02
"""Share of the members to which an account must be linked to be looked at."""
LEAST_ODDS: Final = -5.0
"""Log-odds of belonging below which it does not matter how low they are."""
_ROUNDING: Final = 1e-6
"""Nats by which a sum in another order may differ."""


@dataclass(frozen=True)
class Frame:
    """What does not change from group to group. rows: int64[r], accounts that may belong, ascending. place:
    int64[accounts], places in the rows, -1 for others. linked: per view who is linked to whom. habit: float64[r],
    repeats, first turns and own evidence in nats. habits: of the rows. asked: longer prompts of all samples that
    several accounts ask, csr[accounts, prompts]. long: float64[accounts], all longer prompts."""

    same: SameSource
    rows: NDArray[np.int64]
    place: NDArray[np.int64]
    linked: Sequence[Neighbours]
    habit: NDArray[np.float64]
    habits: Habits
    asked: csr_matrix
    long: NDArray[np.float64]

    @property
    def prior(self) -> float:
        """Log-odds against belonging: a list has as many members among ten times as many accounts."""
        return PRIOR + max(0.0, float(np.log(len(self.rows) / PRIOR_ACCOUNTS)))


def frame(
    same: SameSource,
    rows: NDArray[np.int64],
    own: NDArray[np.float64],
    habits: Habits,
    linked: Sequence[Neighbours],
) -> Frame:
    """rows: int64, accounts that may belong to a list, ascending. own: float64[accounts], nats of the accounts' own
    evidence."""
    accounts = same.accounts
    habit = (
        4 * np.log(np.maximum(1 - accounts.repeats, 0.05))
        + np.log(np.maximum(accounts.first_turns, 0.05))
        + own
    )[rows]
    asked, long = _long_prompts(accounts)
    place = np.full(len(accounts), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return Frame(same, rows, place, linked, habit, habits, asked, long)


def _long_prompts(accounts: Accounts) -> tuple[csr_matrix, NDArray[np.float64]]:
    """(which longer prompt that others ask too each account asked: csr int8[accounts, prompts]; how many longer prompts
    it asked: float64[accounts])."""
    kept = accounts.sample.telling
    owner = accounts.sample.owner[kept]
    _, prompt, askers = np.unique(accounts.sample.hashes[kept], return_inverse=True, return_counts=True)
    shared = askers[prompt] > 1
    number = np.cumsum(askers > 1) - 1
    asked = csr_matrix(
        (np.ones(int(shared.sum()), np.int8), (owner[shared], number[prompt[shared]])),
        shape=(len(accounts), max(int((askers > 1).sum()), 1)),
    )
    return asked, np.bincount(owner, minlength=len(accounts)).astype(np.float64)


@dataclass(frozen=True)
class Linked:
    """To how many of some members (int64[k], ascending) each account is linked, by view: int32[views, accounts]."""

    members: NDArray[np.int64]
    count: NDArray[np.int32]


def linked_to(f: Frame, members: NDArray[np.int64], known: Linked | None = None) -> Linked:
    """Who is linked to some members. known: the same of another group, to go on from where the two differ by few."""
    joined, left = members, members[:0]
    count = np.zeros((len(f.linked), len(f.place)), dtype=np.int32)
    if known is not None:
        came = np.setdiff1d(members, known.members, assume_unique=True)
        went = np.setdiff1d(known.members, members, assume_unique=True)
        if len(came) + len(went) < len(members):
            joined, left, count = came, went, known.count.copy()
    for nearby, counted in zip(f.linked, count, strict=True):
        _count_links(*nearby, joined, 1, counted)
        _count_links(*nearby, left, -1, counted)
    return Linked(members, count)


@njit(cache=True, nogil=True)
def _count_links(
    offsets: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    members: NDArray[np.int64],
    each: int,
    count: NDArray[np.int32],
) -> None:
    for member in members:
        for k in range(offsets[member], offsets[member + 1]):
            count[neighbours[k]] += each


@dataclass(frozen=True)
class Reading:
    """Accounts held against the list of a group.

    members: int64[k] account rows, ascending. view: place of the view in which means are compared. fitted: what they
    share. odds: float64[k], log-odds that each belongs to it. others: int64[m], places in the rows of the frame of
    those beside them whose log-odds are above LEAST_ODDS; others_odds: float64[m].
    """

    members: NDArray[np.int64]
    view: int
    fitted: ListFit
    odds: NDArray[np.float64]
    others: NDArray[np.int64]
    others_odds: NDArray[np.float64]


def read(f: Frame, members: NDArray[np.int64], view: int, linked: Linked | None = None) -> Reading:
    """Members (int64[k], ascending, all of them in the frame) and the accounts with links to them, held against their
    list as far as the log-odds may lie above LEAST_ODDS. linked: who is linked to them, where that is known."""
    at, share = _looked_at(f, linked or linked_to(f, members))
    fitted = fit_list(f.same.accounts.histogram, f.same.urn, members)
    odds = _odds(f, members, view, fitted, at, share, LEAST_ODDS)
    likely = odds > LEAST_ODDS
    inside = np.searchsorted(at, f.place[members])
    likely[inside] = False
    return Reading(members, view, fitted, odds[inside], at[likely], odds[likely])


def _looked_at(f: Frame, linked: Linked) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(places of the members and of the accounts with links to them; share of the other members that each of these is
    linked to, in the view that links it best)."""
    at, share = np.empty(len(f.rows), dtype=np.int64), np.empty(len(f.rows))
    inside = np.zeros(len(f.rows), dtype=np.bool_)
    inside[f.place[linked.members]] = True
    found = _look(f.rows, inside, len(linked.members), linked.count, at, share)
    return at[:found].copy(), share[:found].copy()


@njit(cache=True, nogil=True)
def _look(
    rows: NDArray[np.int64],
    inside: NDArray[np.bool_],
    members: int,
    count: NDArray[np.int32],
    at: NDArray[np.int64],
    share: NDArray[np.float64],
) -> int:
    found = 0
    for i in range(len(rows)):
        most = 0
        for view in range(len(count)):
            most = max(most, count[view, rows[i]])
        at[found] = i
        share[found] = most / max(members - inside[i], 1)
        found += inside[i] or share[found] >= LEAST_LINKED
    return found


def _odds(
    f: Frame,
    members: NDArray[np.int64],
    view: int,
    fitted: ListFit,
    at: NDArray[np.int64],
    share: NDArray[np.float64],
    least: float,
) -> NDArray[np.float64]:
    """Log-odds of some accounts, all members among them, whose own prompts are taken out of the list; -inf for others
    whose log-odds are not above `least`."""
    accounts, urn, own = f.same.accounts, f.same.urn, f.place[members]
    odds = LINKED * (share - 0.5) + f.habit[at] - f.prior
    ratio = np.full(len(at), np.nan)
    inside = np.searchsorted(at, own)
    odds[inside] += ALIKE * alike(f.habits, own, own)
    ratio[inside] = fitted.ratio
    table = ALIKE * alike_table(f.habits, own)
    histogram, asked = accounts.histogram, f.asked
    _add_terms(
        f.rows, at, f.habits.bins, table, _centre(f.same.graphs[view].vectors, members),
        (asked.indptr, asked.indices, f.long, _times_asked(f, members)),
        (histogram.indptr, histogram.indices, histogram.data, urn.own, urn.telling), fitted.cells, ratio, least, odds,
    )  # fmt: skip
    return odds


Centre = tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float, float
]
"""(means and prompts of all accounts, D2 from themselves that noise gives their means; sum of the members' means, its
weight, what noise adds to D2 from their centre, their spread)."""


def _centre(v: Vectors, members: NDArray[np.int64]) -> Centre:
    """Of the members in a view, none of whom weighs more than HEAVIEST prompts."""
    weight = np.minimum(v.n[members], HEAVIEST)
    mass = max(float(weight.sum()), 1e-9)
    spread = float(np.sqrt(2 * np.mean(v.spread[members] ** 2)))
    return v.mean, v.n, v.trace, weight @ v.mean[members], mass, float(v.trace[members].mean()) / mass, spread


def _times_asked(f: Frame, members: NDArray[np.int64]) -> NDArray[np.uint8]:
    """How many of the members asked each longer prompt, at most 2: uint8[prompts]."""
    times = np.zeros(f.asked.shape[1], dtype=np.uint8)
    _count_asked(f.asked.indices[entries_of(f.asked.indptr, members)], times)
    return times


@njit(cache=True, nogil=True)
def _count_asked(asked: NDArray[np.int32], times: NDArray[np.uint8]) -> None:
    for prompt in asked:
        times[prompt] = min(times[prompt] + 1, 2)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _squared_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    distance = 0.0
    for k in range(len(one)):
        distance += (one[k] - other[k]) ** 2
    return distance


@njit(cache=True, nogil=True)
def _add_terms(
    rows: NDArray[np.int64],
    at: NDArray[np.int64],
    bins: NDArray[np.int16],
    table: NDArray[np.float64],
    centre: Centre,
    prompts: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8]],
    entries: tuple[
        NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]
    ],
    cells: NDArray[np.float64],
    ratio: NDArray[np.float64],
    least: float,
    odds: NDArray[np.float64],
) -> None:
    """Complete the log-odds, the cheapest terms first, for as long as they can still be above `least`. ratio: of the
    members; NaN for others, whose log-odds lack what their habits say (table: nats, float64[h, bins]) as well. A member
    is taken out of the centre before it is held against it."""
    mean, n, trace, total, mass, noise, spread = centre
    begin_asked, asked, long, times = prompts
    begin_entry, indices, counts, own, telling = entries
    relative, without = np.empty(len(cells)), np.empty(len(total))
    middle = total / mass
    largest, bar = SHARES[-1], least - _ROUNDING
    for i in range(len(at)):
        row = rows[at[i]]
        member = not np.isnan(ratio[i])
        begin, end = begin_entry[row], begin_entry[row + 1]
        if not member:
            for h in range(len(table)):
                odds[i] += table[h, bins[at[i], h]]
            if not reaches(
                indices[begin:end], counts[begin:end], telling[begin:end], cells, TANGENTS, largest,
                bar - odds[i] if odds[i] + MOST_RATIO >= bar else np.inf,
            ):  # fmt: skip
                odds[i] = -np.inf
                continue
        else:
            mine = min(n[row], HEAVIEST)
            for k in range(len(total)):
                without[k] = (total[k] - mine * mean[row, k]) / max(mass - mine, 1e-9)
        asks = max(n[row], 1.0)
        distance = _squared_distance(mean[row], without if member else middle)
        z = (distance - trace[row] / asks - noise) / max(spread / asks, 1e-9)
        odds[i] -= max(min(z, 8.0) - 1.5, 0.0) ** 2
        shared = -1.0 - USUAL_DUPLICATES * long[row]
        for k in range(begin_asked[row], begin_asked[row + 1]):
            shared += times[asked[k]] > member
        odds[i] -= min(max(shared, 0.0), 12.0)
        if not member:
            if odds[i] + MOST_RATIO < bar:
                odds[i] = -np.inf
                continue
            for j in range(begin, end):
                relative[j - begin] = cells[indices[j]] / own[j] - 1
            ratio[i] = best_share(counts[begin:end], relative, SHARES)[0]
        odds[i] += min(ratio[i], MOST_RATIO)


def hold(f: Frame, group: Reading) -> NDArray[np.float64]:
    """All accounts held against a list: log-odds float64[rows of the frame], -inf for those with hardly a link to its
    members, which are not looked at."""
    at, share = _looked_at(f, linked_to(f, group.members))
    odds = np.full(len(f.rows), -np.inf)
    odds[at] = _odds(f, group.members, group.view, group.fitted, at, share, -np.inf)
    return odds


def near(f: Frame, group: Reading) -> int:
    """Accounts looked at beside the members that the list explains better than the lower quarter of the members."""
    histogram, urn, cells = f.same.accounts.histogram, f.same.urn, group.fitted.cells
    typical = float(np.quantile(group.fitted.ratio, 0.25))
    at, _ = _looked_at(f, linked_to(f, group.members))
    least = np.full(len(at), typical - _ROUNDING)
    least[np.searchsorted(at, f.place[group.members])] = np.inf
    rows = f.rows[at]
    ratio, _ = ratios_to(histogram, urn, rows[may_reach(histogram, urn, rows, cells, least)], cells)
    return int((ratio > typical).sum())
