"""A lake of any size without text: accounts with interests, look-alikes and campaigns, drawn as integers by numpy.

Belongs here: who asks what and when, as rows of account_hours that the product's own `fold`, `write`, `commit` and
`compact` take. Not here: measuring anything (`rank`), nor prompts as text (`pipelines.simulate`).

An account's prompts come from a nested Dirichlet process over topics and cells, with concentrations like those that
`pipelines.detect.list_model` finds in logs of real prompts; a campaign's come from one list, each item once. Every
draw is a hash of (account, number), so days and blocks of accounts can be made apart and agree.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from pipelines.ingest.fold import SUM_INDEX, SUMS, Entries, Rows, concat, fold, select, to_arrow
from pipelines.ingest.job import by_hour
from pipelines.ingest.quantise import Quantiser
from pipelines.lake.commit import Advance, commit, stand
from pipelines.lake.compact import compact
from pipelines.lake.notes import Note
from pipelines.lake.tables import Lake
from pipelines.lake.write import Written, hour_partition, write
from pipelines.prompt_map.fit import CELLS_PER_TOPIC, DIMENSIONS, TOPICS, FitStatistics, FittedMap
from pipelines.prompt_map.store import save, use_first
from pipelines.prompt_map.tokens import BUCKETS
from schemas.account_hour import PRESENCE, REJECTS, SKETCHES, UNKNOWN_TIME

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FIRST_DAY: Final = 20_458
"""2026-01-05, in days since 1970."""
CELLS: Final = TOPICS * CELLS_PER_TOPIC
BLOCK: Final = 100_000
"""Accounts that are made at a time."""
DAY_MS: Final = 86_400_000
MEAN_SESSION: Final = 4.0
"""Calls in an hour with calls."""
NAMES: Final = {
    "models": ["large-2", "small-2", "large-1", "reasoner-1", "embed-1"],
    "endpoints": ["chat", "responses", "batch", "messages"],
    "plans": ["free", "pro", "team", "enterprise", "trial"],
}

PERSON, GATEWAY, BATCH, BACK_END, CLASS, EVALUATION, AGENT, HARVEST = range(8)
SHARES: Final = (0.835, 0.001, 0.010, 0.025, 0.025, 0.006, 0.058, 0.040)
"""Of the accounts, by kind."""


@dataclass(frozen=True)
class Population:
    """n accounts, ascending by id.

    ids: string[n]. kind: int8[n]. group: int64[n], the list that an account draws on, -1 for none. list_share:
    float64[n], of its calls. is_disjoint: bool[n], whether an item of the list is asked once in the whole group.
    sessions: float64[n], hours with calls a day. repeats, first_turns: float64[n], shares. topics, cells: float64[n],
    concentrations of interests. place: int64[n], within its group. size: int64[n] items of the group's list.
    """

    ids: pa.Array
    kind: NDArray[np.int8]
    group: Ints
    list_share: Floats
    is_disjoint: NDArray[np.bool_]
    sessions: Floats
    repeats: Floats
    first_turns: Floats
    topics: Floats
    cells: Floats
    place: Ints
    members: Ints
    size: Ints
    zone: Ints
    org: Ints

    def __len__(self) -> int:
        return len(self.kind)


def make_population(accounts: int, seed: int) -> Population:
    """Who there is."""
    rng = np.random.default_rng(seed)
    names = np.unique(rng.integers(0, 1 << 62, accounts + accounts // 100 + 10))
    names = np.sort(rng.permutation(names)[:accounts])
    kind = rng.choice(len(SHARES), accounts, p=np.array(SHARES)).astype(np.int8)
    group, place, members, size = (np.full(accounts, -1, dtype=np.int64) for _ in range(4))
    next_group = 0
    for of_kind, smallest, largest, items in (
        (HARVEST, 15, 90, 0),
        (CLASS, 20, 40, 60),
        (EVALUATION, 4, 9, 400),
    ):
        rows = np.flatnonzero(kind == of_kind)
        ends = np.cumsum(rng.integers(smallest, largest, len(rows) // smallest + 1))
        number = np.searchsorted(ends, np.arange(len(rows)), side="right")
        group[rows] = next_group + number
        starts = np.searchsorted(number, np.arange(int(number.max(initial=0)) + 2))
        place[rows] = np.arange(len(rows)) - starts[number]
        members[rows] = np.diff(starts)[number]
        size[rows] = items
        next_group += int(number.max(initial=0)) + 1
    list_share = np.where(kind == HARVEST, np.array([1.0, 1.0, 0.8, 0.5, 0.3])[group % 5], 0.0)
    list_share[kind == CLASS], list_share[kind == EVALUATION] = 0.7, 0.95
    calls = np.exp(rng.normal(np.log(12), 1.4, accounts))
    calls = np.where(kind == HARVEST, rng.uniform(25, 75, accounts) / np.maximum(list_share, 0.4), calls)
    for of_kind, typical in (
        (GATEWAY, 1_000), (BATCH, 300), (BACK_END, 140), (AGENT, 70), (CLASS, 35), (EVALUATION, 200),
    ):  # fmt: skip
        rows = np.flatnonzero(kind == of_kind)
        calls[rows] = np.exp(rng.normal(np.log(typical), 0.5, len(rows)))
    repeats, first = np.zeros(accounts), np.zeros(accounts)
    for of_kind, again, opening in (
        (PERSON, 0.06, 0.5), (GATEWAY, 0.08, 0.55), (BATCH, 0.0, 1.0), (BACK_END, 0.4, 1.0), (CLASS, 0.05, 0.8),
        (EVALUATION, 0.0, 1.0), (AGENT, 0.1, 0.2), (HARVEST, 0.0, 0.97),
    ):  # fmt: skip
        rows = np.flatnonzero(kind == of_kind)
        repeats[rows] = np.clip(rng.exponential(again, len(rows)), 0, 0.8)
        first[rows] = np.clip(opening + rng.normal(0, 0.15, len(rows)) * (opening < 1), 0.05, 1)
    topics, cells = (np.exp(rng.normal(np.log(mean), 1.0, accounts)) for mean in (5.0, 8.0))
    for of_kind, wide, deep in (
        (GATEWAY, 1e3, 1e3),
        (BATCH, 0.3, 4.0),
        (BACK_END, 1.5, 3.0),
        (AGENT, 2.0, 6.0),
    ):
        topics[kind == of_kind], cells[kind == of_kind] = wide, deep
    org = np.where(
        group >= 0, np.where(kind == HARVEST, np.arange(accounts), accounts + group), np.arange(accounts)
    )
    org = np.where(rng.random(accounts) < 0.05, rng.integers(0, max(accounts // 8, 1), accounts), org)
    return Population(
        pa.array([f"acct_{name:016x}" for name in names.tolist()]), kind, group, list_share,
        (kind == HARVEST), calls / MEAN_SESSION / 14, repeats, first, topics, cells, place, members, size,
        rng.integers(0, 24, accounts), org,
    )  # fmt: skip


def make_map(seed: int) -> FittedMap:
    """A prompt map with the scatter of fitted ones: |topic|^2 about .48 (.13 of it common), |cell - topic|^2 about .30.

    Its projection is empty, for nothing is read through it.
    """
    rng = np.random.default_rng(seed)
    decay = np.arange(1, DIMENSIONS + 1) ** -0.35

    def directions(size: int) -> Floats:
        found = rng.normal(size=(size, DIMENSIONS)) * decay
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

    topics = np.sqrt(0.13) * directions(1) + np.sqrt(0.35) * directions(TOPICS)
    centroids = (np.repeat(topics, CELLS_PER_TOPIC, axis=0) + np.sqrt(0.30) * directions(CELLS)).astype(
        np.float32
    )
    share = popularity(seed)
    quantiser = Quantiser(
        np.zeros((BUCKETS, DIMENSIONS), np.float32), topics.T.astype(np.float32).copy(), np.zeros(TOPICS, np.float32),
        np.zeros((TOPICS, DIMENSIONS, CELLS_PER_TOPIC), np.float32), np.zeros((TOPICS, CELLS_PER_TOPIC), np.float32),
    )  # fmt: skip
    return FittedMap(
        quantiser, centroids, share.astype(np.float32), FitStatistics(0, 0, 0.0, 0.0, CELLS, 0.0)
    )


def popularity(seed: int) -> Floats:
    """Ordinary share of each cell, float64[cells]: log-normal, as fitted maps show."""
    share = np.exp(np.random.default_rng(seed + 1).normal(0, 1.25, CELLS))
    return np.asarray(share / share.sum())


@njit(cache=True, inline="always")
def _mix(a, b):  # type: ignore[no-untyped-def]
    """SplitMix64 of two words."""
    x = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, inline="always")
def _unit(x):  # type: ignore[no-untyped-def]
    return np.float64(x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def _stick(root, u, concentration):  # type: ignore[no-untyped-def]
    """Number of the atom that u falls into when a stick is broken (Sethuraman 1994); rest u is spread over more."""
    left = 1.0
    for k in range(400):
        part = 1.0 - (1.0 - _unit(_mix(root, k))) ** (1.0 / concentration)
        if u < part * left or k == 399:
            return k
        u -= part * left
        left *= 1.0 - part
    return 399


@njit(cache=True)
def _cell(owner, number, wide, deep, topic_edges, cell_edges):  # type: ignore[no-untyped-def]
    """Cell of a prompt of an account's own: a topic of its interests, a cell of its interests in the topic."""
    draw = _mix(owner, number)
    atom = _stick(_mix(owner, 11), _unit(_mix(draw, 1)), wide)
    topic = np.searchsorted(topic_edges, _unit(_mix(_mix(owner, 12), atom)), side="right")
    inner = _mix(_mix(owner, 13), topic)
    atom = _stick(inner, _unit(_mix(draw, 2)), deep)
    of_topic = cell_edges[topic]
    return topic * cell_edges.shape[1] + np.searchsorted(
        of_topic, _unit(_mix(_mix(inner, 14), atom)), side="right"
    )


