"""Log files: NDJSON lines into one file, or one file per day, plain or compressed.

Belongs here: names, compression, opening and closing of files. Does not belong here: what a line says.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import zstandard

from pipelines.errors import UsageError
from pipelines.simulate.tempo import DAY

Compression = Literal["none", "gz", "zst"]
_SUFFIX: dict[Compression, str] = {"none": "", "gz": ".gz", "zst": ".zst"}


def check_compression(name: str) -> Compression:
    """`name` as a compression, or a UsageError that lists the choices."""
    if name not in get_args(Compression):
        choices = ", ".join(get_args(Compression))
        raise UsageError(f"Compression '{name}' is unknown; choose one of {choices}.")
    return cast(Compression, name)


def _open(path: Path, compression: Compression, stack: ExitStack) -> BinaryIO:
    raw = stack.enter_context(path.open("wb"))
    if compression == "gz":  # no name and no time in the header, so that equal content is equal bytes
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=5, mtime=0)
        return cast(BinaryIO, stack.enter_context(packed))
    if compression == "zst":
        writer = zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False)
        return cast(BinaryIO, stack.enter_context(writer))
    return raw


def write_lines(
    folder: Path,
    chunks: Iterable[tuple[npt.NDArray[np.int64], list[bytes]]],
    compression: Compression,
    by_day: bool,
    part: int = 0,
) -> tuple[list[Path], int]:
    """Writes the lines (in time order) and returns the files and the number of bytes before compression. Each part
    of a large world has files of its own."""
    files: list[Path] = []
    written = 0
    name = ""
    with ExitStack() as outer:
        stack = outer.enter_context(ExitStack())
        sink: BinaryIO | None = None
        for times, lines in chunks:
            days = times // DAY if by_day else np.zeros(len(times), dtype=np.int64)
            edges = np.flatnonzero(np.diff(days)) + 1
            for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(lines)], strict=True):
                if first == last:
                    continue
                wanted = _name(int(times[first]), by_day, part) + _SUFFIX[compression]
                if sink is None or wanted != name:
                    stack.close()
                    name = wanted
                    sink = _open(folder / name, compression, stack)
                    files.append(folder / name)
                block = b"".join(lines[first:last])
                sink.write(block)
                written += len(block)
    return files, written


def _name(time: int, by_day: bool, part: int) -> str:
    stem = f"requests-part{part + 1:03d}" if part else "requests"
    if not by_day:
        return f"{stem}.ndjson"
    return f"{stem}-{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d}.ndjson"
