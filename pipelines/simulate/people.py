"""Ordinary people and developers: a few interests each, in their own words, at their own hours.

Belongs here: interests, volumes, conversations, and the traffic that follows from them; also used for
whatever imitates people (cover traffic, relays, gateways). Does not belong here: jobs and teams
(look_alikes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.simulate import wraps
from pipelines.simulate.identities import Identities
from pipelines.simulate.prompts import Habits, PromptSource
from pipelines.simulate.randomness import pick, ragged
from pipelines.simulate.requests import NONE, Conversations, Traffic, concatenate, traffic
from pipelines.simulate.tempo import Calendar, Rhythm, within_conversations

HARVEST_INTEREST = 0.45
"""Share of people's interests in topics of the `harvest` family: maths, code, medicine, exercises."""
MAX_REQUESTS = 700
POPULAR_SYSTEMS = 4
TOOLS = 4
"""tool schemas in use (their text is in render)"""
_BATCH = 10_000


@dataclass(frozen=True)
class World:
    """What every population needs: prompts, calendar, identities, conversation numbers, system prompts."""

    source: PromptSource
    calendar: Calendar
    identities: Identities
    conversations: Conversations
    systems: Sequence[str]
    """system prompts; the first POPULAR_SYSTEMS are the ones that thousands of accounts use"""


@dataclass(frozen=True)
class Interests:
    """Themes of each person and their cumulative weights: theme i32[n, k], weight f32[n, k]."""

    theme: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]


def topic_weights(
    source: PromptSource, rng: np.random.Generator, harvest: float = HARVEST_INTEREST
) -> npt.NDArray[np.float64]:
    """How popular each topic is with people: by the root of its size, less where it reads like batch work."""
    size = np.bincount(source.theme_topic, weights=source.theme_size, minlength=len(source.topics))
    weight = np.sqrt(size) * np.array([1.0 - 0.85 * topic.templated for topic in source.topics])
    weight = weight * rng.lognormal(0.0, 0.5, len(weight))
    is_harvest = np.array([topic.family == "harvest" for topic in source.topics])
    for family, share in ((is_harvest, harvest), (~is_harvest, 1.0 - harvest)):
        if family.any() and weight[family].sum() > 0:
            weight[family] *= share / weight[family].sum()
    return np.asarray(weight / weight.sum())


def draw_interests(
    source: PromptSource,
    weights: npt.NDArray[np.float64],
    volumes: npt.NDArray[np.integer],
    rng: np.random.Generator,
) -> Interests:
    """One to eight topics per person by Zipf, and in each some themes; who asks more has more themes.

    People differ in breadth: some keep to one thing, one in three asks about nearly anything.
    """
    count, topics, themes = len(volumes), 8, 8
    broad = rng.random(count) < 1 / 3
    held = np.where(broad, topics, np.minimum(1 + rng.poisson(3.0, count), topics))
    topic = _leaning(source, weights, count, topics, rng)
    steepness = np.where(broad, 0.2, rng.uniform(0.4, 1.4, count))
    topic_share = np.arange(1, topics + 1)[None, :] ** -steepness[:, None] * rng.lognormal(
        0, 0.4, (count, topics)
    )
    topic_share[np.arange(topics)[None, :] >= held[:, None]] = 0.0
    order = np.argsort(source.theme_topic, kind="stable")
    per_topic = np.bincount(source.theme_topic, minlength=len(source.topics))
    first = np.cumsum(per_topic) - per_topic
    # Inside a topic the larger themes are chosen more often: cumulative over the themes in topic order.
    root = source.theme_size[order].astype(np.float64) ** 0.8
    running = np.concatenate([[0.0], np.cumsum(root)])
    low, high = running[first[topic]], running[first[topic] + per_topic[topic]]
    draws = low[:, :, None] + rng.random((count, topics, themes)) * (high - low)[:, :, None]
    chosen = order[np.clip(np.searchsorted(running, draws, side="right") - 1, 0, len(order) - 1)]
    kept = np.clip(2 + rng.poisson(np.log1p(volumes) * 0.9), 2, themes)
    share = rng.exponential(1.0, (count, topics, themes)) + 0.05
    share[np.broadcast_to(np.arange(themes)[None, None, :] >= kept[:, None, None], share.shape)] = 0.0
    share = share / share.sum(axis=2, keepdims=True) * topic_share[:, :, None]
    table = np.cumsum(share.reshape(count, -1), axis=1)
    return Interests(chosen.reshape(count, -1).astype(np.int32), (table / table[:, -1:]).astype(np.float32))


