"""Lakes in tests: ingest into one, and look at one through its committed files only."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.ingest.cycle import IngestOptions
from pipelines.ingest.fold import fold, from_arrow, to_arrow
from pipelines.ingest.run import Totals, ingest, open_source
from pipelines.lake.tables import Lake, read
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import FittedMap
from pipelines.prompt_map.store import NO_MAP
from schemas.account_hour import ACCOUNT_HOURS, REJECTS
from tests.ingest.records import KEY, NOW

SUMS = ("requests", "prompt_tokens", "completion_tokens", "failures", "first_turns", "prompt_bytes")


def new_lake(path: Path, fitted: FittedMap | None = None) -> Lake:
    """An empty lake, with a map in use when one is given."""
    lake = Lake(path)
    lake.create()
    if fitted is not None:
        store.use(path, store.save(path, fitted, {"source": "test"}))
    return lake


def run(lake: Lake, uri: str, slice_bytes: int = 1 << 20, **options: Any) -> Totals:
    """Ingest until nothing is new."""
    source = open_source(uri, lake.path, slice_bytes, follow=False)
    return ingest(lake, uri, source, IngestOptions(hash_key=KEY, map_version=NO_MAP, **options), lambda: NOW)


def _files(lake: Lake, name: str) -> list[str]:
    table = lake.table(REJECTS if name == "rejects" else ACCOUNT_HOURS)
    paths = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    return [f"{lake.path}/{name}/{path}" for path in paths]


def rows(lake: Lake) -> pa.Table:
    """account_hours, folded."""
    return to_arrow(fold(from_arrow(read(lake.hours(), ACCOUNT_HOURS, _files(lake, "account_hours")))))


def rejects(lake: Lake) -> list[dict[str, Any]]:
    """Rejects in order of source partition and position within it."""
    table = read(lake.table(REJECTS), REJECTS, _files(lake, "rejects"))
    return sorted(table.to_pylist(), key=lambda r: (r["source"], r["app_id"], r["offset"], r["position"]))


def sums(lake: Lake) -> dict[str, int]:
    """Totals of some columns."""
    table = rows(lake)
    return {name: sum(table[name].to_pylist()) for name in SUMS}


def expected_sums(records: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The same totals from the records themselves (each event once)."""
    first = {record["event_id"]: record for record in reversed(records)}.values()
    return {
        "requests": len(first),
        "prompt_tokens": sum(r.get("prompt_tokens", 0) for r in first),
        "completion_tokens": sum(r.get("completion_tokens", 0) for r in first),
        "failures": sum(r.get("status", 0) >= 400 and r["status"] != 429 for r in first),
        "first_turns": sum(r.get("turn_index") == 0 for r in first),
        "prompt_bytes": sum(len(r["prompt"].encode()) for r in first),
    }


def write_log(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    """A plain log file."""
    path.write_bytes(b"".join(json.dumps(r).encode() + b"\n" for r in records))
    return path
