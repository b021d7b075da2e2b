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
from pipelines.detect.list_model import ListFit, fit_list, may_reach, ratios_to
from pipelines.detect.neighbours import Neighbours

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


def shared_with(f: Frame, members: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many longer prompts of some accounts another member asked too, float64[rows]."""
    entries = entries_of(f.asked.indptr, members)
    inside = np.zeros(f.asked.shape[0], dtype=bool)
    inside[members] = True
    shared = np.zeros(len(rows))
    times = np.zeros(f.asked.shape[1], dtype=np.uint8)
    _shared_with(rows, inside[rows], f.asked.indptr, f.asked.indices, f.asked.indices[entries], times, shared)
    return shared


@njit(cache=True, nogil=True)
def _shared_with(
    rows: NDArray[np.int64],
    inside: NDArray[np.bool_],
    offsets: NDArray[np.int32],
    prompts: NDArray[np.int32],
    asked: NDArray[np.int32],
    times: NDArray[np.uint8],
    shared: NDArray[np.float64],
) -> None:
    """asked: the members' prompts. times: uint8[prompts], zeros; counts up to 2."""
    for prompt in asked:
        times[prompt] = min(times[prompt] + 1, 2)
    for i in range(len(rows)):
        for k in range(offsets[rows[i]], offsets[rows[i] + 1]):
            shared[i] += times[prompts[k]] > inside[i]


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


def apart(f: Frame, members: NDArray[np.int64], view: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """D2 of the means of some accounts from the members' centre in standard errors, clipped to -6..8; float64[rows]. A
    member is taken out of the centre before it is measured."""
    v = f.same.graphs[view].vectors
    weight = np.minimum(v.n[members], HEAVIEST)
    total, mass = weight @ v.mean[members], max(float(weight.sum()), 1e-9)
    distance = ((v.mean[rows] - total / mass) ** 2).sum(axis=1)
    place = np.minimum(np.searchsorted(members, rows), len(members) - 1)
    inside = members[place] == rows
    own = members[place[inside]]
    mine = np.minimum(v.n[own], HEAVIEST)[:, None]
    distance[inside] = (
        (v.mean[own] - (total - mine * v.mean[own]) / np.maximum(mass - mine, 1e-9)) ** 2
    ).sum(axis=1)
    n = np.maximum(v.n[rows], 1)
    d2 = distance - v.trace[rows] / n - float(v.trace[members].mean()) / mass
    spread = float(np.sqrt(np.mean(v.spread[members] ** 2)))
    return np.asarray(np.clip(d2 / np.maximum(np.sqrt(2) * spread / n, 1e-9), -6, 8))


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
    accounts = f.same.accounts
    fitted = fit_list(accounts.histogram, f.same.urn, members)
    own = f.place[members]
    least = np.empty(len(at))
    _least_ratios(at, share, f.habit, f.prior, alike_table(f.habits, own), f.habits.bins, least)
    least[np.searchsorted(at, own)] = -np.inf
    some = np.flatnonzero(may_reach(accounts.histogram, f.same.urn, f.rows[at], fitted.cells, least))
    odds = _odds(f, members, view, fitted, at[some], share[some])
    inside = np.searchsorted(at[some], own)
    likely = odds > LEAST_ODDS
    likely[inside] = False
    return Reading(members, view, fitted, odds[inside], at[some[likely]], odds[likely])


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


@njit(cache=True, nogil=True)
def _least_ratios(
    at: NDArray[np.int64],
    share: NDArray[np.float64],
    habit: NDArray[np.float64],
    prior: float,
    table: NDArray[np.float64],
    bins: NDArray[np.int16],
    least: NDArray[np.float64],
) -> None:
    """The ratios below which the log-odds of accounts that are no members cannot be above LEAST_ODDS, to rounding;
    infinite where even the largest that counts would not do. table: what each bin of each habit says (`alike`)."""
    for i in range(len(at)):
        rest = LINKED * (share[i] - 0.5) + habit[at[i]] - prior - LEAST_ODDS
        for h in range(len(table)):
            rest += ALIKE * table[h, bins[at[i], h]]
        least[i] = -rest - _ROUNDING if MOST_RATIO + rest > -_ROUNDING else np.inf


def _odds(
    f: Frame,
    members: NDArray[np.int64],
    view: int,
    fitted: ListFit,
    at: NDArray[np.int64],
    share: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Log-odds of some accounts, all members among them, whose own prompts are taken out of the list."""
    rows = f.rows[at]
    ratio, _ = ratios_to(f.same.accounts.histogram, f.same.urn, rows, fitted.cells)
    ratio[np.searchsorted(at, f.place[members])] = fitted.ratio
    shared = shared_with(f, members, rows) - USUAL_DUPLICATES * f.long[rows] - 1
    return np.asarray(
        np.minimum(ratio, MOST_RATIO)
        + LINKED * (share - 0.5)
        + f.habit[at]
        + ALIKE * alike(f.habits, f.place[members], at)
        - np.clip(shared, 0, 12)
        - np.maximum(apart(f, members, view, rows) - 1.5, 0) ** 2
        - f.prior
    )


def hold(f: Frame, group: Reading) -> NDArray[np.float64]:
    """All accounts held against a list: log-odds float64[rows of the frame], -inf for those with hardly a link to its
    members, which are not looked at."""
    at, share = _looked_at(f, linked_to(f, group.members))
    odds = np.full(len(f.rows), -np.inf)
    odds[at] = _odds(f, group.members, group.view, group.fitted, at, share)
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
