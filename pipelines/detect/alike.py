"""One hand, one habit: how far the members of a group behave alike in what has nothing to do with their prompts.

A load balancer gives its accounts the same volume, one program opens a new conversation for each prompt, one schedule
runs all of them. People who share an interest share none of this. Each habit is cut into bins that hold equal parts of
the population (equal values always share a bin), and a group's distribution over them is held against the population's:

    ln( (k_b + a p_b) / ((k + a) p_b) ),   k_b members of k in the account's bin, p_b the population's share of it

A habit that a group does not share says nothing, whatever it is.

Belongs here: which evidence is a habit, bins, and the two readings of them (of an account, of a group). Not here: how a
habit is measured (`families`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.accounts import Accounts
from pipelines.detect.evidence import Evidence

BINS: Final = 12
PRIOR: Final = 4.0
"""Members' worth of the population that each group starts from."""
MOST_FOR: Final = 1.0
MOST_AGAINST: Final = 2.0
_HABITS: Final = (
    "no_idle_period", "hour_of_week_entropy_nats", "burstiness", "ramp", "throttle_share", "model_move",
    "conversations", "without_replacement", "ordered_sweeps", "probe_then_scale",
)  # fmt: skip
"""Evidence that says how an account works, not what it asks: people who ask the same share templates too."""


@dataclass(frozen=True)
class Habits:
    """bins: int16[r, h], the bin of each account in each habit, BINS where unknown. shares: float64[h, BINS], the
    population's share of each bin."""

    bins: NDArray[np.int16]
    shares: NDArray[np.float64]


def bin_habits(values: Sequence[NDArray[np.float64]]) -> Habits:
    """values: h arrays float64[r], NaN where unknown."""
    size = len(values[0]) if values else 0
    bins = np.full((size, len(values)), BINS, dtype=np.int16)
    shares = np.zeros((len(values), BINS))
    for place, habit in enumerate(values):
        known = np.flatnonzero(~np.isnan(habit))
        if len(known) == 0:
            continue
        ordered = np.sort(habit[known])
        middle = 0.5 * (
            np.searchsorted(ordered, habit[known], side="left")
            + np.searchsorted(ordered, habit[known], side="right")
        )
        bins[known, place] = np.minimum(middle * BINS / len(known), BINS - 1).astype(np.int16)
        shares[place] = np.bincount(bins[known, place], minlength=BINS) / len(known)
    return Habits(bins, shares)


def habits_of(accounts: Accounts, evidence: Sequence[Evidence], rows: NDArray[np.int64]) -> Habits:
    """The habits of some accounts: volume, first turns, and the evidence that says how they work."""
    measured = [e.values for e in evidence if e.reason in _HABITS]
    return bin_habits(
        [habit[rows] for habit in (accounts.requests.astype(np.float64), accounts.first_turns, *measured)]
    )


def _counts(habits: Habits, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """Members in each bin, float64[h, BINS + 1], those unknown in the last."""
    count = np.zeros((habits.bins.shape[1], BINS + 1))
    np.add.at(count, (np.arange(len(count)), habits.bins[members]), 1.0)
    return count


def _nats(
    seen: NDArray[np.float64], of: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    ratio = (seen + PRIOR * expected) / ((of + PRIOR) * expected)
    return np.clip(np.log(np.maximum(ratio, 1e-12)), -MOST_AGAINST, MOST_FOR)


def _shares(habits: Habits) -> NDArray[np.float64]:
    return np.column_stack([np.maximum(habits.shares, 1e-12), np.ones(len(habits.shares))])


def alike_table(habits: Habits, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each bin of each habit says for one hand with the members, nats, float64[h, BINS + 1]; 0 for unknown."""
    count = _counts(habits, members)
    table = _nats(count, count[:, :BINS].sum(axis=1)[:, None], _shares(habits))
    table[:, BINS] = 0.0
    return table


def alike(habits: Habits, members: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the habits of some accounts say for one hand with the (other) members; float64[at], nats. members, at:
    places in the rows of `habits`, members ascending and all of them in `at`, ascending."""
    each = np.arange(habits.bins.shape[1])
    out = np.asarray(alike_table(habits, members)[each, habits.bins[at]].sum(axis=1))
    count, mine = _counts(habits, members), habits.bins[members]
    total = count[:, :BINS].sum(axis=1)
    own = _nats(
        np.maximum(count[each, mine] - 1, 0), np.maximum(total - 1, 0)[None, :], _shares(habits)[each, mine]
    )
    out[np.searchsorted(at, members)] = np.where(mine < BINS, own, 0.0).sum(axis=1)
    return out


def concentration(habits: Habits, members: NDArray[np.int64]) -> float:
    """Divergence of the group's habits from the population's, nats, less what chance makes of it (Miller 1955), summed
    over the habits."""
    count = _counts(habits, members)[:, :BINS]
    total = np.maximum(count.sum(axis=1, keepdims=True), 1.0)
    share = np.maximum(habits.shares, 1e-12)
    seen = count / total
    apart = np.where(seen > 0, seen * np.log(np.maximum(seen, 1e-12) / share), 0.0).sum(axis=1)
    bias = ((habits.shares > 0).sum(axis=1) - 1) / (2 * total[:, 0])
    known = count.sum(axis=1) >= 2
    return float((apart - bias)[known].sum())