@njit(cache=True)
def _ask(
    owner,
    serial,
    group,
    place,
    members,
    size,
    is_disjoint,
    list_share,
    repeats,
    wide,
    deep,
    topic_edges,
    cell_edges,
    prompt,
    cell,
    length,
    opening,
    closing,
):  # type: ignore[no-untyped-def]
    """One prompt per call. owner: int64[m]; serial: int64[m], calls of the account before; the others by account."""
    for r in range(len(owner)):
        i = owner[r]
        number = serial[r]
        draw = _mix(i + 7, number)
        if number > 0 and _unit(_mix(draw, 3)) < repeats[r]:
            number = np.int64(_mix(draw, 4) % np.uint64(number))  # a prompt of before, once more
            draw = _mix(i + 7, number)
        text = _mix(draw, 5)
        if group[r] >= 0 and _unit(_mix(draw, 6)) < list_share[r]:
            source = group[r] + 1_000_000_007
            any_item = np.int64(_mix(draw, 7) % np.uint64(max(size[r], 1)))
            item = number * members[r] + place[r] if is_disjoint[r] else any_item
            text = _mix(source, item)
            spread = 40.0 if is_disjoint[r] else 3.0
            cell[r] = _cell(source, item, spread, spread, topic_edges, cell_edges)
        elif _unit(_mix(draw, 8)) < 0.03:
            short = np.int64(300.0 ** _unit(_mix(draw, 9)))  # "thanks", "go on": everybody's
            text = _mix(999_999_937, short)
            cell[r] = _cell(999_999_937, short, 8.0, 8.0, topic_edges, cell_edges)
            prompt[r], length[r] = np.int64(text >> np.uint64(1)), 4 + short % 20
            opening[r], closing[r] = (
                np.int64(_mix(text, 1) >> np.uint64(1)),
                np.int64(_mix(text, 2) >> np.uint64(1)),
            )
            continue
        else:
            cell[r] = _cell(i, number, wide[r], deep[r], topic_edges, cell_edges)
        prompt[r] = np.int64(text >> np.uint64(1))
        length[r] = 20 + np.int64(600.0 * _unit(_mix(text, 3)) ** 3)
        common = np.int64(20_000.0 ** _unit(_mix(text, 4)))  # openings and closings follow Zipf's law
        opening[r] = np.int64(_mix(common, 21) >> np.uint64(1))
        common = np.int64(60_000.0 ** _unit(_mix(text, 5)))
        closing[r] = np.int64(_mix(common, 22) >> np.uint64(1))


