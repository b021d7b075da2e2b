"""What the populations ask: the interface of a prompt source, and how it is drawn from.

A source offers topics (a trade, a benchmark, a help channel), each made of themes (what one person in that
topic keeps coming back to). A prompt is an int64 code: the low bits name it inside its source, the high bits
the writer's habit ("hi, ", "thanks") put around it. Text is rendered only when a record is written.

Belongs here: the interface, the habits, the shelf that deals prompts out. Does not belong here: where prompts
come from (grammar, corpora), or who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Family = Literal["harvest", "ordinary"]

STYLE_SHIFT = 52
BASE_MASK = np.int64((1 << STYLE_SHIFT) - 1)

OPENERS = (
    "", "hi, ", "hello! ", "hey, ", "please help: ", "quick question: ", "I need help with this. ",
    "good morning, ",
    "ok so ", "question: ", "one more: ", "sorry to bother you. ", "help me with this please: ", "next one: ",
    "for work: ", "asking for a friend: ",
)  # fmt: skip
CLOSERS = (
    "", " thanks", " thank you!", " please", " Please be brief.", " (short answer is fine)", " any ideas?",
    " cheers",
)  # fmt: skip
STYLES = len(OPENERS) * len(CLOSERS) * 2
"""Habits: opener x closer x (as written, or all in lower case). 0 is no habit."""


@dataclass(frozen=True)
class Topic:
    """One topic: its name (truth and tests only), its family, and how it reads (shares 0..1)."""

    name: str
    family: Family
    templated: float
    """share of prompts that begin like many others: work of batches rather than of people"""
    code: float
    """share of prompts that look like programming"""


class PromptSource(Protocol):
    """Where prompts come from. All arrays of codes are int64."""

    @property
    def topics(self) -> Sequence[Topic]:
        """The topics."""
        ...

    @property
    def theme_topic(self) -> npt.NDArray[np.int32]:
        """Topic of each theme."""
        ...

    @property
    def theme_size(self) -> npt.NDArray[np.int64]:
        """Number of prompts of each theme."""
        ...

    @property
    def system_prompts(self) -> Sequence[str]:
        """System prompts that come with the source."""
        ...

    def draw(
        self, themes: npt.NDArray[np.integer], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """One prompt for each (theme, person), in the person's own words where the source has such."""
        ...

    def curated(
        self, topic_weights: npt.NDArray[np.floating], count: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """`count` different prompts (fewer where the source has fewer) drawn without replacement by topic."""
        ...

    def follow(
        self, codes: npt.NDArray[np.int64], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """What the same person asks next in the same conversation."""
        ...

    def text(self, code: int) -> str:
        """The prompt, with its writer's habit."""
        ...

    def topic_of(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Topic of each prompt, -1 for a bare follow-up."""
        ...


def with_style(codes: npt.NDArray[np.int64], styles: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The same prompts with a habit around them."""
    return np.asarray((codes & BASE_MASK) | (styles.astype(np.int64) << STYLE_SHIFT))


def dress(text: str, style: int, openers: Sequence[str] = OPENERS, closers: Sequence[str] = CLOSERS) -> str:
    """`text` with habit `style` around it."""
    lower, style = style % 2, style // 2
    opener, closer = (
        openers[style % len(OPENERS) % len(openers)],
        closers[style // len(OPENERS) % len(closers)],
    )
    dressed = f"{opener}{text}{closer}"
    return dressed.lower() if lower else dressed


@dataclass(frozen=True)
class Habits:
    """Each person's habit and how often it shows: style i64[n], rate f32[n]."""

    style: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float32]

    @classmethod
    def of_people(cls, count: int, rng: np.random.Generator) -> Habits:
        """Habits of `count` people: a little more than half have none."""
        style = rng.integers(1, STYLES, count)
        style[rng.random(count) < 0.55] = 0
        return cls(style, rng.uniform(0.1, 0.7, count).astype(np.float32))

    def apply(
        self, codes: npt.NDArray[np.int64], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """The codes as these persons (row numbers of the habits) write them."""
        shows = rng.random(len(codes), dtype=np.float32) < self.rate[persons]
        return with_style(codes, np.where(shows, self.style[persons], 0))


def written_by_many(codes: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The codes, each as if another person had written it: what a list collected from people looks like."""
    return Habits.of_people(len(codes), rng).apply(codes, np.arange(len(codes)), rng)


class Shelf:
    """Deals out the members of groups (CSR: `start`, `size`) so that a member returns only when all were
    dealt.

    Two people with one interest then ask different things, as in life; drawing with replacement from a finite
    corpus would hand ordinary groups duplicates that give them away.
    """

    def __init__(
        self, order: npt.NDArray[np.int64], start: npt.NDArray[np.int64], size: npt.NDArray[np.int64]
    ):
        self._order, self._start, self._size = order, start, size
        self._dealt = np.zeros(len(size), dtype=np.int64)

    def deal(self, groups: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """One member for each entry of `groups`."""
        by_group = np.argsort(groups, kind="stable")
        counts = np.bincount(groups, minlength=len(self._size))
        first = np.cumsum(counts) - counts
        rank = np.empty(len(groups), dtype=np.int64)
        rank[by_group] = np.arange(len(groups)) - first[groups[by_group]]
        position = (rank + self._dealt[groups]) % self._size[groups]
        self._dealt += counts
        return np.asarray(self._order[self._start[groups] + position])
