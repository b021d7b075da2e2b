"""Ordinary accounts that look like harvesting in one respect (METHOD section 7), one function per class.

Each takes the world, the accounts of one group (a team, a company, a class, or one account) and a generator,
sets what the group shares, and returns its traffic. None of them is harvesting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.simulate import wraps
from pipelines.simulate.identities import NEW_MODEL
from pipelines.simulate.people import POPULAR_SYSTEMS, World, draw_volumes, people_traffic, topic_weights
from pipelines.simulate.prompts import written_by_many
from pipelines.simulate.randomness import ragged, zipf_weights
from pipelines.simulate.requests import NONE, Traffic, concatenate, traffic
from pipelines.simulate.tempo import DAY, HOUR, spread, within_conversations

Accounts = npt.NDArray[np.integer]
Rng = np.random.Generator
NIGHT = 2 * HOUR
CODING_SYSTEM = 1
"""the popular system prompt of the coding agents"""


@dataclass(frozen=True)
class LookAlike:
    """A class of ordinary accounts: its share of all accounts, the size of its groups, and the maker."""

    name: str
    share: float
    group: tuple[int, int]
    make: Callable[[World, Accounts, Rng], Traffic]


def _some_topics(
    world: World, rng: Rng, low: int, high: int, family: str | None = None
) -> npt.NDArray[np.float64]:
    """Weights over `low` to `high` topics, of one family where the source has it."""
    allowed = np.array([family is None or topic.family == family for topic in world.source.topics])
    if not allowed.any():
        allowed[:] = True
    chosen = rng.permutation(np.flatnonzero(allowed))[: rng.integers(low, high + 1)]
    weights = np.zeros(len(world.source.topics))
    weights[chosen] = rng.dirichlet(np.full(len(chosen), 1.5))
    return weights


def _own_system(world: World, rng: Rng) -> int:
    return int(rng.integers(POPULAR_SYSTEMS, len(world.systems)))


def _nights(world: World, rng: Rng, rate: float = 0.9) -> npt.NDArray[np.int64]:
    """Midnights of the days on which a nightly job runs."""
    runs = np.flatnonzero(rng.random(world.calendar.days) < rate)
    if len(runs) == 0:
        runs = np.array([0])
    return world.calendar.start + runs * DAY + int(rng.integers(0, 6) * HOUR)


def evaluation_team(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """A fixed benchmark, run again every night over the team's accounts; the answers are sometimes judged."""
    world.identities.share(accounts, rng)
    world.identities.drop_conversations(accounts)
    questions = world.source.curated(
        _some_topics(world, rng, 1, 4, "harvest"), int(rng.integers(40, 160)), rng
    )
    judged = rng.random() < 0.4
    phrase = 0 if rng.random() < 0.5 else int(wraps.choose("reason", 1, rng)[0])
    system = _own_system(world, rng) if rng.random() < 0.5 else NONE
    pieces = []
    for night in _nights(world, rng, 0.7):
        asked = rng.permutation(questions)[: int(len(questions) * rng.uniform(0.7, 1.0))]
        times = spread(len(asked), int(night), int(night) + NIGHT, rng)
        who = accounts[rng.integers(0, len(accounts), len(asked))]
        pieces.append(traffic(who, times, asked, wrap=phrase, answer_of=asked, system=system))
        if judged:
            judge = wraps.choose("judge", len(asked), rng, favourites=1)
            pieces.append(traffic(who, times + HOUR, asked, wrap=judge, answer_of=asked, system=system))
    return concatenate(pieces)


