"""The product's kernels fused by hand: file to Parquet with threads, and nothing else. No Beam, no lake, no
exactly-once, no rejects: what remains of the speed when all of that is there is the framework's price."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.ingest.decode import decode
from pipelines.ingest.files import _blocks
from pipelines.ingest.fold import to_arrow
from pipelines.ingest.measure import HashKeys, measure_requests
from pipelines.ingest.requests import Requests, fold_requests
from pipelines.ingest.source import Block
from pipelines.prompt_map.store import PromptMap

_CYCLE_BLOCKS = 32


def fused(path: Path, out: Path, held: PromptMap, keys: HashKeys, now_ms: int, threads: int) -> int:
    """Write folded rows of a log to Parquet files in `out`; returns the number of records."""
    records = 0
    parts: list[Requests] = []

    def one(block: Block) -> Requests:
        decoded = decode(block, now_ms)
        return measure_requests(decoded, decoded.valid, held.version, held.quantiser, keys)

    def write() -> None:
        pq.write_table(to_arrow(next(fold_requests(parts))), out / f"{records}.parquet", compression="zstd")
        parts.clear()

    with ThreadPoolExecutor(threads) as pool, path.open("rb") as file:
        waiting: list[Future[Requests]] = []
        for block in _blocks(file, 0, path.stat().st_size):
            records += len(block)
            waiting.append(pool.submit(one, block))
            if len(waiting) > threads:
                parts.append(waiting.pop(0).result())
            if len(parts) == _CYCLE_BLOCKS:
                write()
        parts += [future.result() for future in waiting]
    if parts:
        write()
    return records
