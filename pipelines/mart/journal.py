"""Append-only files of JSON lines beside a mart: what outlives the mart's replacement.

Belongs here: appending durably, reading, saying which line is broken. Not here: what the lines mean
(`labels`, `weights`, `audit_log`).
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import ScarecrowError


def append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Add lines, durably and all together; writers take turns."""
    text = "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in lines)
    if not text:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A writer that was killed in the middle of a line must not spoil the next one; the empty line tells.
            if file.tell() and not _ends_with_newline(path):
                text = "\n\n" + text
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ScarecrowError(
            f"{path} cannot be written ({error.strerror}); make it writable and try again"
        ) from error


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, value) of every line in order; empty without a file. A last line without its end is left out:
    its writer was killed before anybody was told that it counts."""
    if not path.exists():
        return []
    text = path.read_text()
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines[:-1], 1):
        if not line:
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if number < len(lines) - 1 and lines[number] == "":
                continue  # a torn line that `append` closed
            raise broken(path, number) from error
        if not isinstance(value, dict):
            raise broken(path, number)
        found.append((number, value))
    return found


def broken(path: Path, number: int) -> ScarecrowError:
    """The error for a line that makes no sense."""
    return ScarecrowError(f"line {path}:{number} cannot be read; mend or remove that line")


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
