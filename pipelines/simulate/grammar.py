"""The built-in prompts: a grammar of trades in several languages, for worlds without a corpora folder.

A topic is a trade (templates, things, details), a theme is one thing of it. A code packs template and slot
values; slots that a template does not use are zero, so different codes are different texts. The words are in
`lexicon/`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from pipelines.simulate.prompts import BASE_MASK, STYLE_SHIFT, Topic, dress
from pipelines.simulate.randomness import mix

# (slot, bits), from the low end; the topic and the template come on top.
_SLOTS = (("thing", 6), ("other", 6), ("detail", 6), ("name", 6), ("place", 6), ("n", 7), ("m", 5))
_SHIFTS = dict(
    zip((name for name, _ in _SLOTS), np.cumsum([0] + [bits for _, bits in _SLOTS])[:-1], strict=True)
)
_TEMPLATE_SHIFT = sum(bits for _, bits in _SLOTS)
_TOPIC_SHIFT = _TEMPLATE_SHIFT + 4
_FOLLOW_UP_TEMPLATE = 15
"""The template number that stands for the language's follow-up phrases (numbered by the `thing` slot)."""
_OWN = 6
"""How many details, names and places one person uses in one trade."""


@dataclass(frozen=True)
class _Trade:
    topic: Topic
    openers: tuple[str, ...]
    closers: tuple[str, ...]
    follow_ups: tuple[str, ...]
    templates: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]
    uses: tuple[frozenset[str], ...]
    """slots of each template"""


