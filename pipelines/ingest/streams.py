"""Streams of lines that are read forward only: `.gz`, `.zst` and standard input.

Belongs here: decompression, where a stream stands, what happens when it ends too early or a line never ends.
Which streams there are and how they are cut into slices is in `files`.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

from pipelines.ingest.simd import kernel, line_ends, lowest_bit
from pipelines.ingest.source import Block, RawReject, room
from schemas.request import MAX_RECORD_BYTES

BLOCK_BYTES: Final = 8 << 20
HEAD_BYTES: Final = 1 << 16
STDIN: Final = "-"
STREAM_SUFFIXES: Final = (".gz", ".zst")
STDIN_SLICE_BYTES: Final = 64 << 20
"""Standard input is kept in memory until it is committed, so that a refused commit can be made again."""
LONG_LINE: Final = 4 * MAX_RECORD_BYTES
TOO_LONG: Final = f"record over {MAX_RECORD_BYTES} bytes"
_SHORT_LINE: Final = 200
"""Lines shorter than this on average are looked at twice."""
_COMPRESSED_BYTES: Final = 1 << 14


@kernel
def _lines(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[int, bool]:
    """Where each line of data lies, without its line feed; returns (lines, whether some may be blank).

    More lines than there is room for are counted only.
    """
    count = 0
    start = 0
    is_doubtful = False
    size = len(data)
    at = 0
    while at < size:
        if at + 32 <= size:
            found = line_ends(data, at)
        else:
            found = np.uint64(0)
            for k in range(size - at):
                if data[at + k] == 10:
                    found |= np.uint64(1) << np.uint64(k)
        while found != 0:
            end = at + lowest_bit(found)
            found &= found - np.uint64(1)
            if end - start <= 1:
                is_doubtful = True
            if count < len(starts):
                starts[count] = start
                ends[count] = end
            count += 1
            start = end + 1
        at += 32
    return count, is_doubtful


def to_block(data: bytes, first_line: int, base: int) -> Block:
    """A block of whole lines; blank lines are no records. positions are line numbers within the slice."""
    text = room(len(data) + 1)
    text[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    return block_in(text, len(data), first_line, base)


def block_in(text: NDArray[np.uint8], size: int, first_line: int, base: int) -> Block:
    """The same of the first `size` bytes of a buffer of `room`, which the block takes over. A line feed that is missing
    at the end is added."""
    if size == 0 or text[size - 1] != 10:
        text[size] = 10
        size += 1
    seen = text[:size]
    count = size // _SHORT_LINE + 64
    while True:
        starts, ends = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        available = count
        count, is_doubtful = _lines(seen, starts, ends)
        if count <= available:
            break
    starts, ends = starts[:count], ends[:count]
    lines = np.arange(first_line, first_line + count, dtype=np.int64)
    data = text.data[:size]
    if not is_doubtful:
        return Block(data, starts, ends, lines, base=base, lines=count, text=text)
    carriage = (ends > starts) & (seen[np.maximum(ends - 1, 0)] == 13)
    filled = ends - carriage > starts
    return Block(data, starts[filled], ends[filled], lines[filled], base=base, lines=count, text=text)


def refusal(line: int, reason: str, raw: bytes, end: int, lines: int) -> Block:
    """A block without records that carries one reject; end: position behind what is rejected."""
    empty = np.empty(0, dtype=np.int64)
    return Block(b"", empty, empty, empty, [RawReject(line, reason, raw)], base=end, lines=lines)


class Stream:
    """A stream of lines. position: bytes of text handed out so far. ended: nothing follows.

    Standard input cannot be opened twice, so what was read of it is kept until `release`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.position = 0
        self.ended = False
        self.head = b""
        self._rest = b""
        self._broken: str | None = None
        self._kept = bytearray()
        self._kept_from = 0
        self._raw = _open(path)
        if path == STDIN:
            self.head = self._rest = self._read(HEAD_BYTES)

    def close(self) -> None:
        """Close the file below; standard input stays open."""
        if self.path != STDIN:
            self._raw.close()

    def can_read_from(self, position: int) -> bool:
        """Whether what follows a position is still to be had."""
        return position >= (self._kept_from if self.path == STDIN else self.position)

    def release(self, position: int) -> None:
        """What lies before a position is committed and need not be kept."""
        if self.path == STDIN and position > self._kept_from:
            del self._kept[: position - self._kept_from]
            self._kept_from = position

    def _read(self, size: int) -> bytes:
        if self._broken is not None or self.ended:
            return b""
        try:
            data = self._raw.read(size)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            self._broken = f"compressed data ends or breaks here ({type(error).__name__})"
            return b""
        if self.path == STDIN:
            self._kept += data
        return data

    def _go_to(self, position: int) -> None:
        if position < self.position:
            self._rest = bytes(self._kept[position - self._kept_from :])
            self.position = position
            self.ended = False
        while self.position < position:
            data = self._rest or self._read(min(BLOCK_BYTES, position - self.position))
            if not data:
                self.ended = True
                return
            take = min(len(data), position - self.position)
            self._rest = data[take:]
            self.position += take

    def _fill(self, size: int) -> bytes:
        """The next `size` bytes; fewer where the stream ends. Depends on the position only, so a slice that is
        read twice has the same records."""
        if len(self._rest) > size:
            data, self._rest = self._rest[:size], self._rest[size:]
            return data
        parts = [self._rest]
        self._rest = b""
        missing = size - len(parts[0])
        while missing > 0:
            data = self._read(missing)
            if not data:
                self.ended = True
                break
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def blocks(self, start: int, end: int) -> Iterator[Block]:
        """Whole lines from start until about end. The file is closed where it ends."""
        self._go_to(start)
        line = 0
        while self.position < end and not self.ended:
            data = self._fill(min(BLOCK_BYTES, max(end - self.position, LONG_LINE)))
            cut = len(data) if self.ended else data.rfind(b"\n") + 1
            self._rest = data[cut:] + self._rest
            if cut:
                block = to_block(data[:cut], line, self.position)
                self.position += cut
                line += block.lines
                yield block
            if not self.ended and len(data) - cut >= LONG_LINE:
                yield self._pass_long_line(line)
                line += 1
        if self.ended:
            self.close()
        if self._broken is not None and self.ended:
            # The missing rest counts as one byte, so that the reject has a position of its own.
            self.position += 1
            yield refusal(line, self._broken, b"", self.position, 0)

    def _pass_long_line(self, line: int) -> Block:
        shown = self._rest[:MAX_RECORD_BYTES]
        data = self._rest
        while True:
            found = data.find(b"\n")
            if found >= 0 or not data:
                break
            self.position += len(data)
            data = self._read(BLOCK_BYTES)
        self.ended = not data
        self.position += found + 1
        self._rest = data[found + 1 :]
        return refusal(line, TOO_LONG, shown, self.position, 1)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes) -> bytes: ...


