"""Files as a source: what they hold arrives once, whatever happens to the files, with its place named."""

import gc
import gzip
import io
import json
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import zstandard

from pipelines import produce
from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest import streams
from pipelines.ingest.cycle import IngestOptions
from pipelines.ingest.dry_run import look
from pipelines.ingest.files import FileSource
from pipelines.ingest.replay import ReplaySource
from pipelines.ingest.run import ingest, open_source
from pipelines.lake.tables import Lake
from pipelines.prompt_map.store import NO_MAP
from pipelines.stopping import Stop
from schemas.request import MAX_RECORD_BYTES
from tests.ingest.lakes import expected_sums, new_lake, rejects, run, sums, write_log
from tests.ingest.records import KEY, NOW, lines, log


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return new_lake(tmp_path / "lake")


@pytest.fixture(autouse=True)
def _no_open_streams() -> Iterator[None]:
    """Streams stay open between cycles of one process; tests must not see each other's."""
    yield
    for _, stream in streams._OPEN.values():
        stream.close()
    streams._OPEN.clear()


def read_all(source: FileSource, max_bytes: int = 1 << 40) -> list[bytes]:
    """The records of all slices, each read twice: a slice must give the same both times."""
    out: list[bytes] = []
    for part in source.plan(lambda app_id: None, max_bytes):
        once = [record for block in source.read(part) for record in block.records()]
        again = [record for block in source.read(part) for record in block.records()]
        assert once == again
        out += once
    return out


@pytest.mark.parametrize("slice_bytes", [1, 17, 1000, 1 << 20])
def test_slices_end_at_line_ends(tmp_path: Path, slice_bytes: int) -> None:
    records = [b"x" * n for n in (1, 50, 3, 0, 2000, 7)]
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\n".join(records))
    assert read_all(FileSource(str(path), tmp_path, slice_bytes)) == [r for r in records if r]


def test_line_ends_blank_lines_and_positions(tmp_path: Path, lake: Lake) -> None:
    good = lines(log(1, 3)).splitlines()
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"\r\n\n" + good[0] + b"\r\n" + b"broken\r\n" + good[1] + b"\n\n \n" + good[2] + b"\n{")
    totals = run(lake, str(path))
    assert (totals.records, totals.rows, totals.rejects) == (6, 3, 3)
    assert [(r["position"], r["reason"]) for r in rejects(lake)] == [
        (f"{path}:4", "not a JSON object"),
        (f"{path}:7", "empty record"),
        (f"{path}:9", "record ends too early"),
    ]


def test_positions_across_slices_cycles_and_growth(tmp_path: Path, lake: Lake) -> None:
    good = lines(log(2, 60)).splitlines(keepends=True)
    content = [b"bad\n" if n % 7 == 3 else line for n, line in enumerate(good)]
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(content[:40]))
    run(lake, str(path), slice_bytes=1500, cycle_bytes=4000)
    with path.open("ab") as file:
        file.write(b"".join(content[40:]))
    run(lake, str(path), slice_bytes=900, cycle_bytes=3000)
    assert sorted(int(r["position"].rsplit(":", 1)[1]) for r in rejects(lake)) == [
        n + 1 for n in range(60) if n % 7 == 3
    ]
    assert sums(lake) == expected_sums([r for n, r in enumerate(log(2, 60)) if n % 7 != 3])


@pytest.mark.parametrize("size", [1, 2, 9, 300])
def test_growth_at_any_size(tmp_path: Path, lake: Lake, size: int) -> None:
    records = log(3, 400)
    path = tmp_path / "a.jsonl"
    for end in (size, 2 * size + 1, 400):
        write_log(path, records[:end])
        run(lake, str(path))
        assert run(lake, str(path)).records == 0
    assert sums(lake) == expected_sums(records)
    assert sum(1 for _ in (lake.path / "_sources").glob("*/*.json")) == 1


def test_renamed_copied_and_moved_files_are_the_same_file(tmp_path: Path, lake: Lake) -> None:
    path = write_log(tmp_path / "a.ndjson", log(4, 50))
    assert run(lake, str(path)).rows == 50
    moved = path.rename(tmp_path / "a.1.ndjson")
    (tmp_path / "copy.ndjson").write_bytes(moved.read_bytes())
    assert run(lake, str(tmp_path / "*.ndjson")).records == 0


