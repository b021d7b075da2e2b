"""Rejects read again after a fix: each counts exactly once, what fails again stays a reject, what is gone is told."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from pipelines.cli.app import run as scarecrow
from pipelines.ingest.cycle import CycleReport, IngestOptions
from pipelines.ingest.replay import GONE, ReplaySource
from pipelines.ingest.run import Totals, ingest
from pipelines.lake.rejects import counted, newest, origin_id, replay_id
from pipelines.lake.tables import Lake
from pipelines.prompt_map.fit import FittedMap
from pipelines.prompt_map.store import NO_MAP
from pipelines.stopping import Stop
from schemas.request import MAX_RECORD_BYTES
from tests.ingest.lakes import expected_sums, new_lake, run, sums
from tests.ingest.records import KEY, NOW, log

GARBAGE = [b"{broken", b"[1, 2]", b"\xff\xfe", b'{"event_id": "x"}']


@pytest.fixture
def lake(tmp_path: Path, fitted: FittedMap) -> Lake:
    return new_lake(tmp_path / "lake", fitted)


def replayed(
    lake: Lake, uri: str | None = None, stop_after: int | None = None, **options: Any
) -> tuple[Totals, ReplaySource]:
    source = ReplaySource(lake.path, uri)
    stop = Stop()

    def on_cycle(report: CycleReport, totals: Totals) -> None:
        if totals.cycles == stop_after:
            stop.event.set()

    chosen = IngestOptions(hash_key=KEY, map_version=NO_MAP, **options)
    return ingest(lake, "rejects", source, chosen, lambda: NOW, stop=stop, on_cycle=on_cycle), source


def standing(lake: Lake) -> int:
    return sum(group["rejects"] for group in counted(lake))


def moved(record: dict[str, Any]) -> dict[str, Any]:
    """The record as another gateway would log it: the account is elsewhere."""
    return {"who": record["account_id"]} | {k: v for k, v in record.items() if k != "account_id"}


def mapping(folder: Path, account: str, records: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Options of a mapping file that takes every field from where it is, and the account from `account`."""
    names = sorted({name for record in records for name in record} - {"account_id"})
    file = folder / f"{account}.yaml"
    file.write_text("fields:\n" + "".join(f"  {n}: {n}\n" for n in names) + f"  account_id: {account}\n")
    return (("file", str(file)),)


def packed(path: Path, data: bytes) -> bytes:
    if path.suffix == ".gz":
        return gzip.compress(data)
    return zstandard.compress(data) if path.suffix == ".zst" else data


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.ndjson.zst"])
def test_a_wrong_mapping_then_the_right_one(tmp_path: Path, lake: Lake, name: str) -> None:
    records = log(41, 300)
    path = tmp_path / name
    lines = [orjson.dumps(moved(record)) for record in records]
    lines[100:100] = [b"{broken"]
    path.write_bytes(packed(path, b"\n".join(lines) + b"\n"))
    wrong = mapping(tmp_path, "account", records)
    first = run(lake, str(path), 20_000, log_format="mapping", format_options=wrong, cycle_bytes=60_000)
    assert (first.rows, first.rejects) == (0, 301)
    before = Counter(row["position"] for row in newest(lake, 1000))
    assert len(before) == 301

    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    again, _ = replayed(lake, cycle_bytes=30_000, **right)
    assert (again.records, again.rows, again.rejects, again.duplicates) == (301, 300, 1, 0)
    assert sums(lake) == expected_sums(records)
    (left,) = newest(lake, 10)
    assert left["position"] == f"{path}:101", "it stands where it stood"

    # Twice changes nothing, neither of the source nor of the rejects, even without any memory of events.
    for _ in range(2):
        assert replayed(lake, dedup_horizon=0, **right)[0].rows == 0
        assert run(lake, str(path), dedup_horizon=0, **right).records == 0
    assert sums(lake) == expected_sums(records)
    assert standing(lake) == 1


def test_a_replay_that_is_cut_short_goes_on(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.ingest.replay._AT_ONCE", 40)
    records = log(42, 200)
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(orjson.dumps(moved(record)) + b"\n" for record in records))
    assert run(lake, str(path)).rejects == 200
    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    done, _ = replayed(lake, stop_after=2, **right)
    assert (done.cycles, done.rows) == (2, 80)
    assert standing(lake) == 120
    done, _ = replayed(lake, dedup_horizon=0, **right)
    assert (done.cycles, done.rows) == (3, 120)
    assert standing(lake) == 0
    assert sums(lake) == expected_sums(records)


