"""From a seed to the list behind it: whom the list favours joins, who fits it least leaves, for as long as that makes
the rest look more like one list.

A seed holds a few accounts that one hand feeds, and others who share an interest with them. Whoever joins by the list
of such a group is again a mixture; what it converges to is a superset, whose unequal members hide the even ones. So a
group is *peeled*: a fifth of it leaves at a time, the list is fitted anew, and the group is kept that is worth most. A
campaign has such a point, where outsiders fall back at once; an interest fades out slowly.

Belongs here: joining, peeling, cutting. Not here: the log-odds (`membership`), which groups are looked at and what they
are worth (`campaigns`).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.communities import cut
from pipelines.detect.membership import LEAST_ODDS, Frame, Linked, Reading, linked_to, read

FEWEST: Final = 4
"""Accounts below which a seed grows into nothing."""
SMALLEST: Final = 6
"""Members below which a list cannot be told."""
LEAVE: Final = 0.2
"""Share of a group that leaves it at a time."""
_ROOM: Final = 12
"""Members that a group may have after one step, if twice as many as before are fewer."""

Members = NDArray[np.int64]
Worth = Callable[[Reading], float]
"""What a group is worth as a campaign, nats."""


def _beside(group: Reading) -> float:
    """Mean log-odds of as many others as there are members, the likeliest ones."""
    count = len(group.members)
    outside = np.full(count, LEAST_ODDS)
    nearest = np.sort(group.others_odds)[::-1][:count]
    outside[: len(nearest)] = nearest
    return float(outside.mean())


def separation(group: Reading) -> float:
    """Mean log-odds of the members less that of as many others, the likeliest ones, nats."""
    return float(group.odds.mean()) - _beside(group)


def bar(group: Reading) -> float:
    """Log-odds above which an account that was left out belongs to the group after all: midway between its members and
    the likeliest others, at least even."""
    return max((float(group.odds.mean()) + _beside(group)) / 2, 0.0)


def joined(f: Frame, group: Reading) -> Members:
    """Whom the log-odds favour, members or not, the likeliest first; a group at most doubles. int64, account rows."""
    at = np.concatenate([f.place[group.members], group.others])
    odds = np.concatenate([group.odds, group.others_odds])
    at, odds = at[odds > 0], odds[odds > 0]
    best_first = at[np.lexsort((at, -odds))]
    return np.sort(f.rows[best_first[: max(2 * len(group.members), _ROOM)]])


def peeled(f: Frame, members: Members, view: int, worth: Worth) -> Reading | None:
    """The part of a group that is worth most; None when it is too small."""
    best, most = None, -np.inf
    linked: Linked | None = None
    while len(members) >= SMALLEST:
        linked = linked_to(f, members, linked)
        group = read(f, members, view, linked)
        value = worth(group)
        if value > most:
            best, most = group, value
        stay = min(len(members) - 1, int(len(members) * (1 - LEAVE)))
        members = np.sort(members[np.argsort(-group.odds, kind="stable")[:stay]])
    return best


def from_seed(f: Frame, seed: Members, view: int, worth: Worth) -> list[Reading]:
    """The list that a seed grows into, none when it holds too few."""
    seed = seed[f.place[seed] >= 0]
    if len(seed) < FEWEST:
        return []
    found = peeled(f, joined(f, read(f, seed, view)), view, worth)
    return [] if found is None else [found]


def again(f: Frame, group: Reading, worth: Worth) -> list[Reading]:
    """Lists around a group that was found: whom it favours now, and the homogeneous parts of those (METHOD 3.2), each
    peeled. What two lists have in common holds them together at first."""
    around = joined(f, group if group.view == 0 else read(f, group.members, 0))
    parts = [part.members for part in cut(f.same.graphs[0].vectors, [around])] if len(around) else []
    return [found for part in parts if (found := peeled(f, part, 0, worth)) is not None]