def _nightly_batch(world: World, accounts: Accounts, rng: Rng, kind: wraps.Kind) -> Traffic:
    world.identities.share(accounts, rng)
    world.identities.drop_conversations(accounts)
    weights = _some_topics(world, rng, 1, 2)
    themes = np.flatnonzero(weights[world.source.theme_topic] > 0)
    themes = rng.permutation(themes)[: max(3, int(len(themes) * rng.uniform(0.1, 0.5)))]
    share = world.source.theme_size[themes] * rng.exponential(1.0, len(themes))
    phrase = int(wraps.choose(kind, 1, rng)[0])
    system = _own_system(world, rng)
    pieces = []
    for night in _nights(world, rng):
        count = int(rng.integers(12, 55) * len(accounts))
        drawn = rng.choice(themes, count, p=share / share.sum())
        inputs = world.source.draw(drawn, rng.integers(0, 1 << 40, count), rng)
        inputs = written_by_many(inputs, rng)
        returns = rng.random(count) < 0.08  # natural inputs recur
        inputs[returns] = inputs[rng.integers(0, count, int(returns.sum()))]
        times = spread(count, int(night), int(night) + NIGHT, rng)
        who = accounts[rng.integers(0, len(accounts), count)]
        pieces.append(traffic(who, times, inputs, wrap=phrase, answer_of=inputs, system=system))
    return concatenate(pieces)


