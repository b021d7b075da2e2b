"""Synthetic text of the model: an answer is a function of its prompt's code, so that it can be quoted later.

Belongs here: answers and documents made of stock sentences around words of the prompt. Does not belong here:
who quotes them (wraps), or whether a response is logged at all (render).
"""

from __future__ import annotations

import re

from pipelines.simulate.prompts import BASE_MASK

_WORD = re.compile(r"[^\W\d_]{5,}|[぀-ヿ一-鿿]{2,4}")
_OPENINGS = (
    "Here is what I would do about {a}.", "In short: {a} depends mostly on {b}.", "Let us look at {a} first.",
    "Good question about {a}.", "There are two ways to see {a}.", "The usual answer starts with {b}.",
    "Yes, that works for {a}.", "Not quite: {a} and {b} are different things.", "Sure. I start from {a}.",
    "To begin with, {b} matters more than {a}.", "Step by step, beginning with {a}:", "A short plan for {a}:",
    "I read this as a question about {b}.", "First the facts on {a}.", "Taken together, {a} leads to {b}.",
)  # fmt: skip
_SUBJECTS = (
    "The first part", "What you describe", "The value", "A small check", "This step", "The order of things",
    "Your second point", "The usual mistake", "A good rule", "The remaining part", "That number",
    "The short version",
    "Experience with {b}", "The cost of {a}", "Each case of {a}", "Whoever handles {b}", "The result",
    "An example",
    "The safest choice", "Most guidance on {a}", "The wording", "A second look at {b}", "The limit",
    "Half of it",
)  # fmt: skip
_VERBS = (
    "follows from", "changes with", "should be compared with", "is easy to confuse with", "comes before",
    "has little to do with", "can be taken from", "is written next to", "explains", "rules out", "needs",
    "is checked against", "usually hides", "is worth more than", "gets shorter through", "must wait for",
    "can replace", "depends on", "stands for", "makes room for",
)  # fmt: skip
_OBJECTS = (
    "{a}", "{b}", "the earlier figure", "what was agreed", "the other side of {a}", "a plain list",
    "the time you have",
    "the size of {b}", "the people involved", "a simple test", "the first attempt", "the written rules",
    "the weather",
    "a third source", "the next step", "everything after {a}", "the way {b} is stored", "two or three tries",
    "your own notes", "the smallest case", "a change of units", "the last digit", "the reason you gave",
    "both ends",
)  # fmt: skip
_TAILS = (
    ".", ".", ".", ", so start there.", ", at least in most cases.", "; if not, stop and look again.",
    ", which is fine.", " unless {b} is missing.", ", and that settles {a}.",
    ", as the second example shows.",
    ". Keep it short.", ", though opinions differ.",
)  # fmt: skip
_A, _C, _M = 6364136223846793005, 1442695040888963407, (1 << 64) - 1


def answer(code: int, prompt: str, variant: int = 0) -> str:
    """The model's answer to the prompt of this code, two to nine sentences; `variant` gives another one."""
    words = _WORD.findall(prompt, 0, 300) or ["it"]
    base = code & int(BASE_MASK)
    state = ((base + 1) * 0x9E3779B97F4A7C15 + variant * 0xBF58476D1CE4E5B9) & _M
    state ^= state >> 29
    a, b = words[state % len(words)], words[(state >> 20) % len(words)]
    parts = [_OPENINGS[(state >> 8) % len(_OPENINGS)]]
    for _ in range(1 + (state >> 40) % 8):
        state = (state * _A + _C) & _M
        parts.append(
            f"{_SUBJECTS[(state >> 33) % len(_SUBJECTS)]} {_VERBS[(state >> 39) % len(_VERBS)]} "
            f"{_OBJECTS[(state >> 45) % len(_OBJECTS)]}{_TAILS[(state >> 52) % len(_TAILS)]}"
        )
    return " ".join(parts).replace("{a}", a).replace("{b}", b)
