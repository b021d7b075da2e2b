"""Files as a source: `.ndjson`, `.jsonl`, `.gz`, `.zst`, globs and standard input.

A file is known by its content, not by its name: moved, renamed or read twice it is the same source, and a log
that grew goes on where the lake stands. Plain files are planned in slices that end at a line end; compressed
ones and standard input are streams, read from where they stand.
"""

import glob
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.source import Block, Committed, PartitionStatus, Slice, room
from pipelines.ingest.streams import (
    BLOCK_BYTES,
    HEAD_BYTES,
    LONG_LINE,
    STDIN_SLICE_BYTES,
    STREAM_SUFFIXES,
    TOO_LONG,
    block_in,
    opened,
    refusal,
    stream,
)
from pipelines.ingest.streams import (
    STDIN as STDIN,
)
from pipelines.lake.notes import known_sources, read_note
from schemas.request import MAX_RECORD_BYTES

_PREFIX_BITS: Final = HEAD_BYTES.bit_length() - 1
_TAIL: Final = 4096


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def tail_hash(path: str, position: int) -> str:
    """Hash of the bytes just before a position: tells two files apart that begin alike."""
    with Path(path).open("rb") as file:
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

    uri: path, glob, or `-`. lake: whose notes tell a file that grew from another that begins alike.
    slice_bytes: how much one slice holds. complete: whether a last line without a line end counts (not while
    following a file that is still being written).
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
            own = self.lake.resolve()
            logs = (p for p in sorted(path.rglob("*")) if p.is_file() and _is_log(p))
            found = [str(p) for p in logs if not p.resolve().is_relative_to(own)]
        elif path.exists():
            found = [self.uri]
        else:
            # Path.glob takes no absolute pattern.
            named = glob.glob(self.uri, recursive=True)  # noqa: PTH207
            found = sorted(p for p in named if Path(p).is_file())
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
                size = min(budget, STDIN_SLICE_BYTES) if path == STDIN else budget
                slices.append(_slice(self.uri, file, file.position, file.position + size, self.complete))
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
            yield from stream(options["path"], part.app_id, part.start).blocks(part.start, part.end)
            return
        with Path(options["path"]).open("rb") as file:
            file.seek(part.start)
            yield from _blocks(file, part.start, part.end - part.start)

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Files need no advice; of standard input, what is committed need not be kept any more."""
        if self.uri == STDIN:
            for position in positions.values():
                opened(STDIN).release(position)

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
        read = opened(options["path"])
        return read.position, read.ended

    def places(self, committed: Committed) -> dict[str, str]:
        """Path of each file that the source names now by app_id, those that are read to their end included."""
        files = [
            self._identify(path, committed, even_complete=True) for path in self.paths() if path != STDIN
        ]
        return {file.app_id: file.path for file in files if file is not None}

    def _identify(self, path: str, committed: Committed, even_complete: bool = False) -> _File | None:
        try:
            if path == STDIN:
                head, size = stream(STDIN, "", 0).head, 0
            else:
                size = Path(path).stat().st_size
                with Path(path).open("rb") as file:
                    head = file.read(HEAD_BYTES)
        except OSError as error:
            raise ScarecrowError(
                f"file {path} cannot be read ({error.strerror}); check its permissions"
            ) from error
        if not head:
            return None
        if path == STDIN or path.endswith(STREAM_SUFFIXES):
            app_id = f"file:{_hash(head)}-{size}"
            position = committed(app_id) or 0
            note = read_note(self.lake, app_id, position)
            if note is not None and note.complete and not even_complete:
                return None
            return _File(path, app_id, position, size, True)
        return self._identify_plain(path, head, size, committed)

    def _identify_plain(self, path: str, head: bytes, size: int, committed: Committed) -> _File:
        """By the hash of its longest head of 2^k bytes, at most 64 KiB; so a file that grew is found under the
        head that it had. Of files that begin alike, the later ones are known by their length and end when they
        were first seen as well."""
        longest = min(_PREFIX_BITS, len(head).bit_length() - 1)
        for bits in range(longest, -1, -1):
            app_id = f"file:{_hash(head[: 1 << bits])}"
            found = committed(app_id)
            if found is not None and self._is_same(path, app_id, found, size):
                return _File(path, app_id, found, size, False)
            if found is not None:
                for twin in self._twins(app_id):
                    length, end = twin.removeprefix(f"{app_id}-").split("-")
                    if int(length) <= size and tail_hash(path, int(length)) == end:
                        return _File(path, twin, committed(twin) or 0, size, False)
        app_id = f"file:{_hash(head[: 1 << longest])}"
        if committed(app_id) is not None:
            app_id = f"{app_id}-{size}-{tail_hash(path, size)}"
        return _File(path, app_id, committed(app_id) or 0, size, False)

    def _twins(self, app_id: str) -> list[str]:
        return [
            name
            for name in known_sources(self.lake)
            if name.startswith(f"{app_id}-") and name.count("-") == 2
        ]

    def _is_same(self, path: str, app_id: str, position: int, size: int) -> bool:
        if position > size:
            return False
        note = read_note(self.lake, app_id, position)
        return note is None or note.tail in (None, tail_hash(path, position))

    def _cuts(self, file: _File, budget: int) -> Iterator[tuple[int, int]]:
        start = file.position
        with Path(file.path).open("rb") as log:
            while start < file.size and budget > 0:
                end = min(file.size, start + min(self.slice_bytes, budget))
                end = _line_end(log, end, file.size, self.complete)
                if end <= start:
                    return
                yield start, end
                budget -= end - start
                start = end


def _is_log(path: Path) -> bool:
    name = path.name.lower()
    for suffix in STREAM_SUFFIXES:
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


def _blocks(file: IO[bytes], base: int, length: int) -> Iterator[Block]:
    line = 0
    while length > 0:
        text = room(min(length, BLOCK_BYTES + LONG_LINE) + 1)
        size = _fill(file, text, length)
        if size == 0:
            return
        whole = size
        if text[size - 1] != 10 and size < length:
            found = np.flatnonzero(text[:size] == 10)
            whole = int(found[-1]) + 1 if len(found) else 0
        rest = text[whole:size].tobytes()
        if whole:
            block = block_in(text, whole, line, base)
            length -= whole
            base += whole
            line += block.lines
            yield block
        if rest:
            size = len(rest) + _skip_line(file, length - len(rest))
            length -= size
            base += size
            yield refusal(line, TOO_LONG, rest[:MAX_RECORD_BYTES], base, 1)
            line += 1


def _fill(file: IO[bytes], text: NDArray[np.uint8], length: int) -> int:
    """Read about BLOCK_BYTES, and to the end of the line if it is not too long; returns how much that was."""
    size = file.readinto(text.data[: min(BLOCK_BYTES, length)])  # type: ignore[attr-defined]
    if 0 < size < length and text[size - 1] != 10:
        more = file.readline(min(length - size, LONG_LINE))
        text[size : size + len(more)] = np.frombuffer(more, dtype=np.uint8)
        size += len(more)
    return int(size)


def _skip_line(file: IO[bytes], limit: int) -> int:
    """Read and drop the rest of a line, at most `limit` bytes; returns how many."""
    size = 0
    while size < limit:
        data = file.readline(min(BLOCK_BYTES, limit - size))
        size += len(data)
        if not data or data.endswith(b"\n"):
            break
    return size