class _Compressed:
    """Members or frames one behind the other. What was read before a fault is handed out before it is raised:
    EOFError where the last one is cut off, the library's error where data are damaged."""

    def __init__(self, path: str, new: Callable[[], _Decompressor]) -> None:
        self._file = Path(path).open("rb")  # noqa: SIM115  (closed by `close`)
        self._new = new
        self._frame = new()
        self._is_inside = False
        self._ready = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._ready:
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame = self._new()
                self._is_inside = False
            data = data or self._file.read(_COMPRESSED_BYTES)
            if not self._is_inside:
                # Zeros between members are padding (RFC 1952, as gzip itself reads them).
                data = data.lstrip(b"\0") or self._file.read(_COMPRESSED_BYTES)
            if not data:
                if self._is_inside:
                    raise EOFError
                return b""
            self._is_inside = True
            self._ready = self._frame.decompress(data)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: str) -> IO[bytes] | _Compressed:
    if path == STDIN:
        return sys.stdin.buffer
    if path.endswith(".gz"):
        return _Compressed(path, lambda: zlib.decompressobj(wbits=31))
    return _Compressed(path, lambda: zstandard.ZstdDecompressor().decompressobj())


_OPEN: dict[str, tuple[str, Stream]] = {}


def stream(path: str, app_id: str, start: int) -> Stream:
    """The stream of a path in this process: the one that is open if it can read from `start`, else a new one."""
    held = _OPEN.get(path)
    if held is not None and (path == STDIN or (held[0] == app_id and held[1].can_read_from(start))):
        return held[1]
    _close_files()
    opened = Stream(path)
    _OPEN[path] = (app_id, opened)
    return opened


@contextmanager
def closing_streams() -> Iterator[None]:
    """Whatever was not read to its end is closed afterwards. Standard input stays: it cannot be opened again."""
    try:
        yield
    finally:
        _close_files()


def _close_files() -> None:
    for path in [path for path in _OPEN if path != STDIN]:
        _OPEN.pop(path)[1].close()


def opened(path: str) -> Stream:
    """The stream that was read last in this process; KeyError when it was another one."""
    return _OPEN[path][1]
