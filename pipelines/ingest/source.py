"""What a source of API logs is: it plans slices and reads them as raw blocks.

Decoding, measuring and committing live elsewhere; a source knows positions and bytes only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.memory import buffer

Committed = Callable[[str], int | None]
"""Maps an app_id to the position up to which the lake holds it; None when it has never been seen."""


@dataclass(frozen=True)
class Slice:
    """A half-open range of one source partition, read whole by one worker. Picklable, carries no secret.

    uri: the source as the user gave it, without secrets.
    app_id: `kafka:<topic>:<topic id>:<partition>` or `file:<content id>`; the Delta transaction's app_id.
    start, end: first offset (or byte) and one past the last one planned.
    label: what a position is written behind: `topic[partition]@` or `path:`.
    options: what else the reader needs.
    """

    uri: str
    app_id: str
    start: int
    end: int
    label: str
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawReject:
    """Bytes that the source itself could not turn into a record. position is as in Block.positions."""

    position: int
    reason: str
    raw: bytes


SPARE: Final = 1024
"""Bytes of a buffer beyond twice its records: zeros behind them, and a name with escapes."""


def room(size: int) -> NDArray[np.uint8]:
    """A buffer for `size` bytes of records, and what the scanner needs behind them: as much again for strings whose
    escapes are resolved. What is not touched costs no memory."""
    return buffer(2 * size + SPARE)


@dataclass
class Block:
    """Raw records in one buffer: record i is payload[starts[i]:ends[i]].

    positions: int64[n], the offset of a Kafka message, or the line within the slice (0-based) for files.
    base: where payload[0] lies in its file; None where positions are offsets.
    lines: how many lines the block spans, blank ones included (files).
    skipped: records passed over on purpose, such as tombstones.
    lost: half-open ranges of positions that are gone for good (offsets that retention removed).
    text: the buffer of `room` that begins with the payload, where the source reads into one; the scanner writes behind
    the payload, nobody into it.
    """

    payload: bytes | memoryview
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    positions: NDArray[np.int64]
    rejects: list[RawReject] = field(default_factory=list)
    base: int | None = None
    lines: int = 0
    skipped: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    text: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def records(self) -> list[bytes]:
        """The records as separate byte strings (for adapters)."""
        return [
            bytes(self.payload[a:b]) for a, b in zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class PartitionStatus:
    """Where one source partition stands. lag_records is None where it cannot be known (files count bytes)."""

    app_id: str
    name: str
    committed: int | None
    log_start: int
    end: int
    lag_records: int | None = None
    lag_seconds: float | None = None
    lost: tuple[tuple[int, int], ...] = ()


class Source(Protocol):
    """A source of API logs."""

    def plan(self, committed: Committed, max_bytes: int) -> list[Slice]:
        """The next slices, at most about max_bytes together; empty when there is nothing new."""

    def read(self, part: Slice) -> Iterator[Block]:
        """All records of a slice. Called in workers."""

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Advice to the broker after the lake's commit; never needed for correctness."""

    def status(self, committed: Committed) -> list[PartitionStatus]:
        """Per partition: committed, log start, end, lag."""

    def reached(self, part: Slice) -> tuple[int, bool]:
        """(next position, whether nothing can follow) after a slice was read in this process."""