def _leaning(
    source: PromptSource,
    weights: npt.NDArray[np.float64],
    count: int,
    topics: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """`topics` topics per person by popularity; most people lean to one family, some to the other."""
    drawn = rng.choice(len(weights), (count, topics), p=weights)
    is_harvest = np.array([topic.family == "harvest" for topic in source.topics])
    share = float(weights[is_harvest].sum())
    if not 0.0 < share < 1.0:
        return drawn
    leaning = rng.beta(1.2 * share, 1.2 * (1.0 - share), count)
    wants = rng.random((count, topics)) < leaning[:, None]
    for family, wanted in ((is_harvest, wants), (~is_harvest, ~wants)):
        own = np.where(family, weights, 0.0)
        drawn[wanted] = rng.choice(len(weights), int(wanted.sum()), p=own / own.sum())
    return drawn


def draw_volumes(count: int, rng: np.random.Generator, mean: float = 45.0) -> npt.NDArray[np.int64]:
    """Requests per fortnight, log-normal with a heavy tail: 2 to several hundred."""
    return np.clip(rng.lognormal(np.log(mean) - 0.6, 1.1, count), 2, MAX_REQUESTS).astype(np.int64)


def people_traffic(
    world: World,
    accounts: npt.NDArray[np.integer],
    volumes: npt.NDArray[np.integer],
    weights: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Traffic:
    """Traffic of one person behind each of `accounts`; an account that occurs twice has two people."""
    pieces = [
        _batch(world, accounts[i : i + _BATCH], volumes[i : i + _BATCH], weights, rng)
        for i in range(0, len(accounts), _BATCH)
    ]
    return concatenate(pieces)


def _batch(
    world: World,
    accounts: npt.NDArray[np.integer],
    volumes: npt.NDArray[np.integer],
    weights: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Traffic:
    count, source = len(accounts), world.source
    interests = draw_interests(source, weights, volumes, rng)
    habits = Habits.of_people(count, rng)
    persons = rng.integers(0, 1 << 40, count)
    lengths, owner = _conversation_lengths(volumes, rng)
    group, position = ragged(lengths)
    person = owner[group]
    times = within_conversations(lengths, _starts(world, accounts, owner, rng), rng)

    theme = interests.theme[owner, pick(interests.weight, owner, rng)]
    strays = rng.random(len(owner)) < rng.uniform(0.1, 0.95, count)[owner]
    theme[strays] = _anywhere(source, source.theme_topic[theme[strays]], rng)
    opening = source.draw(theme, persons[owner], rng)
    prompt = opening[group]
    later = np.flatnonzero(position > 0)
    depth = int(position.max(initial=0))
    by_depth = np.argsort(position[later], kind="stable")
    bounds = np.searchsorted(position[later][by_depth], np.arange(1, depth + 2))
    for turn in range(depth):  # a turn follows the one before it, all conversations at once
        rows = later[by_depth[bounds[turn] : bounds[turn + 1]]]
        prompt[rows] = source.follow(prompt[rows - 1], persons[person[rows]], rng)
    prompt = habits.apply(prompt, person, rng)

    prompt = _ask_again(prompt, person, count, rng)
    wrap, answer_of = _phrases(prompt, person, position, count, rng)
    system = draw_system_prompts(world, count, rng)
    tools = np.where(rng.random(count) < 0.08, rng.integers(0, TOOLS, count), NONE)
    number = world.conversations.take(len(lengths))
    return traffic(
        accounts[person], times, prompt, turn=position, conversation=number + group,
        wrap=wrap, answer_of=answer_of, system=system[person], tools=tools[person],
    )  # fmt: skip


def _anywhere(
    source: PromptSource, topics: npt.NDArray[np.integer], rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """For each topic one of its themes, the larger ones more often."""
    order = np.argsort(source.theme_topic, kind="stable")
    per_topic = np.bincount(source.theme_topic, minlength=len(source.topics))
    running = np.concatenate([[0], np.cumsum(source.theme_size[order])])
    edges = np.concatenate([[0], np.cumsum(per_topic)])
    low, high = running[edges[topics]], running[edges[topics + 1]]
    draws = rng.integers(low, high)
    return np.asarray(order[np.searchsorted(running, draws, side="right") - 1].astype(np.int32))


def _conversation_lengths(
    volumes: npt.NDArray[np.integer], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Cuts each person's requests into conversations: (length, person) of each. About half never talk on."""
    count = len(volumes)
    mean = np.where(rng.random(count) < 0.5, 1.0, 1.0 + rng.gamma(1.5, 2.0, count))
    owner, position = ragged(volumes)
    begins = (position == 0) | (rng.random(len(owner)) < 1.0 / mean[owner])
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.append(starts, len(owner)))
    return lengths.astype(np.int64), owner[starts]


def _starts(
    world: World, accounts: npt.NDArray[np.integer], owner: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """When the conversations begin: about three to a sitting, minutes apart, after the sign-up."""
    identities, calendar = world.identities, world.calendar
    rhythm = Rhythm.of_people(calendar, identities.zone[accounts], identities.created[accounts], rng)
    per_person = np.bincount(owner, minlength=len(accounts))
    position = ragged(per_person)[1]
    place = position % 3
    sitting = np.cumsum(place == 0) - 1
    heads = np.flatnonzero(place == 0)
    starts = rhythm.moments(owner[heads], calendar, rng)[sitting]
    starts = starts + (place * rng.exponential(7 * 60_000, len(owner))).astype(np.int64)
    earliest = identities.created[accounts][owner]
    late = (earliest + rng.exponential(2 * 3_600_000, len(owner))).astype(np.int64)
    return np.asarray(np.where(starts < earliest, late, starts))


def _ask_again(
    prompt: npt.NDArray[np.int64], person: npt.NDArray[np.int64], count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Some people send the same prompt again (another try, a test of their program)."""
    rate = np.where(rng.random(count) < 0.5, 0.0, rng.beta(1.2, 9.0, count))
    again = rng.random(len(prompt)) < rate[person]
    again[0:1] = False
    again[1:] &= person[1:] == person[:-1]
    source_row = np.maximum.accumulate(np.where(again, 0, np.arange(len(prompt))))
    return prompt[source_row]


def _phrases(
    prompt: npt.NDArray[np.int64],
    person: npt.NDArray[np.int64],
    position: npt.NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]:
    """Now and then a person asks for steps, a translation, a summary, or pastes an answer back."""
    wrap = np.zeros(len(prompt), dtype=np.int16)
    answer_of = np.full(len(prompt), NONE, dtype=np.int64)
    kinds: tuple[tuple[wraps.Kind, float], ...] = (
        ("reason", 0.06), ("rephrase", 0.08), ("translate", 0.04), ("summarise", 0.10),
        ("test", 0.03), ("similar", 0.03), ("judge", 0.05), ("clean", 0.03),
    )  # fmt: skip
    for kind, share_of_people in kinds:
        # Of those who use a phrase at all, some use it now and then and some run a program that always does.
        rate = np.where(rng.random(count) < share_of_people, rng.beta(1.0, 0.7, count), 0.0)
        favourite = wraps.choose(kind, count, rng)
        use = (rng.random(len(prompt)) < rate[person]) & (wrap == 0)
        wrap[use] = favourite[person[use]]
        answer_of[use] = prompt[use]
    pastes = rng.random(count) < 0.15
    use = pastes[person] & (rng.random(len(prompt)) < 0.08) & (position > 0)
    wrap[use] = wraps.choose("quote", int(use.sum()), rng)
    answer_of[use] = prompt[np.flatnonzero(use) - 1]
    return wrap, answer_of


def draw_system_prompts(world: World, count: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Half send none, a third a popular one, the rest one of their own choice."""
    kind = rng.random(count)
    own = rng.integers(POPULAR_SYSTEMS, len(world.systems), count)
    popular = rng.integers(0, POPULAR_SYSTEMS, count)
    return np.where(kind < 0.5, NONE, np.where(kind < 0.8, popular, own)).astype(np.int32)
