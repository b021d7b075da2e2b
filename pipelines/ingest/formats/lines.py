"""From the bytes of a line to a JSON value, with bounds on size and depth.

Belongs here: everything that can be wrong with a line before anybody asks what it means.
"""

import orjson

from schemas.request import MAX_DEPTH, MAX_RECORD_BYTES

BATCH_LINE_BYTES = 16 * MAX_RECORD_BYTES
"""Longest line of a format that packs many calls, or much that is dropped, into one line."""


class LineError(Exception):
    """A line, or one call in it, that cannot be read; the message is a short reason without content."""


def load_line(line: bytes, max_bytes: int = MAX_RECORD_BYTES, max_depth: int = MAX_DEPTH) -> object:
    """Parse one line: a JSON object or array nested at most max_depth deep.

    Duplicate keys: the last one counts. Raises LineError for anything else.
    """
    if len(line) > max_bytes:
        raise LineError("line too long")
    if not line or line.isspace():
        raise LineError("empty line")
    value = _loads(line)
    if not isinstance(value, dict | list):
        raise LineError("not a JSON object")
    # A value cannot be deeper than it has opening brackets, which the usual line has few of.
    if line.count(b"{") + line.count(b"[") > max_depth:
        check_depth(value, max_depth)
    return value


def load_text(text: str, max_depth: int = MAX_DEPTH) -> object:
    """Parse JSON that travels as a string inside JSON (span attributes, logged bodies); raises LineError."""
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError, RecursionError):
        raise LineError("an embedded JSON string cannot be parsed") from None
    check_depth(value, max_depth)
    return value


def unwrapped(value: object) -> object:
    """JSON that was logged as a text (bodies, payloads) as JSON again; any other value as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return load_text(value)
        except LineError:
            return value
    return value


def check_depth(value: object, max_depth: int) -> None:
    """Raise LineError when containers nest deeper than max_depth. Level by level, so it cannot overflow."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        if not level:
            return
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    if level:
        raise LineError("nested too deep")


def _loads(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError):
        pass
    try:
        line.decode()
    except UnicodeDecodeError:
        raise LineError("not UTF-8") from None
    raise LineError("not JSON")
