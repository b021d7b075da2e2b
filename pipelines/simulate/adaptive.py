"""An attacker that knows what is measured and spends a budget on not looking like it.

It knows the score of METHOD section 3.2: density of same-source links x (1 - duplicates)^6 x (1 - repeats)^2
x (first-turn share)^2. Each factor can be bought down with requests that bring no new answer: prompts bought
by a second account as well, prompts sent again, follow-up turns, cover. The budget says how many requests it
pays per list prompt. Besides, for nothing, each account takes its own mixture of the list's topics, as a
person would.

Belongs here: how the budget is spent, and the traffic that follows. What evasion cost is in the truth
(requests, harvest_requests, distinct_prompts, duplicate_requests, follow_up_requests of the campaign).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from pipelines.simulate.orders import Codes, Order, Rng, at_peoples_hours, curated_list
from pipelines.simulate.people import World, people_traffic, topic_weights
from pipelines.simulate.randomness import ragged
from pipelines.simulate.requests import Traffic, concatenate, traffic
from pipelines.simulate.tempo import within_conversations

STEPS = 10
"""the budget is dealt out in this many parts"""


@dataclass(frozen=True)
class Spending:
    """Extra requests per list prompt: bought by another account too, sent again, follow-up turns, cover."""

    duplicates: float
    repeats: float
    follow_ups: float
    cover: float

    @property
    def total(self) -> float:
        """Extra requests per list prompt."""
        return self.duplicates + self.repeats + self.follow_ups + self.cover

    @property
    def suspicion(self) -> float:
        """What is left of the score (1 = nothing spent), as far as the attacker can foresee it."""
        requests = 1.0 + self.total
        duplicates = min(1.0, 2.0 * self.duplicates / (1.0 + self.duplicates + self.cover))
        density = (1.0 - self.cover / requests) ** 2  # a link needs the list in both accounts
        return float(
            density
            * (1.0 - duplicates) ** 6
            * (1.0 - self.repeats / requests) ** 2
            * (1.0 - self.follow_ups / requests) ** 2
        )


def spend(budget: float) -> Spending:
    """The spending of at most `budget` - 1 extra requests per list prompt that leaves the least suspicion.

    All ways of dealing the extra out in tenths are compared; of equal ones the cheaper counts.
    """
    part = max(0.0, budget - 1.0) / STEPS
    ways = (
        Spending(*(share * part for share in shares))
        for shares in product(range(STEPS + 1), repeat=4)
        if sum(shares) <= STEPS
    )
    return min(ways, key=lambda way: (round(way.suspicion, 9), way.total))


def _own_mixtures(world: World, codes: Codes, lots: npt.NDArray[np.int64], rng: Rng) -> npt.NDArray[np.int64]:
    """The account (row of `lots`) of each list prompt: every account prefers some of the list's topics."""
    topics = world.source.topic_of(codes)
    taste = rng.gamma(0.4, 1.0, (len(lots), int(topics.max()) + 1)) + 1e-3
    room = lots.astype(np.float64).copy()
    owner = np.empty(len(codes), dtype=np.int64)
    for index, draw in zip(
        rng.permutation(len(codes)).tolist(), rng.random(len(codes)).tolist(), strict=True
    ):
        weight = np.cumsum(taste[:, topics[index]] * room)
        owner[index] = min(int(np.searchsorted(weight, draw * weight[-1])), len(lots) - 1)
        while room[owner[index]] < 1:  # rounding at the edge of an account that is full
            owner[index] = int(np.argmax(room))
        room[owner[index]] -= 1
    return owner


def adaptive(budget: float) -> Callable[[World, Order], Traffic]:
    """A campaign that pays `budget` requests per list prompt and spends the excess on evasion."""
    spending = spend(budget)

    def make(world: World, order: Order) -> Traffic:
        rng, lots = order.rng, order.lots()
        listed = curated_list(world, int(lots.sum()), rng, topics=(6, 12))
        owner = _own_mixtures(world, listed, lots, rng)
        count = len(listed)

        # A second account buys the prompt as well; the first one sends it again.
        twice = rng.permutation(count)[: round(spending.duplicates * count)]
        other = (owner[twice] + rng.integers(1, max(2, len(lots)), len(twice))) % len(lots)
        again = rng.permutation(count)[: round(spending.repeats * count)]
        opening = np.concatenate([listed, listed[twice], listed[again]])
        buyer = np.concatenate([owner, other, owner[again]])

        lengths = 1 + rng.multinomial(
            round(spending.follow_ups * count), np.full(len(opening), 1.0 / len(opening))
        ).astype(np.int64)
        talk, position = ragged(lengths)
        prompt = opening[talk]
        for turn in range(1, int(position.max()) + 1):
            rows = np.flatnonzero(position == turn)
            prompt[rows] = world.source.follow(prompt[rows - 1], rng.integers(0, 1 << 40, len(rows)), rng)
        bought = traffic(
            order.accounts[buyer[talk]],
            within_conversations(lengths, at_peoples_hours(world, order.accounts, buyer, rng), rng),
            prompt,
            turn=position,
            conversation=world.conversations.take(len(opening)) + talk,
            harvest=True,
        )
        cover = np.rint(lots * spending.cover).astype(np.int64)
        if not cover.any():
            return bought
        people = people_traffic(world, order.accounts, cover, topic_weights(world.source, rng), rng)
        return concatenate([bought, people])

    return make
