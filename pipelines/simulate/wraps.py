"""Phrases put around a prompt: instructions of batches, of judges, of people who want reasons, paraphrases.

A wrap is a number; 0 is the bare prompt. `{p}` is the prompt, `{a}` and `{b}` two answers of the model. Both
sides use every kind: an evaluation team judges as well, a person asks for the steps as well. The phrases are
in `lexicon/phrases.yaml`.
"""

from __future__ import annotations

from importlib.resources import files
from itertools import accumulate
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import yaml

Kind = Literal[
    "judge", "reason", "rephrase", "classify", "translate", "summarise", "quote", "clean", "similar", "test"
]


def _load() -> dict[Kind, tuple[str, ...]]:
    text = (files("pipelines.simulate") / "lexicon" / "phrases.yaml").read_text(encoding="utf-8")
    phrases = yaml.safe_load(text)
    return {kind: tuple(phrases[kind]) for kind in get_args(Kind)}


_PHRASES = _load()
_TABLE: tuple[str, ...] = ("{p}", *(text for texts in _PHRASES.values() for text in texts))
_FIRST = dict(zip(_PHRASES, accumulate((len(texts) for texts in _PHRASES.values()), initial=1), strict=False))
_QUOTES = tuple("{a}" in text for text in _TABLE)


def numbers(kind: Kind) -> npt.NDArray[np.int16]:
    """The wraps of one kind."""
    return np.arange(_FIRST[kind], _FIRST[kind] + len(_PHRASES[kind]), dtype=np.int16)


def choose(
    kind: Kind, count: int, rng: np.random.Generator, favourites: int | None = None
) -> npt.NDArray[np.int16]:
    """`count` wraps of one kind, out of `favourites` of them (one team words its instruction one way)."""
    stock = numbers(kind)
    if favourites is not None:
        stock = rng.permutation(stock)[:favourites]
    return np.asarray(stock[rng.integers(0, len(stock), count)])


def quotes(wrap: int) -> bool:
    """Whether the wrap holds an answer of the model."""
    return _QUOTES[wrap]


def apply(wrap: int, prompt: str, answer_a: str, answer_b: str) -> str:
    """The wrapped prompt. Plain replacement: a prompt with braces of its own stays as it is."""
    text = _TABLE[wrap]
    head, _, tail = text.partition("{p}")
    if "{a}" in head or "{b}" in head:
        head = head.replace("{a}", answer_a).replace("{b}", answer_b)
    if "{a}" in tail or "{b}" in tail:
        tail = tail.replace("{a}", answer_a).replace("{b}", answer_b)
    return head + prompt + tail if "{p}" in text else head
