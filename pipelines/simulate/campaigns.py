"""Harvesting campaigns (METHOD section 8): one function per strategy.

A campaign has one curated list of different prompts and never buys the same prompt twice; how the list is
dealt to accounts, dressed and covered is the strategy. By default every account looks ordinary from outside:
identities are drawn from the same population as everybody's. Rows that buy from the list are marked `harvest`
(truth only).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.simulate import wraps
from pipelines.simulate.adaptive import adaptive
from pipelines.simulate.orders import Accounts, Order, Rng, at_peoples_hours, buy, curated_list
from pipelines.simulate.people import TOOLS, World, draw_volumes, people_traffic, topic_weights
from pipelines.simulate.randomness import ragged
from pipelines.simulate.requests import Traffic, concatenate, traffic
from pipelines.simulate.tempo import DAY, HOUR, spread, within_conversations


@dataclass(frozen=True)
class Strategy:
    """A strategy: usual number of accounts (lowest, highest), list prompts per account, and the maker."""

    name: str
    size: tuple[int, int]
    lot: tuple[int, int]
    make: Callable[[World, Order], Traffic]


def single_heavy(world: World, order: Order) -> Traffic:
    """One account asks for the whole list, day and night."""
    bought = buy(world, order)
    first = int(max(world.identities.created[order.accounts].max(), world.calendar.start))
    return replace(bought, time=spread(len(bought), first, world.calendar.end, order.rng, evenness=0.6))


def round_robin(world: World, order: Order) -> Traffic:
    """A load balancer deals the list out in turn."""
    bought = buy(world, order)
    # In the order of time the list goes once around the accounts, then again: lots become nearly equal.
    by_time = np.argsort(bought.time, kind="stable")
    account = np.empty(len(bought), dtype=np.int32)
    account[by_time] = order.accounts[np.arange(len(bought)) % len(order.accounts)]
    # All of them are there from the start: who would have signed up later did so earlier, like most people.
    created, own = world.identities.created, order.accounts
    earlier = world.calendar.start - (order.rng.exponential(260, len(own)) * DAY).astype(np.int64)
    created[own] = np.where(created[own] >= world.calendar.start, earlier, created[own])
    return replace(bought, account=account)


def low_and_slow(world: World, order: Order) -> Traffic:
    """A few prompts a day from each account, as even as a drip."""
    bought = buy(world, order)
    times = np.empty(len(bought), dtype=np.int64)
    for account in order.accounts:
        rows = np.flatnonzero(bought.account == account)
        first = int(max(world.identities.created[account], world.calendar.start))
        times[rows] = spread(len(rows), first, world.calendar.end, order.rng, evenness=0.85)
    return replace(bought, time=times)


def topic_split(world: World, order: Order) -> Traffic:
    """Each account gets one subject of the list: no two look alike, together they tile it."""
    bought = buy(world, order, topics=(6, 12))
    codes = bought.prompt
    return replace(bought, prompt=codes[np.argsort(world.source.topic_of(codes), kind="stable")])


def paraphrased_templates(world: World, order: Order) -> Traffic:
    """Every prompt reworded by one of a dozen openings and closings."""
    return buy(world, order, phrases=wraps.numbers("rephrase"))


def _cover_volumes(bought: Traffic, accounts: Accounts, share: float, rng: Rng) -> npt.NDArray[np.int64]:
    """Cover requests per account so that `share` of its traffic is cover."""
    lots = np.array([(bought.account == account).sum() for account in accounts])
    return np.maximum(1, np.rint(lots * share / (1 - share) * rng.lognormal(0, 0.15, len(lots)))).astype(
        np.int64
    )


def generic_cover(share: float) -> Callable[[World, Order], Traffic]:
    """The list, hidden in replayed requests of many people: every account gets the same broad mixture."""

    def make(world: World, order: Order) -> Traffic:
        rng, bought = order.rng, buy(world, order)
        total = int(_cover_volumes(bought, order.accounts, share, rng).sum())
        people = max(8, total // 20)
        volumes = rng.multinomial(total, np.full(people, 1 / people))
        volumes = volumes[volumes > 0]
        borrowed = order.accounts[rng.integers(0, len(order.accounts), len(volumes))]
        cover = people_traffic(world, borrowed, volumes, topic_weights(world.source, rng), rng)
        _, talk = np.unique(cover.conversation, return_inverse=True)
        moved = order.accounts[rng.integers(0, len(order.accounts), int(talk.max()) + 1)][talk]
        earliest = world.identities.created[moved]
        late = np.maximum(cover.time, earliest + rng.integers(HOUR, 5 * DAY, int(talk.max()) + 1)[talk])
        times = np.where(cover.time < earliest, late, cover.time)
        # The account's client sends its own system prompt (or none), whoever the replayed request came from.
        first = np.zeros(len(world.identities.org), dtype=np.int32)
        first[moved] = cover.system
        replayed = replace(cover, account=moved.astype(np.int32), time=times, system=first[moved])
        return concatenate([bought, replayed])

    return make


def personal_cover(share: float) -> Callable[[World, Order], Traffic]:
    """The list, hidden in the traffic of one imitated person per account."""

    def make(world: World, order: Order) -> Traffic:
        rng, bought = order.rng, buy(world, order)
        volumes = _cover_volumes(bought, order.accounts, share, rng)
        weights = topic_weights(world.source, rng)
        return concatenate([bought, people_traffic(world, order.accounts, volumes, weights, rng)])

    return make


def judging(world: World, order: Order) -> Traffic:
    """Preference data: which of two answers is better, by a rubric."""
    return buy(world, order, phrases=wraps.choose("judge", 2, order.rng, favourites=2))


def reasoning(world: World, order: Order) -> Traffic:
    """Reasoning traces: step by step, in tags."""
    return buy(world, order, phrases=wraps.choose("reason", 3, order.rng, favourites=3))


def agentic(world: World, order: Order) -> Traffic:
    """Trajectories of several turns with tools; answers to one account come back as input of another."""
    rng = order.rng
    lots = np.maximum(4, order.lots() // 4)
    codes = curated_list(world, int(lots.sum()), rng)
    owner, _ = ragged(lots)
    lengths = np.clip(rng.geometric(0.3, len(codes)) + 1, 2, 8).astype(np.int64)
    talk, position = ragged(lengths)
    prompt = codes[talk]
    for turn in range(1, int(position.max()) + 1):
        rows = np.flatnonzero(position == turn)
        prompt[rows] = world.source.follow(prompt[rows - 1], rng.integers(0, 1 << 40, len(rows)), rng)
    wrap = np.zeros(len(prompt), dtype=np.int16)
    handed_on = (position > 0) & (rng.random(len(prompt)) < 0.35)
    wrap[handed_on] = wraps.choose("quote", int(handed_on.sum()), rng)
    answer_of = codes[rng.permutation(len(codes))][talk]
    starts = at_peoples_hours(world, order.accounts, owner, rng)
    return traffic(
        order.accounts[owner[talk]], within_conversations(lengths, starts, rng, pause_seconds=20), prompt,
        turn=position, conversation=world.conversations.take(len(codes)) + talk, wrap=wrap,
        answer_of=answer_of, tools=int(rng.integers(0, TOOLS)), harvest=True,
    )  # fmt: skip


def ban_and_respawn(world: World, order: Order) -> Traffic:
    """Accounts are banned after a few days; a fresh one takes over the list where the last one stopped."""
    rng, calendar = order.rng, world.calendar
    bought = buy(world, order)
    times, status = bought.time.copy(), bought.status.copy()
    lines = max(1, len(order.accounts) // 3)
    for line in range(lines):
        chain = order.accounts[line::lines]
        cuts = np.sort(rng.uniform(0.15, 0.9, len(chain) - 1))
        edges = calendar.start + (
            np.concatenate([[0.0], cuts, [1.0]]) * (calendar.end - calendar.start)
        ).astype(np.int64)
        for generation, account in enumerate(chain):
            rows = np.flatnonzero(bought.account == account)
            first = int(edges[generation]) + (int(rng.integers(1, 4)) * HOUR if generation else 0)
            last = max(int(edges[generation + 1]), first + HOUR)
            times[rows] = spread(len(rows), first, min(last, calendar.end), rng)
            if generation:
                world.identities.created[account] = first - int(rng.integers(5, 50)) * 60_000
            if generation < len(chain) - 1 and len(rows):
                status[rows[-2:]] = 403
    return replace(bought, time=times, status=status)


def model_pivot(world: World, order: Order) -> Traffic:
    """Half of the traffic moves to the new model within a day and a half of its release."""
    rng, calendar = order.rng, world.calendar
    bought = buy(world, order)
    world.identities.adopts[order.accounts] = calendar.release
    pivots = rng.random(len(bought)) < 0.5
    burst = calendar.release + (rng.random(len(bought)) * 1.5 * DAY).astype(np.int64)
    return replace(bought, time=np.where(pivots, np.minimum(burst, calendar.end - 1), bought.time))


def relay(world: World, order: Order) -> Traffic:
    """Resold access: several real people use each account; the reseller's list runs among their requests."""
    rng, bought = order.rng, buy(world, order)
    people = rng.integers(2, 6, len(order.accounts))
    accounts = np.repeat(order.accounts, people)
    volumes = draw_volumes(len(accounts), rng, 14.0)
    return concatenate(
        [bought, people_traffic(world, accounts, volumes, topic_weights(world.source, rng), rng)]
    )