def test_files_that_begin_alike(tmp_path: Path, lake: Lake) -> None:
    common = log(5, 120)
    tails = [log(seed, 40, accounts=5) for seed in (6, 7, 8)]
    for seed, tail in enumerate(tails):
        for record in tail:
            record["event_id"] += f"-{seed}"
    paths = []
    for seed, tail in enumerate(tails):
        paths.append(write_log(tmp_path / f"{seed}.ndjson", common + tail))
        assert paths[-1].stat().st_size > 1 << 16
    run(lake, str(tmp_path / "*.ndjson"), cycle_bytes=100_000, slice_bytes=30_000)
    extra = log(9, 30)
    for index, record in enumerate(extra):
        record["event_id"] = f"extra-{index}"
    with paths[2].open("ab") as file:
        file.write(lines(extra))
    totals = run(lake, str(tmp_path / "*.ndjson"))
    assert totals.records == 30
    assert sums(lake) == expected_sums([*common, *tails[0], *tails[1], *tails[2], *extra])


def test_small_files_that_begin_alike(tmp_path: Path, lake: Lake) -> None:
    shared = "x" * 700
    for seed in range(4):
        record = log(seed, 1)[0]
        record = {
            "prompt": shared,
            **{k: v for k, v in record.items() if k != "prompt"},
            "event_id": f"e{seed}",
        }
        write_log(tmp_path / f"{seed}.ndjson", [record])
    assert run(lake, str(tmp_path)).rows == 4
    assert run(lake, str(tmp_path)).records == 0


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files(tmp_path: Path, lake: Lake, suffix: str) -> None:
    records = log(10, 500)
    data = lines(records)
    half = data.index(b"\n", len(data) // 2) + 1
    pack = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    path = tmp_path / f"a.ndjson{suffix}"
    path.write_bytes(pack(data[:half]) + pack(data[half:]))  # two members or frames one behind the other
    assert len(read_all(FileSource(str(path), tmp_path))) == 500
    assert run(lake, str(path), cycle_bytes=60_000).rows == 500
    assert sums(lake) == expected_sums(records)
    path.rename(tmp_path / f"renamed.ndjson{suffix}")
    assert run(lake, str(tmp_path)).records == 0


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """No file is left to the garbage collector, which would warn of it."""
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        yield
        streams._OPEN.clear()
        gc.collect()
    # What a server of another test has left in this process is not ours.
    assert [str(w.message) for w in left if str(w.message).startswith("unclosed file")] == []


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(
    "how", ["ingested", "stopped", "replayed", "looked at", "produced", "produced in part"]
)
def test_a_stream_is_closed_by_whoever_read_it(tmp_path: Path, lake: Lake, suffix: str, how: str) -> None:
    pack = gzip.compress if suffix == ".gz" else zstandard.compress
    path = tmp_path / f"a.ndjson{suffix}"
    path.write_bytes(pack(b"{broken\n" + lines(log(12, 6000 if how == "stopped" else 500))))
    if how == "replayed":
        run(lake, str(path))
    with nothing_left_open():
        if how == "ingested":
            assert run(lake, str(path)).rows == 500
        elif how == "stopped":
            stop = Stop()
            options = IngestOptions(hash_key=KEY, map_version=NO_MAP, cycle_bytes=20_000)
            done = ingest(lake, str(path), open_source(str(path), lake.path, 1 << 20, follow=False), options,
                          lambda: NOW, stop=stop, on_cycle=lambda report, totals: stop.event.set())  # fmt: skip
            assert 0 < done.records < 6000
        elif how == "replayed":
            options = IngestOptions(hash_key=KEY, map_version=NO_MAP)
            assert ingest(lake, "rejects", ReplaySource(lake.path), options, lambda: NOW).rejects == 1
        elif how == "looked at":
            assert look(FileSource(str(path), tmp_path), "native", {}, NOW).valid == 500
        else:
            with closing(produce._lines(str(path))) as sent:
                assert len(list(sent) if how == "produced" else [next(sent)]) == (
                    501 if how == "produced" else 1
                )


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flip", "not compressed"])
def test_broken_compression_is_a_reject_and_loses_nothing_before_it(
    tmp_path: Path, lake: Lake, suffix: str, damage: str
) -> None:
    records = log(11, 3000)
    rng = random.Random(1)
    for record in records:
        record["conversation_id"] = rng.randbytes(30).hex()
    data = lines(records)
    pack = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    packed = bytearray(pack(data))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    elif damage == "flip":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed = bytearray(data)
    path = tmp_path / f"a.ndjson{suffix}"
    path.write_bytes(packed)
    totals = run(lake, str(path))
    held = rejects(lake)
    assert [r for r in held if r["reason"].startswith("compressed data ends or breaks here")]
    assert all(r["position"].startswith(f"{path}:") for r in held)
    assert len(held) == totals.rejects
    if damage == "cut":
        assert 500 < totals.rows < 3000
    if damage == "not compressed":
        assert totals.rows == 0
    assert run(lake, str(path)).records == 0
    assert rejects(lake) == held


def test_standard_input(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONG_LINE", 100_000)
    records = log(12, 3000, repeats=0.05)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(records)[:-1])))
    totals = run(lake, "-", cycle_bytes=300_000)
    assert totals.cycles > 3
    assert totals.duplicates > 50
    assert sums(lake) == expected_sums(records)


