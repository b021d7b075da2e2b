"""Reads a suspect data set or model output and gives the shingles in it, a piece at a time.

JSON lines: every string of a record is a text. Anything else: text, cut at empty lines. A file of any size is
read within bounded memory. Nothing that is read is kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from pipelines.canary.sketch import shingle_hashes
from pipelines.errors import UsageError

_PIECE: Final = 1 << 16
_OVERLAP: Final = 512
"""Characters that two pieces of one long text share, so that few shingles are lost at the cut."""


def suspect_shingles(path: Path, key: bytes) -> Iterator[NDArray[np.int64]]:
    """int64[m] per piece. Raises UsageError when the file cannot be read."""
    for text in _pieces(path):
        hashes = shingle_hashes(text, key)
        if len(hashes):
            yield hashes


def _pieces(path: Path) -> Iterator[str]:
    is_json = path.suffix in (".jsonl", ".ndjson", ".json")
    held: list[str] = []
    size = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_PIECE << 4):
                texts = _strings(line) if is_json else None
                if texts is not None:
                    for text in texts:
                        yield from _cut(text)
                    continue
                text = line.decode("utf-8", "replace")
                held.append(text)
                size += len(text)
                if size >= _PIECE or (size >= _PIECE // 4 and not text.strip()):
                    whole = "".join(held)
                    yield from _cut(whole)
                    # A text that goes on is carried over the cut.
                    held = [whole[-_OVERLAP:]] if text.strip() else []
                    size = 0
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a data set or a text.") from error
    if held:
        yield from _cut("".join(held))


def _strings(line: bytes) -> list[str] | None:
    """Every string of a JSON record; None for a line that is none."""
    try:
        pending = [orjson.loads(line)]
    except orjson.JSONDecodeError:
        return None
    found = []
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return found


def _cut(text: str) -> Iterator[str]:
    for start in range(0, max(1, len(text)), _PIECE):
        yield text[max(0, start - _OVERLAP) : start + _PIECE]