def test_what_fails_again_stands_once_however_often(tmp_path: Path, lake: Lake) -> None:
    records = log(43, 50)
    without = [{k: v for k, v in record.items() if k != "prompt"} for record in records[:20]]
    lines = [
        *map(orjson.dumps, without),
        *GARBAGE,
        *map(orjson.dumps, records[20:]),
        b"x" * (MAX_RECORD_BYTES + 1),
    ]
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")
    first = run(lake, str(path))
    assert (first.rows, first.rejects) == (30, 25)
    for _ in range(3):
        again, _ = replayed(lake)
        assert (again.records, again.rows, again.rejects) == (25, 0, 25)
        assert standing(lake) == 25
    again, _ = replayed(lake, content_free=True)
    assert (again.rows, again.rejects) == (20, 5)
    assert standing(lake) == 5
    assert sums(lake)["requests"] == 50
    assert {row["position"] for row in newest(lake, 9)} == {f"{path}:{n}" for n in (21, 22, 23, 24, 55)}


def test_a_file_that_moved_and_one_that_is_gone(tmp_path: Path, lake: Lake) -> None:
    records = log(44, 40)
    here, there, other = tmp_path / "a.ndjson", tmp_path / "b.ndjson", tmp_path / "c.ndjson"
    for path, some in ((here, records[:25]), (other, records[25:])):
        path.write_bytes(b"".join(orjson.dumps(moved(record)) + b"\n" for record in some))
        run(lake, str(path))
    here.rename(there)
    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    done, source = replayed(lake, **right)
    assert done.rows == 15
    assert [count for _, count in source.left.values()] == [25]
    assert "names no file" in next(iter(source.left.values()))[0]
    done, source = replayed(lake, str(tmp_path / "?.ndjson"), **right)
    assert (done.rows, source.left) == (25, {})
    assert sums(lake) == expected_sums(records)


def test_a_file_that_was_cut_is_not_taken_for_what_it_was(tmp_path: Path, lake: Lake) -> None:
    records = log(45, 30)
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(orjson.dumps(moved(record)) + b"\n" for record in records))
    run(lake, str(path))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    right: dict[str, Any] = {"log_format": "mapping", "format_options": mapping(tmp_path, "who", records)}
    done, source = replayed(lake, **right)
    assert (done.records, [count for _, count in source.left.values()]) == (0, [30])
    assert standing(lake) == 30


def test_standard_input_cannot_be_read_again(
    tmp_path: Path, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"{broken\n")
    run(lake, str(path))
    path.unlink()
    assert scarecrow(["rejects", "--lake", str(lake.path), "--replay"]) == 0
    assert "1 rejects of file:" in capsys.readouterr().out


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", KEY.decode())
    monkeypatch.chdir(tmp_path)
    records = log(46, 30)
    Path("a.ndjson").write_bytes(b"".join(orjson.dumps(moved(record)) + b"\n" for record in records))
    ((_, right),) = mapping(tmp_path, "who", records)
    assert scarecrow(["ingest", "--source", "a.ndjson"]) == 0
    assert scarecrow(["rejects"]) == 0
    assert "30" in capsys.readouterr().out
    assert scarecrow(["rejects", "--mapping", right]) == 2
    assert scarecrow(["rejects", "--replay", "--reason", "x"]) == 2
    capsys.readouterr()
    assert scarecrow(["rejects", "--replay", "--mapping", right]) == 0
    assert "30 rejects read again: 30 measured, 0 duplicates, 0 rejected again" in capsys.readouterr().out
    assert scarecrow(["rejects", "--replay", "--mapping", right, "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["records"] == 0
    assert scarecrow(["rejects"]) == 0
    assert "No rejects." in capsys.readouterr().out


def test_names_of_replays() -> None:
    first = replay_id("kafka:t:id:3")
    assert first == "replay:1:kafka:t:id:3"
    assert replay_id(first) == "replay:2:kafka:t:id:3"
    assert origin_id(replay_id(first)) == "kafka:t:id:3"
    assert origin_id("file:abc") == "file:abc"
    assert GONE not in first