def test_standard_input_fits_the_first_map_and_loses_nothing(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = log(13, 4000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(records))))
    run(lake, "-", cycle_bytes=500_000)
    assert sums(lake) == expected_sums(records)
    assert len(list((lake.path / "prompt_maps").glob("*/map.npz"))) == 1


def test_standard_input_needs_this_process(lake: Lake) -> None:
    with pytest.raises(UsageError, match="--runner dask"):
        run(lake, "-", runner="dask")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_without_end_is_one_reject(tmp_path: Path, lake: Lake, suffix: str) -> None:
    good = lines(log(14, 4)).splitlines(keepends=True)
    data = b"".join([*good[:2], b'{"a": "' + b"x" * (11 << 20) + b'"}\n', *good[2:]])
    path = tmp_path / f"a.ndjson{suffix}"
    path.write_bytes(gzip.compress(data, 1) if suffix else data)
    totals = run(lake, str(path))
    assert (totals.rows, totals.rejects) == (4, 1)
    assert [(r["position"], r["reason"]) for r in rejects(lake)] == [
        (f"{path}:3", f"record over {MAX_RECORD_BYTES} bytes")
    ]


def test_folders_and_globs(tmp_path: Path, lake: Lake) -> None:
    records = log(15, 30)
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    write_log(tmp_path / "logs" / "a.ndjson", records[:10])
    write_log(tmp_path / "logs" / "deep" / "b.jsonl", records[10:20])
    (tmp_path / "logs" / "deep" / "c.log.gz").write_bytes(gzip.compress(lines(records[20:])))
    (tmp_path / "logs" / "README").write_text("no log")
    assert run(lake, str(tmp_path / "logs" / "**" / "*.jsonl")).rows == 10
    assert run(lake, str(tmp_path / "logs")).rows == 20


def test_missing_and_unreadable(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(UsageError, match="names no file"):
        open_source(str(tmp_path / "none*.ndjson"), lake.path, 1 << 20, follow=False)
    with pytest.raises(UsageError, match="of no known kind"):
        open_source("ftp://host/log", lake.path, 1 << 20, follow=False)
    (tmp_path / "empty.ndjson").touch()
    assert run(lake, str(tmp_path / "empty.ndjson")).records == 0


def test_while_following_the_last_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"one\ntwo\nthr")
    source = FileSource(str(path), tmp_path, complete=False)
    assert read_all(source) == [b"one", b"two"]
    path.write_bytes(b"thr")
    assert source.plan(lambda app_id: None, 100) == []


def test_a_file_that_vanishes_while_reading_is_one_sentence(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.ndjson", log(16, 3))
    source = FileSource(str(path), tmp_path)
    assert json.loads(path.read_text().splitlines()[0])
    path.unlink()
    with pytest.raises(ScarecrowError):
        source.plan(lambda app_id: None, 100)