@njit(cache=True)
def _hashes(a, b):  # type: ignore[no-untyped-def]
    out = np.empty(len(a), dtype=np.int64)
    for k in range(len(a)):
        out[k] = np.int64(_mix(a[k], b[k]) >> np.uint64(1))
    return out


def _one_each(
    keys: Ints, has: NDArray[np.bool_] | None = None, payloads: dict[str, object] | None = None
) -> Entries:
    """A sketch with one entry for every row, or for those that have one."""
    rows = len(keys)
    kept = np.ones(rows, dtype=bool) if has is None else has
    offsets = np.concatenate(([0], np.cumsum(kept))).astype(np.int64)
    given = {name: values[kept] if isinstance(values, np.ndarray) else values.filter(pa.array(kept))  # type: ignore[attr-defined]
             for name, values in (payloads or {}).items()}  # fmt: skip
    return Entries(offsets, keys[kept], np.ones(int(kept.sum()), dtype=np.int64), given)


@dataclass
class Days:
    """Makes a population's days, in order. seed: of everything."""

    population: Population
    map_version: str
    seed: int

    def __post_init__(self) -> None:
        share = popularity(self.seed).reshape(TOPICS, CELLS_PER_TOPIC)
        by_topic = share.sum(axis=1)
        self._topic_edges = np.cumsum(by_topic)[:-1]
        self._cell_edges = np.ascontiguousarray(np.cumsum(share / by_topic[:, None], axis=1))
        self._cell_edges[:, -1] = 1.0
        self._asked = np.zeros(len(self.population), dtype=np.int64)

    def day(self, number: int) -> Iterator[Rows]:
        """Folded rows of a day, blocks of accounts in order. Days are asked for in order, each once."""
        for begin in range(0, len(self.population), BLOCK):
            yield self._block(number, begin, min(begin + BLOCK, len(self.population)))

    def _block(self, number: int, begin: int, end: int) -> Rows:
        p = self.population
        rng = np.random.default_rng((self.seed, number, begin))
        rows = np.arange(begin, end)
        weekend = (FIRST_DAY + number) % 7 in (2, 3)
        busy = p.sessions[rows] * np.where(weekend & (p.kind[rows] != HARVEST), 0.35, 1.2)
        count = np.maximum(rng.poisson(busy), rows * 7919 % 14 == number)  # nobody is silent for a fortnight
        session = np.repeat(rows, count)
        width = np.where(p.kind[session] == HARVEST, 24, 9)
        hour = (p.zone[session] + (rng.random(len(session)) * width).astype(np.int64)) % 24
        calls = rng.geometric(1 / MEAN_SESSION, len(session))
        owner = np.repeat(session, calls)
        minute = np.repeat(hour, calls) * 60 + rng.integers(0, 60, len(owner))
        order = np.lexsort((minute, owner))
        owner, minute = owner[order], minute[order]
        starts = np.searchsorted(owner, rows)
        serial = self._asked[owner] + np.arange(len(owner)) - starts[owner - begin]
        np.add.at(self._asked, owner, 1)
        return fold(
            self._rows(owner, serial, minute + (FIRST_DAY + number) * 1_440, begin, end, rng), is_raw=True
        )

    def _rows(
        self, owner: Ints, serial: Ints, minute: Ints, begin: int, end: int, rng: np.random.Generator
    ) -> Rows:
        p, m = self.population, len(owner)
        prompt, cell, length, opening, closing = (np.empty(m, dtype=np.int64) for _ in range(5))
        _ask(
            owner, serial, p.group[owner], p.place[owner], p.members[owner], p.size[owner], p.is_disjoint[owner],
            p.list_share[owner], p.repeats[owner], p.topics[owner], p.cells[owner], self._topic_edges,
            self._cell_edges, prompt, cell, length, opening, closing,
        )  # fmt: skip
        sums = np.zeros((m, len(SUMS)), dtype=np.int64)
        first = rng.random(m) < p.first_turns[owner]
        status = rng.random(m)
        sometimes = {
            "requests": 1, "failures": status < 0.01, "throttles": status > 0.995, "prompt_bytes": length,
            "prompt_tokens": length // 4 + 1, "completion_tokens": rng.integers(20, 900, m), "first_turns": first,
            "temperature_milli": 700, "max_tokens": 1024, "latency_ms": rng.integers(200, 9_000, m),
            "elicit_reasoning": rng.random(m) < np.where(p.group[owner] % 4 == 0, 0.3, 0.02),
        }  # fmt: skip
        has_system = (p.kind[owner] == AGENT) | (owner % 3 == 0)
        has_tools = (p.kind[owner] == AGENT) | (owner % 11 == 0)
        for name in PRESENCE:
            if name != "prompt_embedding":
                sometimes[f"with_{name}"] = {"system_prompt": has_system, "tool_schema": has_tools}.get(
                    name, 1
                )
        for name, values in sometimes.items():
            sums[:, SUM_INDEX[name]] = values
        at_ms = minute * 60_000 + rng.integers(0, 60_000, m)
        created = (FIRST_DAY - 1 - (p.org[owner] * 7919) % 700) * DAY_MS
        young = (owner % 17 == 0) | (p.kind[owner] == HARVEST)
        sketches = self._sketches(
            owner, serial - serial % 3, minute, prompt, cell, length, opening, closing, rng
        )
        sketches["system_prompts"] = _one_each(
            _hashes(np.where(p.kind[owner] == AGENT, 1, owner % 350), np.full(m, 31)), has_system
        )
        sketches["tool_schemas"] = _one_each(_hashes(owner % 40, np.full(m, 32)), has_tools)
        return Rows(
            self.map_version, p.ids.slice(begin, end - begin), (owner - begin).astype(np.int32),
            (minute // 60).astype(np.int32), sums, at_ms, at_ms, np.where(young, UNKNOWN_TIME, created), sketches,
        )  # fmt: skip

    def _sketches(
        self, owner: Ints, talk: Ints, minute: Ints, prompt: Ints, cell: Ints, length: Ints, opening: Ints,
        closing: Ints, rng: np.random.Generator,
    ) -> dict[str, Entries]:  # fmt: skip
        p, m = self.population, len(owner)
        office = np.where(owner % 20 == 0, (200.0 ** rng.random(m)).astype(np.int64), 1_000 + owner)
        named = {
            "models": (owner + (rng.random(m) < 0.1)) % 5, "endpoints": owner % 4, "plans": owner // 7 % 5,
        }  # fmt: skip
        keys = {
            "cells": cell, "minutes": minute, "openings": opening, "closings": closing,
            "prompt_shingles": _hashes(prompt, np.full(m, 33)),
            "response_shingles": _hashes(prompt, np.full(m, 34)),
            "conversations": _hashes(owner, talk + 1_000),
            "networks": _hashes(office + rng.integers(0, 3, m) * 10_000_000, np.full(m, 35)),
            "user_agents": _hashes((26.0 ** _uniform(owner, 1)).astype(np.int64), np.full(m, 36)),
            "tls": _hashes((104.0 ** _uniform(owner, 2)).astype(np.int64), np.full(m, 37)),
            "payments": _hashes(np.where(owner % 29 == 0, owner // 58, 10**9 + owner), np.full(m, 38)),
            "api_keys": _hashes(owner, rng.integers(0, 2, m) * (owner % 3 == 0) + 50),
        }  # fmt: skip
        rare = _uniform(prompt, 3) < 0.7
        made = {
            name: _one_each(values, rare if name.endswith("shingles") else None)
            for name, values in keys.items()
        }
        made["prompts"] = _one_each(
            prompt, None, {"prompt_cells": cell.astype(np.int32), "prompt_lengths": length.astype(np.int32)}
        )
        for name, which in named.items():
            texts = pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), pa.array(NAMES[name]))
            made[name] = _one_each(_hashes(which, np.full(m, 40)), None, {f"{name[:-1]}_names": texts})
        orgs, code = np.unique(p.org[owner], return_inverse=True)
        texts = pa.DictionaryArray.from_arrays(
            pa.array(code.astype(np.int32)), pa.array([f"org_{name:08d}" for name in orgs.tolist()])
        )
        made["orgs"] = _one_each(_hashes(p.org[owner], np.full(m, 39)), None, {"org_names": texts})
        assert set(made) | {"system_prompts", "tool_schemas"} == {sketch.name for sketch in SKETCHES}
        return made


def _uniform(keys: Ints, salt: int) -> Floats:
    return np.asarray(_hashes(keys, np.full(len(keys), salt)) / 2.0**63)


def write_lake(path: Path, accounts: int, days: int, seed: int) -> Population:
    """A lake of so many accounts and days, with closed days folded, and its population."""
    lake = Lake(path)
    lake.create()
    version = save(path, make_map(seed), {"made": "for a benchmark, of no text"})
    use_first(path, version)
    population = make_population(accounts, seed)
    made = Days(population, version, seed)
    position = 0
    for number in range(days):
        rows = concat(list(made.day(number)))
        now_ms = (FIRST_DAY + number + 1) * DAY_MS
        root, name = path / "account_hours", f"day-{number:02d}.parquet"
        files: list[Written] = [
            write(root, to_arrow(select(rows, chosen)), hour_partition(hour), name, now_ms)
            for hour, chosen in by_hour(rows)
        ]
        calls = int(rows.sum("requests").sum())
        standing = stand(lake)
        note = Note(
            "benchmark", "benchmark", "file:benchmark", position + calls, position + calls, position + calls,
            newest_event_ms=now_ms,
        )  # fmt: skip
        commit(
            lake, standing, [Advance(position, note)], files, REJECTS.arrow().empty_table(), standing.chain,
            f"day-{number:02d}", now_ms,
        )  # fmt: skip
        position += calls
    compact(lake, (FIRST_DAY + days + 1) * DAY_MS)
    return population
