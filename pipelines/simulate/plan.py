"""How many accounts each campaign and each class of a world gets.

Belongs here: arithmetic over the base rate, strategy specifications, group sizes. No traffic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import UsageError
from pipelines.simulate.blocks import fewest_accounts
from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.look_alikes import LookAlike

_SPEC = re.compile(r"(?P<name>[a-z0-9_]+)(:(?P<accounts>\d+))?(:(?P<low>\d+)(-(?P<high>\d+))?)?")
NO_CAMPAIGN = "none"
"""Asks for a world in which nobody harvests."""
MIN_CAMPAIGN = 8
"""Fewer accounts than this are no campaign that anybody could find."""


@dataclass(frozen=True)
class CampaignPlan:
    """One campaign to plant: strategy, accounts, list prompts per account (lowest, highest)."""

    strategy: str
    accounts: int
    lot: tuple[int, int]


@dataclass(frozen=True)
class _Wish:
    strategy: str
    accounts: int | None
    lot: tuple[int, int]


def _parse(text: str) -> _Wish:
    match = _SPEC.fullmatch(text.strip())
    if match is None or match["name"] not in STRATEGIES:
        raise UsageError(
            f"The strategy '{text}' is unknown; write {NO_CAMPAIGN}, NAME, NAME:ACCOUNTS or "
            f"NAME:ACCOUNTS:LOW-HIGH with one of {', '.join(STRATEGIES)}."
        )
    strategy = STRATEGIES[match["name"]]
    lot = strategy.lot
    if match["low"]:
        lot = (int(match["low"]), int(match["high"] or match["low"]))
    if lot[0] < 1 or lot[1] < lot[0]:
        raise UsageError(
            f"The strategy '{text}' asks for {lot[0]} to {lot[1]} prompts; "
            "give LOW-HIGH with 1 <= LOW <= HIGH."
        )
    accounts = int(match["accounts"]) if match["accounts"] else None
    if strategy.size == (1, 1):
        accounts = accounts or 1
    if accounts is not None and accounts < 1:
        raise UsageError(f"The strategy '{text}' asks for no account; give at least 1.")
    return _Wish(strategy.name, accounts, lot)


def plan_campaigns(
    strategies: Sequence[str], accounts: int, base_rate: float, rng: np.random.Generator
) -> list[CampaignPlan]:
    """Campaigns whose accounts are `base_rate` of all; sizes given in `strategies` are kept as they are. "none" means
    no campaign at all."""
    if not 0 <= base_rate <= 0.5:
        raise UsageError(
            f"A base rate of {base_rate} is out of range; use 0 to 0.5 (0.03 is 3 % of the accounts)."
        )
    budget = round(base_rate * accounts)
    if NO_CAMPAIGN in strategies:
        if len(strategies) > 1:
            raise UsageError(f"The strategy '{NO_CAMPAIGN}' stands alone; leave the others out.")
        base_rate, budget, strategies = 0.0, 0, ()
    wishes = [_parse(text) for text in strategies] if strategies else _choose(budget, rng)
    fixed = sum(wish.accounts for wish in wishes if wish.accounts is not None)
    open_wishes = [wish for wish in wishes if wish.accounts is None]
    lowest = sum(_low(wish) for wish in open_wishes)
    if open_wishes and fixed + lowest > budget:
        raise UsageError(
            f"The campaigns ({len(wishes)}) need at least {fixed + lowest} accounts but a base rate of "
            f"{base_rate} of {accounts} accounts allows {budget}; raise the base rate or the accounts, "
            "or give sizes (NAME:ACCOUNTS)."
        )
    extra = _share(budget - fixed - lowest, open_wishes, rng)
    sizes = iter(_low(wish) + more for wish, more in zip(open_wishes, extra, strict=True))
    plans = [
        CampaignPlan(wish.strategy, next(sizes) if wish.accounts is None else wish.accounts, wish.lot)
        for wish in wishes
    ]
    total = sum(plan.accounts for plan in plans)
    needed = total + fewest_accounts()
    if needed > accounts:
        raise UsageError(
            f"{accounts} accounts are too few for {total} harvesting ones and every ordinary class; "
            f"use at least {needed}."
        )
    return plans


def _share(spare: int, wishes: Sequence[_Wish], rng: np.random.Generator) -> list[int]:
    """Shares out accounts beyond the smallest sizes, unevenly, up to each strategy's largest size."""
    room = [STRATEGIES[wish.strategy].size[1] - _low(wish) for wish in wishes]
    extra = [0] * len(wishes)
    for index, weight in enumerate(rng.uniform(0.5, 1.5, len(wishes))):
        extra[index] = min(room[index], int(weight * max(spare, 0) / len(wishes)))
    over = sum(extra) - max(spare, 0)
    for index in rng.permutation(len(wishes)).tolist():  # rounding and luck must not exceed the budget
        cut = min(max(over, 0), extra[index])
        extra[index] -= cut
        over -= cut
    return extra


def _low(wish: _Wish) -> int:
    return STRATEGIES[wish.strategy].size[0]


def _choose(budget: int, rng: np.random.Generator) -> list[_Wish]:
    """As many different strategies as the budget gives some 24 accounts each, in a random order."""
    if budget == 0:
        return []
    if budget < MIN_CAMPAIGN:
        raise UsageError(
            f"The base rate allows {budget} harvesting accounts, too few for a campaign; "
            f"allow at least {MIN_CAMPAIGN}, set it to 0, or name a strategy with its size (single_heavy:1)."
        )
    names = [name for name, strategy in STRATEGIES.items() if strategy.size[0] == 15]
    picked = [str(name) for name in rng.permutation(names)[: max(1, (budget - 1) // 24)]]
    wishes = [_Wish(name, None, STRATEGIES[name].lot) for name in picked]
    if budget < 15 + 1:
        wishes = [_Wish(picked[0], budget, STRATEGIES[picked[0]].lot)]
    elif budget >= 60:
        wishes.append(_Wish("single_heavy", 1, STRATEGIES["single_heavy"].lot))
    return wishes


def look_alike_groups(look_alike: LookAlike, ordinary: int, rng: np.random.Generator) -> list[int]:
    """Sizes of the groups of one class in a world of `ordinary` ordinary accounts; at least one group."""
    wanted = max(look_alike.group[0], round(look_alike.share * ordinary))
    sizes: list[int] = []
    while wanted >= look_alike.group[0]:
        size = min(wanted, int(rng.integers(look_alike.group[0], look_alike.group[1] + 1)))
        sizes.append(size)
        wanted -= size
    return sizes