def nightly_classification(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """One company labels the day's messages every night: narrow, natural inputs, one instruction."""
    return _nightly_batch(world, accounts, rng, "classify")


def nightly_translation(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """One company translates the day's texts every night."""
    return _nightly_batch(world, accounts, rng, "translate")


def nightly_summaries(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """One company summarises the day's documents every night."""
    return _nightly_batch(world, accounts, rng, "summarise")


def app_back_end(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """An application: one system prompt, its users' utterances repeated by Zipf, in short conversations."""
    if len(accounts) > 1:
        world.identities.share(accounts, rng)
    weights = _some_topics(world, rng, 1, 1)
    utterances = world.source.curated(weights, int(rng.integers(60, 600)), rng)
    utterances = written_by_many(utterances, rng)
    volumes = np.clip(rng.lognormal(np.log(130), 0.7, len(accounts)), 20, 1500).astype(np.int64)
    group, _ = ragged(volumes)
    rank = rng.choice(len(utterances), len(group), p=zipf_weights(len(utterances), rng.uniform(0.6, 1.1)))
    first, last = world.calendar.start, world.calendar.end
    curve = np.concatenate([spread(int(n), first, last, rng, evenness=0.3) for n in volumes])
    day_part = np.where(rng.random(len(curve)) < 0.7, _office_hours(world, curve, rng), curve)
    lengths = np.where(rng.random(len(curve)) < 0.3, rng.integers(2, 5, len(curve)), 1)
    talk, position = ragged(lengths)
    talk, position = talk[: len(curve)], position[: len(curve)]
    number = world.conversations.take(int(talk.max()) + 1)
    talk_start = day_part[np.flatnonzero(position == 0)]
    times = world.calendar.inside(talk_start[talk] + position * 40_000)
    asked = utterances[rank]
    # One app in four answers from documents: each request carries the passages that were found for it.
    wrap = int(wraps.choose("summarise", 1, rng)[0]) if rng.random() < 0.25 else 0
    return traffic(
        accounts[group], times, asked, turn=position, conversation=number + talk, wrap=wrap, answer_of=asked,
        system=_own_system(world, rng),
    )  # fmt: skip


def _office_hours(world: World, times: npt.NDArray[np.int64], rng: Rng) -> npt.NDArray[np.int64]:
    midnight = world.calendar.start + (times - world.calendar.start) // DAY * DAY
    return np.asarray(midnight + (rng.normal(14, 3, len(times)) % 24 * HOUR).astype(np.int64))


def coding_agent(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """Bursts of many quick turns under one popular system prompt and tool schema; every developer alone."""
    code = np.array([topic.code for topic in world.source.topics])
    pieces = []
    for account in accounts:
        weights = (code + 0.02) ** 1.5 * rng.exponential(1.0, len(code))
        themes = rng.choice(len(world.source.theme_topic), 8, p=_theme_share(world, weights), replace=True)
        bursts = int(rng.integers(2, 12))
        lengths = np.clip(rng.geometric(0.12, bursts) + 2, 3, 40).astype(np.int64)
        created = int(max(world.identities.created[account], world.calendar.start))
        starts = np.sort(rng.integers(created, max(created + 1, world.calendar.end - 2 * HOUR), bursts))
        starts = np.maximum(_office_hours(world, starts, rng), created)
        group, position = ragged(lengths)
        person = np.full(len(group), rng.integers(0, 1 << 40))
        prompt = world.source.draw(themes[rng.integers(0, 8, len(group))], person, rng)
        fed_back = (position > 0) & (rng.random(len(group)) < 0.25)
        wrap = np.zeros(len(group), dtype=np.int16)
        wrap[fed_back] = wraps.choose("quote", int(fed_back.sum()), rng)
        answer_of = np.where(fed_back, np.roll(prompt, 1), NONE)
        pieces.append(
            traffic(
                np.full(len(group), account),
                within_conversations(lengths, world.calendar.inside(starts), rng, pause_seconds=9),
                prompt, turn=position, conversation=world.conversations.take(bursts) + group,
                wrap=wrap, answer_of=answer_of, system=CODING_SYSTEM, tools=0,
            )
        )  # fmt: skip
    return concatenate(pieces)


def _theme_share(world: World, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    share = weights[world.source.theme_topic] * np.sqrt(world.source.theme_size)
    return np.asarray(share / share.sum())


def classroom(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """A class works on the same exercises in the same hours; each pupil also asks something of their own."""
    world.identities.share(accounts, rng, org=rng.random() < 0.5, payment=False, client=False)
    exercises = world.source.curated(
        _some_topics(world, rng, 1, 2, "harvest"), int(rng.integers(20, 60)), rng
    )
    lessons = world.calendar.start + rng.permutation(world.calendar.days)[: rng.integers(2, 6)] * DAY
    lessons = lessons + rng.integers(8, 15, len(lessons)) * HOUR
    pieces = []
    for index, lesson in enumerate(lessons):
        part = exercises[index :: len(lessons)]
        for pupil in accounts[rng.random(len(accounts)) < 0.9]:
            done = rng.permutation(part)[: max(1, int(len(part) * rng.uniform(0.5, 1.0)))]
            twice = done[rng.random(len(done)) < 0.25]
            asked = np.concatenate([done, twice])
            times = spread(len(asked), int(lesson), int(lesson) + HOUR, rng, evenness=0.2)
            pieces.append(traffic(np.full(len(asked), pupil), times, asked))
    own = draw_volumes(len(accounts), rng, 10.0)
    pieces.append(people_traffic(world, accounts, own, topic_weights(world.source, rng), rng))
    return concatenate(pieces)


def gateway(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """One account in front of many people: broad and heavy, everyone in their own words."""
    pieces = []
    for account in accounts:
        people = int(rng.integers(15, 60))
        volumes = draw_volumes(people, rng, 30.0)
        weights = topic_weights(world.source, rng)
        pieces.append(people_traffic(world, np.full(people, account), volumes, weights, rng))
    return concatenate(pieces)


def release_day_benchmarker(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """Quiet until a model is published, then a broad set of questions to the new one and to the old one."""
    calendar = world.calendar
    pieces = []
    for account in accounts:
        questions = world.source.curated(_some_topics(world, rng, 3, 8), int(rng.integers(25, 120)), rng)
        begin = calendar.release + int(rng.exponential(5) * HOUR)
        times = calendar.inside(spread(len(questions), begin, begin + 6 * HOUR, rng, evenness=0.7))
        pieces.append(traffic(np.full(len(questions), account), times, questions, model=NEW_MODEL))
        old = int(world.identities.model[account])
        pieces.append(
            traffic(np.full(len(questions), account), calendar.inside(times + 4000), questions, model=old)
        )
    return concatenate(pieces)


def synthetic_data_maker(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """A declared maker of synthetic data: tasks spun from a small set of seeds, under one organisation."""
    world.identities.share(accounts, rng)
    world.identities.plan[accounts] = 4
    seeds = world.source.curated(_some_topics(world, rng, 2, 5), int(rng.integers(60, 200)), rng)
    count = int(rng.integers(60, 200) * len(accounts))
    prompt = seeds[rng.integers(0, len(seeds), count)]
    times = spread(count, world.calendar.start, world.calendar.end, rng, evenness=0.8)
    who = accounts[rng.integers(0, len(accounts), count)]
    kinds = np.concatenate(
        [wraps.choose("similar", count // 2 + 1, rng), wraps.choose("test", count // 2 + 1, rng)]
    )
    return traffic(
        who,
        times,
        prompt,
        wrap=rng.permutation(kinds)[:count],
        answer_of=prompt,
        system=_own_system(world, rng),
    )


def research_team(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """A research or red team: probes from a few topics, each reworded several times by several members."""
    world.identities.share(accounts, rng, payment=rng.random() < 0.5)
    probes = world.source.curated(_some_topics(world, rng, 2, 4), int(rng.integers(20, 60)), rng)
    pieces = []
    for account in accounts:
        chosen = rng.permutation(probes)[: max(2, int(len(probes) * rng.uniform(0.4, 0.9)))]
        prompt = np.repeat(chosen, rng.integers(1, 5, len(chosen)))
        times = _office_hours(
            world, spread(len(prompt), world.calendar.start, world.calendar.end, rng, evenness=0.2), rng
        )
        wrap = wraps.choose("rephrase", len(prompt), rng)
        pieces.append(traffic(np.full(len(prompt), account), world.calendar.inside(times), prompt, wrap=wrap))
    own = draw_volumes(len(accounts), rng, 15.0)
    pieces.append(people_traffic(world, accounts, own, topic_weights(world.source, rng), rng))
    return concatenate(pieces)


def shared_queue(world: World, accounts: Accounts, rng: Rng) -> Traffic:
    """Accounts of one company empty one queue of work: same source, but inputs recur (not disjoint)."""
    world.identities.share(accounts, rng, network=rng.random() < 0.7)
    stock = world.source.curated(
        _some_topics(world, rng, 2, 6), int(rng.integers(12, 30) * len(accounts)), rng
    )
    stock = written_by_many(stock, rng)
    count = int(rng.integers(30, 70) * len(accounts))
    weights = zipf_weights(len(stock), rng.uniform(0.5, 0.9))
    prompt = stock[rng.choice(len(stock), count, p=weights)]
    times = spread(count, world.calendar.start, world.calendar.end, rng, evenness=0.4)
    who = accounts[rng.integers(0, len(accounts), count)]
    return traffic(who, times, prompt, system=_own_system(world, rng) if rng.random() < 0.5 else NONE)


LOOK_ALIKES: tuple[LookAlike, ...] = (
    LookAlike("evaluation_team", 0.006, (1, 6), evaluation_team),
    LookAlike("nightly_classification", 0.006, (1, 5), nightly_classification),
    LookAlike("nightly_translation", 0.005, (1, 4), nightly_translation),
    LookAlike("nightly_summaries", 0.005, (1, 4), nightly_summaries),
    LookAlike("app_back_end", 0.030, (1, 4), app_back_end),
    LookAlike("coding_agent", 0.060, (10, 60), coding_agent),
    LookAlike("classroom", 0.030, (15, 30), classroom),
    LookAlike("gateway", 0.002, (1, 1), gateway),
    LookAlike("release_day_benchmarker", 0.008, (1, 1), release_day_benchmarker),
    LookAlike("synthetic_data_maker", 0.003, (1, 4), synthetic_data_maker),
    LookAlike("research_team", 0.005, (2, 6), research_team),
    LookAlike("shared_queue", 0.008, (5, 14), shared_queue),
)
"""Every class, its share of the accounts, and the size of its groups."""
