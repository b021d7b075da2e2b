"""How fast logs become committed Parquet: the product, a textbook pipeline, and its own kernels fused by hand.

    python benchmarks/ingest.py [--quick] [--records N] [--accounts N]

One run, one machine, two cores each. The last line is one JSON object.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

KEY = b"the key of the benchmark"
NOW = 2_000_000_000_000
CORES = 2


def _lake(path: Path) -> Any:
    from pipelines.lake.tables import Lake

    return Lake(path)


def _ingest(log: Path, lake: Path, threads: int) -> int:
    from pipelines.ingest.cycle import IngestOptions
    from pipelines.ingest.run import ingest, open_source
    from pipelines.prompt_map.store import NO_MAP
    from pipelines.settings import IngestSettings

    settings = IngestSettings()
    opened = _lake(lake)
    source = open_source(str(log), lake, settings.slice_mib << 20, follow=False)
    options = IngestOptions(
        hash_key=KEY, map_version=NO_MAP, threads=threads, cycle_bytes=settings.cycle_mib << 20
    )
    return ingest(opened, str(log), source, options, lambda: NOW).records


def _with_map(lake: Path, maps: Path) -> Path:
    import shutil

    _lake(lake).create()
    shutil.copytree(maps, lake / "prompt_maps", dirs_exist_ok=True)
    return lake


def product(log: Path, small: Path, root: Path, maps: Path) -> int:
    """The product's own path; a small log first, so that nothing is compiled or imported later."""
    _ingest(small, _with_map(root / "warm", maps), CORES)
    lake = _with_map(root / "product", maps)
    return timed(lambda: _ingest(log, lake, CORES))


def by_hand(log: Path, small: Path, root: Path, maps: Path) -> int:
    """The same kernels without Beam and lake."""
    from benchmarks.fused import fused
    from pipelines.ingest.measure import HashKeys
    from pipelines.prompt_map import store

    lake = _with_map(root / "maps", maps)
    held = store.load(lake, store.current(lake) or store.NO_MAP)
    keys = HashKeys.derive(KEY)
    (root / "warm-fused").mkdir()
    (root / "fused").mkdir()
    fused(small, root / "warm-fused", held, keys, NOW, CORES)
    return timed(lambda: fused(log, root / "fused", held, keys, NOW, CORES))


def half_textbook(log: Path, out: Path, root: Path, maps: Path) -> int:
    """The textbook pipeline over half of a sample."""
    from benchmarks.textbook import textbook
    from pipelines.prompt_map import store

    lake = root / "maps"
    records = log.read_bytes().count(b"\n")
    textbook(log, out, lake, store.current(lake) or store.NO_MAP, KEY)
    return timed(lambda: (textbook(log, out, lake, store.current(lake) or store.NO_MAP, KEY), records)[1])


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Seconds, CPU seconds, records and peak memory of some work in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    records = work()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "records": records, "max_rss_mib": after.ru_maxrss / 1024}


def in_processes(calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[dict[str, float]]:
    """Run each call in a fresh process of its own, all at once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(calls), maxtasksperchild=1) as pool:
        waiting = [pool.apply_async(function, arguments) for function, arguments in calls]
        return [result.get() for result in waiting]


def equal_rows(textbook_files: list[Path], lake: Path) -> bool:
    """Whether the textbook pipeline's rows, added up, are the product's, bit for bit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipelines.ingest.fold import concat, fold, from_arrow, to_arrow
    from tests.ingest.lakes import rows

    parts = [from_arrow(pq.read_table(path)) for path in textbook_files]
    ours: pa.Table = rows(_lake(lake))
    return bool(to_arrow(fold(concat(parts))).equals(ours))


def equal_sums(fused_folder: Path, lake: Path) -> bool:
    """Whether the fused rows, folded, are the product's."""
    import pyarrow.parquet as pq

    from pipelines.ingest.fold import concat, fold, from_arrow, to_arrow
    from tests.ingest.lakes import rows

    parts = [from_arrow(pq.read_table(path)) for path in sorted(fused_folder.glob("*.parquet"))]
    return bool(to_arrow(fold(concat(parts))).equals(rows(_lake(lake))))


def _head(source: Path, target: Path, begin: int, lines: int) -> Path:
    with source.open("rb") as file, target.open("wb") as out:
        for number, line in enumerate(file):
            if begin <= number < begin + lines:
                out.write(line)
            if number >= begin + lines:
                break
    return target


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer records; figures are rougher")
    parser.add_argument("--records", type=int)
    parser.add_argument("--accounts", type=int, default=20_000, help="0: every request its own account")
    arguments = parser.parse_args()
    size = arguments.records or (300_000 if arguments.quick else 1_500_000)
    sample = 2_000 if arguments.quick else 8_000

    from benchmarks.traffic import write_traffic

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        log = root / "log.ndjson"
        bytes_ = write_traffic(log, size, arguments.accounts, 4.0)
        small = _head(log, root / "small.ndjson", 0, 20_000)
        fitting = root / "fit"
        _ingest(small, fitting, CORES)
        maps = fitting / "prompt_maps"

        (ours,) = in_processes([(product, (log, small, root, maps))])
        (fused,) = in_processes([(by_hand, (log, small, root, maps))])
        halves = [_head(log, root / f"half-{n}.ndjson", n * sample, sample) for n in range(CORES)]
        outs = [root / f"textbook-{n}.parquet" for n in range(CORES)]
        books = in_processes([(half_textbook, (halves[n], outs[n], root, maps)) for n in range(CORES)])
        both = _head(log, root / "both.ndjson", 0, CORES * sample)
        _ingest(both, _with_map(root / "sample", maps), CORES)
        equal = equal_rows(outs, root / "sample") and equal_sums(root / "fused", root / "product")

        rate = ours["records"] / ours["seconds"]
        fused_rate = fused["records"] / fused["seconds"]
        book_rate = sum(b["records"] for b in books) / max(b["seconds"] for b in books)
        lines = [
            ("product: file to committed Parquet", rate, ours["cpu"] / ours["records"], ours["max_rss_mib"]),
            ("same kernels fused by hand", fused_rate, fused["cpu"] / fused["records"], fused["max_rss_mib"]),
            (
                f"textbook Beam pipeline, {CORES} processes",
                book_rate,
                sum(b["cpu"] for b in books) / sum(b["records"] for b in books),
                max(b["max_rss_mib"] for b in books),
            ),
        ]
        sys.stdout.write(
            f"{size:,} records of {bytes_ / size:,.0f} bytes, {arguments.accounts or size:,} accounts, "
            f"{CORES} cores\n\n"
            f"{'':36}{'requests/s':>12}{'CPU us each':>13}{'peak MiB':>10}\n"
        )
        for name, each, cpu, peak in lines:
            sys.stdout.write(f"{name:36}{each:12,.0f}{cpu * 1e6:13,.2f}{peak:10,.0f}\n")
        sys.stdout.write(
            f"\nproduct over textbook {rate / book_rate:.1f}x, product over fused {rate / fused_rate:.2f}, "
            f"results equal: {equal}\n"
        )
        figures = {
            "requests_per_second": round(rate),
            "ratio_textbook": round(rate / book_rate, 2),
            "ratio_fused": round(rate / fused_rate, 3),
            "max_rss_mib": round(ours["max_rss_mib"]),
            "equal": equal,
            "cpu_microseconds": round(ours["cpu"] / ours["records"] * 1e6, 2),
            "records": size,
        }
        sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
