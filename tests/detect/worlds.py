"""Rows for tests of detection: hand-made ones, and small simulated worlds through the real ingest kernels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.detect.course import follow
from pipelines.detect.evidence import Evidence, account_evidence
from pipelines.detect.profiles import Map
from pipelines.ingest.decode import decode
from pipelines.ingest.fold import SUM_INDEX, Rows, concat, fold, from_arrow
from pipelines.ingest.measure import HashKeys, measure
from pipelines.ingest.source import Block
from pipelines.prompt_map.fit import FittedMap, fit
from pipelines.prompt_map.sample import PromptSample
from pipelines.simulate.world import simulate
from schemas.account_hour import ACCOUNT_HOURS, UNKNOWN_TIME

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_767_571_200_000
"""2026-01-05T00:00Z, a Monday."""
FAR_FUTURE_MS = 1 << 62


def rows_of(*described: Mapping[str, Any]) -> Rows:
    """Rows from columns by name; what is left out is 0, empty or unknown. Sketch keys must be ascending."""
    schema = ACCOUNT_HOURS.arrow()
    made = []
    for row in described:
        filled: dict[str, Any] = {
            field.name: [] if pa.types.is_list(field.type) else 0
            for field in schema
            if field.name not in ("account_id", "map_version")
        }
        filled |= {"map_version": "m", "requests": 1, "first_time_ms": START_MS, "last_time_ms": START_MS}
        made.append(filled | {"created_at_ms": UNKNOWN_TIME} | dict(row))
    return fold(from_arrow(pa.Table.from_pylist(made, schema=schema)))


def at_minutes(*minutes: int) -> dict[str, Any]:
    """Columns of an account with one call in each of these minutes after START_MS."""
    first = START_MS // 60_000
    return {
        "requests": len(minutes),
        "minutes": [first + m for m in sorted(minutes)],
        "minute_requests": [1] * len(minutes),
        "first_time_ms": START_MS + min(minutes) * 60_000,
        "last_time_ms": START_MS + max(minutes) * 60_000,
    }


def with_prompts(cells: Sequence[int], lengths: int = 100, repeats: int = 1, salt: int = 0) -> dict[str, Any]:
    """Columns of an account with these cells' distinct prompts, each asked `repeats` times."""
    kinds, counts = np.unique(cells, return_counts=True)
    return {
        "requests": len(cells) * repeats,
        "with_prompt": len(cells) * repeats,
        "prompt_bytes": len(cells) * repeats * lengths,
        "cells": kinds.tolist(),
        "cell_requests": (counts * repeats).tolist(),
        "prompt_hashes": [salt * 10_000 + i for i in range(len(cells))],
        "prompt_requests": [repeats] * len(cells),
        "prompt_cells": list(cells),
        "prompt_lengths": [lengths] * len(cells),
    }


def _blocks(path: Path) -> list[Block]:
    data = path.read_bytes()
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10).astype(np.int64)
    starts = np.concatenate(([0], ends[:-1] + 1)).astype(np.int64)
    return [Block(data, starts, ends, np.arange(len(ends)))]


def world(folder: Path, **options: Any) -> tuple[FittedMap, Rows, Rows, Path]:
    """A simulated world: (prompt map, rows by hour, rows by account, file of the truth)."""
    summary = simulate(folder, **options)
    keys = HashKeys.derive(b"a key for tests of detection")
    decoded = [decode(block, FAR_FUTURE_MS) for path in summary.files for block in _blocks(path)]
    sample = PromptSample(keys.texts)
    for d in decoded:
        sample.add(d)
    fitted = fit(sample.prompts())
    hours = fold(concat([measure(d, d.valid, "m", fitted.quantiser, keys) for d in decoded]))
    return fitted, hours, by_account(hours), summary.truth


def by_account(rows: Rows) -> Rows:
    """Folded to one row per account."""
    return fold(rows.at_hour(np.zeros(len(rows), dtype=np.int32)))


def by_day(rows: Rows) -> Rows:
    """Folded to one row per account and day."""
    return fold(rows.at_hour((rows.hours // 24 * 24).astype(np.int32)))


def without(rows: Rows, sketches: Sequence[str], sums: Sequence[str]) -> Rows:
    """The same rows as a source without certain fields would give them."""
    emptied = {
        name: replace(
            entries,
            offsets=np.zeros_like(entries.offsets),
            keys=entries.keys[:0],
            counts=entries.counts[:0],
            payloads={key: values[:0] for key, values in entries.payloads.items()},
        )
        if name in sketches
        else entries
        for name, entries in rows.sketches.items()
    }
    kept = rows.sums.copy()
    kept[:, [SUM_INDEX[name] for name in sums]] = 0
    return replace(rows, sketches=emptied, sums=kept)


def evidence_of(
    accounts: Rows, hours: Rows, fitted: Map | None, as_of_ms: int
) -> tuple[pl.DataFrame, list[Evidence]]:
    """Profiles and evidence of accounts; hours: the same rows, not yet folded together."""
    per_topic = 1 if fitted is None else fitted.quantiser.cell_norms.shape[1]
    return account_evidence(accounts, follow(hours, accounts, per_topic), fitted, as_of_ms)