def human_seeds(world: World, order: Order) -> Traffic:
    """The list is what people really asked."""
    return buy(world, order, family="ordinary")


def hydra(world: World, order: Order) -> Traffic:
    """Very many accounts, each with almost nothing."""
    return buy(world, order, family="both")


_SIZE, _LOT = (15, 60), (20, 60)
STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("single_heavy", (1, 1), (1500, 4000), single_heavy),
        Strategy("round_robin", _SIZE, _LOT, round_robin),
        Strategy("low_and_slow", _SIZE, (20, 35), low_and_slow),
        Strategy("topic_split", _SIZE, _LOT, topic_split),
        Strategy("paraphrased_templates", _SIZE, _LOT, paraphrased_templates),
        Strategy("generic_cover_50", _SIZE, _LOT, generic_cover(0.50)),
        Strategy("generic_cover_80", _SIZE, (20, 40), generic_cover(0.80)),
        Strategy("generic_cover_95", _SIZE, (10, 20), generic_cover(0.95)),
        Strategy("personal_cover_50", _SIZE, (25, 45), personal_cover(0.50)),
        Strategy("personal_cover_80", _SIZE, (25, 45), personal_cover(0.80)),
        Strategy("personal_cover_95", _SIZE, (10, 20), personal_cover(0.95)),
        Strategy("judging", _SIZE, _LOT, judging),
        Strategy("reasoning", _SIZE, _LOT, reasoning),
        Strategy("agentic", _SIZE, _LOT, agentic),
        Strategy("ban_and_respawn", _SIZE, _LOT, ban_and_respawn),
        Strategy("model_pivot", _SIZE, _LOT, model_pivot),
        Strategy("relay", _SIZE, _LOT, relay),
        Strategy("human_seeds", _SIZE, _LOT, human_seeds),
        Strategy("hydra", (150, 150), (30, 40), hydra),
        Strategy("adaptive_120", _SIZE, _LOT, adaptive(1.2)),
        Strategy("adaptive_150", _SIZE, _LOT, adaptive(1.5)),
        Strategy("adaptive_200", _SIZE, _LOT, adaptive(2.0)),
    )
}
"""Every strategy by name."""
