"""Files as a source: `.ndjson`, `.jsonl`, `.gz`, `.zst`, globs and standard input.

A file is known by its content, not by its name: moved, renamed or read twice it is the same source, and a log
that grew goes on where the lake stands. Plain files are planned in slices that end at a line end; compressed
ones and standard input are streams, read from where they stand.
"""

import glob
import gzip
import hashlib
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
import zstandard

from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.source import Block, Committed, PartitionStatus, RawReject, Slice
from pipelines.lake.notes import read_note

BLOCK_BYTES: Final = 8 << 20
_PREFIX_BITS: Final = 16
_TAIL: Final = 4096
_STREAM_SUFFIXES: Final = (".gz", ".zst")
STDIN: Final = "-"


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def tail_hash(path: str, position: int) -> str:
    """Hash of the bytes just before a position: tells two files apart that begin alike."""
    with open(path, "rb") as file:
        file.seek(max(0, position - _TAIL))
        return _hash(file.read(min(_TAIL, position)))


@dataclass(frozen=True)
class _File:
    path: str
    app_id: str
    position: int
    size: int
    is_stream: bool


@dataclass
class FileSource:
    """Plans and reads files.

    uri: path, glob, or `-`. lake: whose notes tell a file that grew from another that begins alike. slice_bytes: how much one slice holds. complete: whether a last line without a
    line end counts (not while following a file that is still being written).
    """

    uri: str
    lake: Path
    slice_bytes: int = 32 << 20
    complete: bool = True

    def paths(self) -> list[str]:
        """The files that the source names now, in order."""
        if self.uri == STDIN:
            return [STDIN]
        path = Path(self.uri)
        if path.is_dir():
            found = [str(p) for p in sorted(path.rglob("*")) if p.is_file() and _is_log(p)]
        elif path.exists():
            found = [self.uri]
        else:
            found = sorted(p for p in glob.glob(self.uri, recursive=True) if Path(p).is_file())
        if not found:
            raise UsageError(
                f"source {self.uri} names no file; give an existing file, a folder, a glob in quotes, - for "
                "standard input, or kafka://HOST:PORT/TOPIC"
            )
        return found

    def plan(self, committed: Committed, max_bytes: int) -> list[Slice]:
        """Slices of at most about max_bytes together, files in order."""
        slices: list[Slice] = []
        seen: set[str] = set()
        budget = max_bytes
        for path in self.paths():
            if budget <= 0:
                break
            file = self._identify(path, committed)
            if file is None or file.app_id in seen:
                continue
            seen.add(file.app_id)
            if file.is_stream:
                slices.append(_slice(self.uri, file, file.position, file.position + budget, self.complete))
                budget = 0
                continue
            for start, end in self._cuts(file, budget):
                slices.append(_slice(self.uri, file, start, end, self.complete))
                budget -= end - start
        return slices

    def read(self, part: Slice) -> Iterator[Block]:
        """Blocks of about 8 MiB that end at a line end."""
        options = dict(part.options)
        if options["stream"] == "yes":
            yield from _stream(options["path"], part.app_id, part.start).blocks(part.start, part.end)
            return
        with open(options["path"], "rb") as file:
            file.seek(part.start)
            yield from _blocks(file, part.start, part.end - part.start)

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Files need no advice."""

    def status(self, committed: Committed) -> list[PartitionStatus]:
        """Bytes committed of each file."""
        found = []
        for path in self.paths():
            if path == STDIN:
                continue
            file = self._identify(path, committed)
            if file is not None:
                found.append(PartitionStatus(file.app_id, path, file.position, 0, file.size))
        return found

    def reached(self, part: Slice) -> tuple[int, bool]:
        """A plain slice ends where it was planned to; a stream tells where it got to."""
        options = dict(part.options)
        if options["stream"] == "no":
            return part.end, False
        stream = _OPEN[options["path"]][1]
        return stream.position, stream.ended

    def _identify(self, path: str, committed: Committed) -> _File | None:
        try:
            if path == STDIN:
                head, size = _stream(STDIN, "", 0).head, 0
            else:
                size = Path(path).stat().st_size
                with open(path, "rb") as opened:
                    head = opened.read(1 << _PREFIX_BITS)
        except OSError as error:
            raise ScarecrowError(f"file {path} cannot be read ({error.strerror}); check its permissions") from error
        if not head:
            return None
        is_stream = path == STDIN or path.endswith(_STREAM_SUFFIXES)
        if is_stream:
            app_id = f"file:{_hash(head)}-{size}"
            position = committed(app_id) or 0
            note = read_note(self.lake, app_id, position)
            if note is not None and note.complete:
                return None
            return _File(path, app_id, position, size, True)
        for bits in range(min(_PREFIX_BITS, len(head).bit_length() - 1), -1, -1):
            app_id = f"file:{_hash(head[: 1 << bits])}"
            found = committed(app_id)
            if found is not None and self._is_same(path, app_id, found, size):
                return _File(path, app_id, found, size, False)
        app_id = f"file:{_hash(head[: 1 << min(_PREFIX_BITS, len(head).bit_length() - 1)])}"
        if committed(app_id) is not None:
            # Another file begins alike: this one is known by all that it holds now.
            app_id = f"file:{_hash(head)}-{_hash(tail_hash(path, size).encode())}"
        return _File(path, app_id, committed(app_id) or 0, size, False)

    def _is_same(self, path: str, app_id: str, position: int, size: int) -> bool:
        if position > size:
            return False
        note = read_note(self.lake, app_id, position)
        return note is None or note.tail in (None, tail_hash(path, position))

    def _cuts(self, file: _File, budget: int) -> Iterator[tuple[int, int]]:
        start = file.position
        with open(file.path, "rb") as opened:
            while start < file.size and budget > 0:
                end = min(file.size, start + min(self.slice_bytes, budget))
                end = _line_end(opened, end, file.size, self.complete)
                if end <= start:
                    return
                yield start, end
                budget -= end - start
                start = end


def _is_log(path: Path) -> bool:
    name = path.name.lower()
    for suffix in _STREAM_SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith((".ndjson", ".jsonl", ".json", ".log"))


def _slice(uri: str, file: _File, start: int, end: int, complete: bool) -> Slice:
    options = (
        ("path", file.path),
        ("stream", "yes" if file.is_stream else "no"),
        ("complete", "yes" if complete else "no"),
    )
    return Slice(uri, file.app_id, start, end, f"{file.path}:", options)


def _line_end(file: IO[bytes], at: int, size: int, complete: bool) -> int:
    """The first line end at or after `at` (position behind it); the file's end, or the last line end before
    it, when there is none."""
    file.seek(at - 1)
    while True:
        chunk = file.read(1 << 16)
        found = chunk.find(b"\n")
        if found >= 0:
            return file.tell() - len(chunk) + found + 1
        if not chunk or file.tell() >= size:
            break
    if complete:
        return size
    position = size
    while position > 0:
        begin = max(0, position - (1 << 16))
        file.seek(begin)
        found = file.read(position - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        position = begin
    return 0


def to_block(data: bytes, first_line: int, base: int) -> Block:
    """A block of whole lines; blank lines are no records. positions are line numbers within the slice."""
    if not data.endswith(b"\n"):
        data += b"\n"
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10).astype(np.int64)
    starts = np.concatenate(([0], ends[:-1] + 1)).astype(np.int64)
    lines = np.arange(first_line, first_line + len(ends), dtype=np.int64)
    carriage = (ends > starts) & (np.frombuffer(data, dtype=np.uint8)[np.maximum(ends - 1, 0)] == 13)
    filled = ends - carriage > starts
    if filled.all():
        return Block(data, starts, ends, lines, base=base, lines=len(ends))
    return Block(data, starts[filled], ends[filled], lines[filled], base=base, lines=len(ends))


def _blocks(file: IO[bytes], base: int, length: int) -> Iterator[Block]:
    line = 0
    while length > 0:
        data = file.read(min(BLOCK_BYTES, length))
        if not data:
            return
        if not data.endswith(b"\n") and len(data) < length:
            data += file.readline(length - len(data))
        block = to_block(data, line, base)
        length -= len(data)
        base += len(data)
        line += block.lines
        yield block


class _Stream:
    """A stream that is read forward only. It remembers where it stands, so that the next slice goes on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.position = 0
        self.rest = b""
        self.ended = False
        self.broken: str | None = None
        self._raw = _open_stream(path)
        self.head = b""
        """The first 64 KiB; standard input is known by them."""
        if path == STDIN:
            self.head = self.rest = self._raw.read(1 << _PREFIX_BITS)

    def _read(self, size: int) -> bytes:
        try:
            return self._raw.read(size)
        except (OSError, EOFError, zstandard.ZstdError, gzip.BadGzipFile) as error:
            self.broken = f"compressed data ends or breaks here ({type(error).__name__})"
            return b""

    def skip_to(self, position: int) -> None:
        """Read and drop what lies before a position."""
        while self.position < position:
            data = self.rest or self._read(min(BLOCK_BYTES, position - self.position))
            if not data:
                self.ended = True
                return
            take = min(len(data), position - self.position)
            self.rest = data[take:]
            self.position += take

    def blocks(self, start: int, end: int) -> Iterator[Block]:
        """Whole lines from start until about end."""
        self.skip_to(start)
        line = 0
        while self.position < end and not self.ended:
            parts = [self.rest]
            size = len(self.rest)
            while size < BLOCK_BYTES:
                data = self._read(BLOCK_BYTES)
                if not data:
                    self.ended = True
                    break
                parts.append(data)
                size += len(data)
            data = b"".join(parts)
            cut = len(data) if self.ended else data.rfind(b"\n") + 1
            if cut == 0 and not self.ended:
                self.rest = data
                more = self._read(BLOCK_BYTES)
                self.ended = not more
                self.rest += more
                continue
            self.rest = data[cut:]
            if cut:
                block = to_block(data[:cut], line, self.position)
                self.position += cut
                line += block.lines
                yield block
        if self.broken is not None:
            empty = np.empty(0, dtype=np.int64)
            yield Block(b"", empty, empty, empty, [RawReject(line, self.broken, b"")], base=self.position)
            self.broken = None


def _open_stream(path: str) -> IO[bytes]:
    if path == STDIN:
        return sys.stdin.buffer
    if path.endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    raw = open(path, "rb")  # noqa: SIM115  (closed with the process that streams it)
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, reader), BLOCK_BYTES))


_OPEN: dict[str, tuple[str, _Stream]] = {}


def _stream(path: str, app_id: str, start: int) -> _Stream:
    """The open stream of a path in this process when it has not passed `start`, else a new one."""
    held = _OPEN.get(path)
    if held is not None and (path == STDIN or (held[0] == app_id and held[1].position <= start)):
        return held[1]
    stream = _Stream(path)
    _OPEN.clear()
    _OPEN[path] = (app_id, stream)
    return stream
