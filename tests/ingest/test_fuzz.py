"""Broken records beside good ones: every line is a row or a reject with reason and position, nothing is lost.

`pytest tests/ingest/test_fuzz.py --soak` breaks 100,000 records, otherwise 3,000.
"""

import json
import random
from pathlib import Path

import pytest

from pipelines.ingest.decode import decode
from pipelines.ingest.slices import native
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.broken import broken
from tests.ingest.lakes import new_lake, rejects, rows, run
from tests.ingest.records import NOW, block, record
from tests.ingest.test_scan import oracle


def test_every_broken_record_is_a_row_or_a_reject(
    tmp_path: Path, fitted: FittedMap, pytestconfig: pytest.Config
) -> None:
    size = 100_000 if pytestconfig.getoption("--soak", default=False) else 3_000
    rng = random.Random(99)
    path = tmp_path / "a.ndjson"
    good_lines: list[int] = []
    bad_lines: dict[int, bytes] = {}
    with path.open("wb") as file:
        for line in range(1, 2 * size + 1):
            if line % 2:
                good = record(rng, line) | {"event_id": f"good-{line}", "account_id": "good"}
                file.write(json.dumps(good).encode() + b"\n")
                good_lines.append(line)
            else:
                data = broken(rng, line)
                if data.rstrip(b"\r"):
                    bad_lines[line] = data
                file.write(data + b"\n")
    lake = new_lake(tmp_path / "lake", fitted)
    totals = run(lake, str(path), slice_bytes=4 << 20, cycle_bytes=64 << 20, threads=2)
    assert totals.records == len(good_lines) + len(bad_lines)
    assert totals.records == totals.rows + totals.duplicates + totals.rejects
    held = rejects(lake)
    assert len(held) == totals.rejects > size // 4
    table = rows(lake)
    per_account = zip(table["account_id"].to_pylist(), table["requests"].to_pylist(), strict=True)
    assert sum(count for account, count in per_account if account == "good") == len(good_lines)
    assert sum(table["requests"].to_pylist()) == totals.rows
    rejected = {}
    for reject in held:
        name, line = reject["position"].rsplit(":", 1)
        assert name == str(path)
        assert reject["reason"]
        assert reject["size"] == len(bad_lines[int(line)])
        assert len(reject["copy"]) <= 512
        rejected[int(line)] = reject["reason"]
    assert len(rejected) == len(held)
    for line, data in bad_lines.items():
        if oracle(data) is None:
            assert line in rejected, data[:200]


def test_decoding_in_any_company_gives_the_same(pytestconfig: pytest.Config) -> None:
    rng = random.Random(3)
    found = [data for data in (broken(rng, n) for n in range(400)) if data.strip() and b"\r" not in data]
    together = decode(native(block(b"\n".join(found)), None)[0], NOW)
    for index, data in enumerate(found):
        alone = decode(block(data), NOW)
        assert alone.errors[0] == together.errors[index]
