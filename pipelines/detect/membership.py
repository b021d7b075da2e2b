"""Who belongs to a list: every account held against the list that a seed group shares (METHOD 3.3).

Pairs are noisy; a list pooled over a group is known well, so an account is judged by its own noise only. The
log-odds are a sum of terms that each have a reading, not a fitted black box:

    min(log likelihood ratio of list over own urn, 14)        prompts that the list explains and the account does not
    + 7 (share of the members it is linked to - 1/2)           the pairwise test, in the view that links it best
    + 4 ln(1 - repeats) + ln(first turns)                      a harvester buys an answer once and hardly talks on
    - max(0, z - 3/2)^2 / c                                    its mean is not the list's, z in standard errors
    - max(0, prompts shared with members - 12 %)               a harvester never pays twice
    + 0.7 (alike: one hand has one habit, see `alike`)
    + own evidence, - 4 (few accounts belong to any list; less, the more accounts there are)

Belongs here: these measures and the growth of a seed. Not here: whether the group is a campaign (`campaigns`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipelines.detect.accounts import Accounts
from pipelines.detect.alike import Habits, alike
from pipelines.detect.arrays import entries_of
from pipelines.detect.candidates import Neighbours, SameSource, count_links
from pipelines.detect.list_model import ListFit, fit_list, ratios_to

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
STRICTNESS: Final = (1.0, 0.2, 0.0)
"""Weights of a mean apart that are tried: strict for plain lists, lax for lists under cover."""
LEAST_LINKED: Final = 0.02
"""Share of the members to which an account must be linked to be looked at."""
_STEPS: Final = 4
SMALLEST: Final = 4


@dataclass(frozen=True)
class Frame:
    """What does not change from group to group. rows: int64[r], accounts that may belong, ascending. place:
    int64[accounts], places in the rows, -1 for others. linked: per view who is linked to whom. habit: float64[r],
    repeats, first turns and own evidence in nats. habits: of the rows. asked, askers: longer prompts of all samples,
    csr[accounts, prompts] and its transpose."""

    same: SameSource
    rows: NDArray[np.int64]
    place: NDArray[np.int64]
    linked: Sequence[Neighbours]
    habit: NDArray[np.float64]
    habits: Habits
    asked: csr_matrix
    askers: csr_matrix
    long: NDArray[np.float64]

    @property
    def prior(self) -> float:
        """Log-odds against belonging: a list has as many members among ten times as many accounts."""
        return PRIOR + max(0.0, float(np.log(len(self.rows) / PRIOR_ACCOUNTS)))


@dataclass(frozen=True)
class Held:
    """Accounts held against a list. odds, ratio: float64[rows of the frame], -inf for accounts with hardly a link to
    its members, which are not looked at. fitted: their list."""

    odds: NDArray[np.float64]
    ratio: NDArray[np.float64]
    fitted: ListFit


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
    asked = _long_prompts(accounts)
    long = np.diff(asked.indptr).astype(np.float64)
    place = np.full(len(accounts), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return Frame(same, rows, place, linked, habit, habits, asked, asked.T.tocsr(), long)


def _long_prompts(accounts: Accounts) -> csr_matrix:
    """Which longer prompt each account asked: csr int8[accounts, prompts]."""
    kept = accounts.sample.telling
    distinct, prompt = np.unique(accounts.sample.hashes[kept], return_inverse=True)
    owner = accounts.sample.owner[kept]
    return csr_matrix(
        (np.ones(len(owner), np.int8), (owner, prompt)), shape=(len(accounts), max(len(distinct), 1))
    )


def shared_with(f: Frame, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many longer prompts of each account another member asked too, float64[accounts]."""
    entries = entries_of(f.asked.indptr, members)
    prompts, times = np.unique(f.asked.indices[entries], return_counts=True)
    places = entries_of(f.askers.indptr, prompts)
    askers = f.askers.indices[places]
    of = np.repeat(times, f.askers.indptr[prompts + 1] - f.askers.indptr[prompts])
    inside = np.zeros(f.asked.shape[0], dtype=bool)
    inside[members] = True
    shared = np.bincount(askers, weights=(of - inside[askers] > 0).astype(np.float64), minlength=len(inside))
    return np.asarray(shared, dtype=np.float64)


def linked_share(f: Frame, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the (other) members that each account is linked to, in the view that links it best;
    float64[accounts]."""
    size = f.asked.shape[0]
    most = np.zeros(size, dtype=np.int64)
    for nearby in f.linked:
        np.maximum(most, count_links(nearby, members, size), out=most)
    inside = np.zeros(size)
    inside[members] = 1.0
    return np.asarray(most / np.maximum(len(members) - inside, 1))


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
class _Reading:
    """What does not depend on the view. at: int64[k], places of the accounts looked at in the rows of the frame.
    ratio, odds: float64[k]. fitted: the list of the members."""

    at: NDArray[np.int64]
    ratio: NDArray[np.float64]
    odds: NDArray[np.float64]
    fitted: ListFit


def _read(f: Frame, members: NDArray[np.int64]) -> _Reading:
    """The accounts with links to the members held against their list. A member's own prompts are taken out of it."""
    accounts = f.same.accounts
    share = linked_share(f, members)
    near = share >= LEAST_LINKED
    near[members] = True
    at = np.flatnonzero(near[f.rows])
    rows = f.rows[at]
    fitted = fit_list(accounts.histogram, f.same.urn, members)
    ratio, _ = ratios_to(accounts.histogram, f.same.urn, rows, fitted.cells)
    ratio[np.searchsorted(rows, members)] = fitted.ratio
    shared = shared_with(f, members)[rows] - USUAL_DUPLICATES * f.long[rows] - 1
    odds = (
        np.minimum(ratio, MOST_RATIO)
        + LINKED * (share[rows] - 0.5)
        + f.habit[at]
        + ALIKE * alike(f.habits, f.place[members], at)
        - np.clip(shared, 0, 12)
        - f.prior
    )
    return _Reading(at, ratio, odds, fitted)


def grow(f: Frame, seed: NDArray[np.int64], view: int) -> list[tuple[NDArray[np.int64], Held]]:
    """The lists that a seed grows into, one for each strictness that leaves any: (members, accounts held against it).

    Each step keeps whom the log-odds favour, at most doubling the group, so that a seed cannot run away in one step.
    """
    read: dict[bytes, _Reading] = {}
    seed = seed[f.place[seed] >= 0]
    if len(seed) < SMALLEST:
        return []

    def hold(members: NDArray[np.int64], strictness: float) -> Held:
        reading = read.get(members.tobytes())
        if reading is None:
            reading = read[members.tobytes()] = _read(f, members)
        odds, ratio = np.full(len(f.rows), -np.inf), np.full(len(f.rows), -np.inf)
        odds[reading.at], ratio[reading.at] = reading.odds, reading.ratio
        if strictness:
            distance = apart(f, members, view, f.rows[reading.at])
            odds[reading.at] -= strictness * np.maximum(distance - 1.5, 0) ** 2
        return Held(odds, ratio, reading.fitted)

    grown = []
    for strictness in STRICTNESS:
        members, held = seed, hold(seed, strictness)
        for _ in range(_STEPS):
            likely = np.flatnonzero(held.odds > 0)
            best_first = likely[np.argsort(-held.odds[likely], kind="stable")]
            joined = np.sort(f.rows[best_first[: max(2 * len(members), 12)]])
            if len(joined) < SMALLEST or np.array_equal(joined, members):
                break
            members, held = joined, hold(joined, strictness)
        grown.append((members, held))
    return grown