def _used_slots(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{(\w+)\}", text))


def _trade(language: dict[str, Any], spec: dict[str, Any]) -> _Trade:
    templates = tuple(spec["templates"])
    codelike = sum(bool(re.search(r"def |SQL|SELECT|Python|代码|函数|function", text)) for text in templates)
    return _Trade(
        topic=Topic(f"{spec['family']}/{spec['name']}", spec["family"], 0.0, codelike / len(templates)),
        openers=("", *language["openers"]),
        closers=("", *language["closers"]),
        follow_ups=tuple(language["follow_ups"]),
        templates=templates,
        slots={
            "thing": tuple(spec["things"]),
            "other": tuple(spec["things"]),
            "detail": tuple(str(text) for text in spec["details"]),
            "name": tuple(language["names"]),
            "place": tuple(language["places"]),
            "n": tuple(str(3 + 7 * i) for i in range(128)),
            "m": tuple(str(2 + i) for i in range(32)),
        },
        uses=tuple(_used_slots(text) for text in templates),
    )


@cache
def _lexicon() -> tuple[tuple[_Trade, ...], tuple[str, ...]]:
    folder = files("pipelines.simulate") / "lexicon"
    trades: list[_Trade] = []
    systems: list[str] = []
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml")):
        if name == "phrases.yaml":
            continue
        content = yaml.load((folder / name).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        if "topics" in content:
            trades += [_trade(content, spec) for spec in content["topics"]]
        else:
            systems = list(content["popular"]) + [
                f"You are a {role} at {company}. {rule}"
                for company in content["companies"]
                for role in content["roles"]
                for rule in content["rules"][:: 1 + len(role) % 3]
            ]
    return tuple(trades), tuple(systems)


class GrammarPrompts:
    """The built-in grammar as a prompt source (see `prompts.PromptSource`)."""

    def __init__(self) -> None:
        self._trades, systems = _lexicon()
        self.system_prompts: Sequence[str] = systems
        self.topics: Sequence[Topic] = [trade.topic for trade in self._trades]
        sizes = [len(trade.slots["thing"]) for trade in self._trades]
        self.theme_topic = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self._theme_thing = np.concatenate([np.arange(size, dtype=np.int64) for size in sizes])
        self.theme_size = np.full(len(self.theme_topic), 500, dtype=np.int64)
        slots = [name for name, _ in _SLOTS]
        self._slot_count = np.array(
            [[len(t.slots[name]) for name in slots] for t in self._trades], dtype=np.int64
        )
        self._templates = np.array([len(t.templates) for t in self._trades], dtype=np.int64)
        self._follow_ups = np.array([len(t.follow_ups) for t in self._trades], dtype=np.int64)
        self._uses = np.zeros((len(self._trades), 16, len(slots)), dtype=bool)
        self._detail_uses = np.zeros((len(self._trades), 64, len(slots)), dtype=bool)
        for row, trade in enumerate(self._trades):
            for column, used in enumerate(trade.uses):
                self._uses[row, column] = [name in used for name in slots]
            for column, text in enumerate(trade.slots["detail"]):  # a detail may hold slots of its own
                self._detail_uses[row, column] = [name in _used_slots(text) for name in slots]

    def _pack(
        self,
        topic: npt.NDArray[np.integer],
        template: npt.NDArray[np.int64],
        values: dict[str, npt.NDArray[np.int64]],
    ) -> npt.NDArray[np.int64]:
        code = (topic.astype(np.int64) << _TOPIC_SHIFT) | (template << _TEMPLATE_SHIFT)
        value = {
            name: values[name] % self._slot_count[topic, column] for column, (name, _) in enumerate(_SLOTS)
        }
        same = value["other"] == value["thing"]
        value["other"] = np.where(same, (value["other"] + 1) % self._slot_count[topic, 1], value["other"])
        with_detail = self._uses[topic, template, 2]
        for column, (name, _) in enumerate(_SLOTS):
            used = self._uses[topic, template, column] | (
                with_detail & self._detail_uses[topic, value["detail"], column]
            )
            code |= np.where(used, value[name], 0) << int(_SHIFTS[name])
        return code

    def draw(
        self, themes: npt.NDArray[np.integer], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        topic = self.theme_topic[themes]
        size = len(themes)
        own = persons.astype(np.int64) * 64 + topic

        def habit(salt: int) -> npt.NDArray[np.int64]:
            # One of the person's own few values: a hash of (person, trade, which of the few).
            which = np.minimum(rng.geometric(0.3, size), _OWN)
            return np.asarray((mix(own * 8 + which, salt) >> np.uint64(2)).astype(np.int64))

        template = (
            np.where(rng.random(size) < 0.5, habit(1), rng.integers(0, 1 << 30, size))
            % self._templates[topic]
        )
        values = {
            "thing": self._theme_thing[themes],
            "other": rng.integers(0, 1 << 30, size),
            "detail": np.where(rng.random(size) < 0.7, habit(2), rng.integers(0, 1 << 30, size)),
            "name": habit(3),
            "place": habit(4),
            "n": rng.integers(0, 128, size),
            "m": rng.integers(0, 32, size),
        }
        return self._pack(topic, template, values)

    def curated(
        self, topic_weights: npt.NDArray[np.floating], count: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        weights = np.asarray(topic_weights, dtype=np.float64)
        chosen = np.empty(0, dtype=np.int64)
        for _ in range(20):
            size = 2 * (count - len(chosen)) + 16
            topic = rng.choice(len(weights), size, p=weights / weights.sum())
            template = rng.integers(0, 1 << 30, size) % self._templates[topic]
            values = {name: rng.integers(0, 1 << 30, size) for name, _ in _SLOTS}
            drawn = np.concatenate([chosen, self._pack(topic, template, values)])
            _, first = np.unique(drawn, return_index=True)
            chosen = drawn[np.sort(first)]
            if len(chosen) >= count:
                break
        return chosen[:count]

    def follow(
        self, codes: npt.NDArray[np.int64], persons: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        bases = codes & BASE_MASK
        topic = bases >> _TOPIC_SHIFT
        phrase = (
            (topic << _TOPIC_SHIFT)
            | (_FOLLOW_UP_TEMPLATE << _TEMPLATE_SHIFT)
            | (rng.integers(0, 1 << 30, len(codes)) % self._follow_ups[topic])
        )
        # Half of the time the same trade again: another template and detail around the same thing.
        template = rng.integers(0, 1 << 30, len(codes)) % self._templates[topic]
        values = {name: rng.integers(0, 1 << 30, len(codes)) for name, _ in _SLOTS}
        values["thing"] = bases & 63
        again = self._pack(topic, template, values)
        return np.asarray(np.where(rng.random(len(codes)) < 0.5, phrase, again))

    def text(self, code: int) -> str:
        base, style = code & int(BASE_MASK), code >> STYLE_SHIFT
        trade = self._trades[base >> _TOPIC_SHIFT]
        number = base >> _TEMPLATE_SHIFT & 15
        if number == _FOLLOW_UP_TEMPLATE:
            text = trade.follow_ups[base & 63]
        else:
            values = {
                name: trade.slots[name][base >> int(_SHIFTS[name]) & (1 << bits) - 1] for name, bits in _SLOTS
            }
            if "{" in values["detail"]:
                values["detail"] = values["detail"].format_map(values)
            text = trade.templates[number].format_map(values)
        return dress(text, style, trade.openers, trade.closers) if style else text

    def topic_of(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        bases = codes & BASE_MASK
        follow_up = (bases >> _TEMPLATE_SHIFT & 15) == _FOLLOW_UP_TEMPLATE
        return np.asarray(np.where(follow_up, -1, bases >> _TOPIC_SHIFT).astype(np.int32))
