"""Phrases put around a prompt: instructions of batches, of judges, of people who want reasons, paraphrases.

A wrap is a number; 0 is the bare prompt. `{p}` is the prompt, `{a}` and `{b}` two answers of the model. Both sides
use every kind: an evaluation team judges as well, a person asks for the steps as well.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["judge", "reason", "rephrase", "classify", "translate", "summarise", "quote", "clean", "similar", "test"]

_PHRASES: dict[Kind, tuple[str, ...]] = {
    "judge": (
        "Question: {p}\n\nAnswer A: {a}\n\nAnswer B: {b}\n\nWhich answer is better? Reply with A, B or tie and one reason.",
        "You are grading two replies to the same request.\n[Request] {p}\n[Reply 1] {a}\n[Reply 2] {b}\nScore each from 1 to 10.",
        "Rate the response from 1 to 5 for helpfulness and correctness.\nPrompt: {p}\nResponse: {a}\nRating:",
        "{p}\n---\n{a}\n---\nDoes the reply above follow the instruction? Give a verdict and a rubric of three points.",
    ),
    "reason": (
        "{p}\nLet's think step by step.",
        "{p}\n\nExplain your reasoning in detail before you give the final answer.",
        "{p} Show all intermediate steps.",
        "Think out loud inside <thinking> tags, then answer inside <answer> tags. {p}",
        "{p}\nFirst list what is known, then derive the answer, then verify it.",
        "Solve and justify each step: {p}",
    ),
    "rephrase": (
        "{p}", "I was wondering about this: {p}", "Here is something I need to know. {p}", "{p} Please answer fully.",
        "My colleague asked me the following: {p}", "Consider this request and answer it as well as you can. {p}",
        "For a small project: {p}", "{p} I need it for a document.", "In your own words, {p}",
        "Could you take care of the following for me? {p}", "Task: {p}", "{p}\nAnswer with care.",
    ),
    "classify": (
        "Classify the message into one of: billing, technical, praise, other.\nMessage: {p}\nLabel:",
        "What is the intent of this text? Answer with one word.\n\"{p}\"",
        "Return JSON with the fields topic and sentiment for: {p}",
        "Is the following text urgent? Answer yes or no.\n{p}",
    ),
    "translate": (
        "Translate into German, keep the tone:\n{p}",
        "Translate the following text to Japanese. Output only the translation.\n{p}",
        "Traduce al español: {p}",
        "Please give an Arabic version of this text: {p}",
        "Translate to French and to Polish, one line each: {p}",
    ),
    "summarise": (
        "Summarise in one sentence:\n{p}\n{a}\n{b}",
        "Write the key points of this document as a list.\n\n{a} {b}",
        "TL;DR of the text below.\n{p} {a}",
        "Give a title and an abstract of at most 50 words.\nText: {a}",
    ),
    "quote": (
        "You said earlier: \"{a}\" Can you make that shorter?",
        "{a}\n\nRewrite this so that it sounds less like a machine.",
        "Here is the draft so far:\n{a}\nContinue it.",
        "Someone answered me this: {a} Is that right?",
    ),
    "clean": (
        "Remove every sentence that mentions being an AI or that refuses. Keep the rest unchanged.\n{a}",
        "Fix grammar and formatting of this generated text and return only the text:\n{a}",
        "Instruction: {p}\nOutput: {a}\nImprove the output so that it could serve as a reference answer.",
    ),
    "similar": (
        "Write three new questions that are similar to this one but about other things: {p}",
        "Make the following task harder by adding one constraint: {p}",
        "Create an instruction, an input and an output inspired by: {p}",
        "Invent a persona who would ask this, and their follow-up question: {p}",
    ),
    "test": (
        "{p}\nGive a solution, an explanation and three test cases.",
        "Task: {p}\nReturn: 1) the answer 2) unit tests 3) edge cases.",
        "{p}\nAlso write how an automatic checker would verify the result.",
    ),
}  # fmt: skip

_TABLE: tuple[str, ...] = ("{p}", *(text for texts in _PHRASES.values() for text in texts))
_FIRST: dict[Kind, int] = {}
_next = 1
for _kind, _texts in _PHRASES.items():
    _FIRST[_kind] = _next
    _next += len(_texts)
_QUOTES = tuple("{a}" in text for text in _TABLE)


def numbers(kind: Kind) -> npt.NDArray[np.int16]:
    """The wraps of one kind."""
    return np.arange(_FIRST[kind], _FIRST[kind] + len(_PHRASES[kind]), dtype=np.int16)


def choose(kind: Kind, count: int, rng: np.random.Generator, favourites: int | None = None) -> npt.NDArray[np.int16]:
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
