"""Reading single values out of parsed JSON: paths, texts, numbers, times.

Belongs here: translation of types (a number in a string, seconds for milliseconds). Not here: judging values.
What is recorded but makes no sense is handed on as it is, for the strict decoder to reject with the field's
name.
"""

import math
import re
from collections.abc import Iterable

import orjson

from schemas.request import PLACEHOLDERS

_PLACEHOLDERS = frozenset(PLACEHOLDERS)
_LONGEST_PLACEHOLDER = max(map(len, PLACEHOLDERS))
_WHOLE = re.compile(r"([+-]?[0-9]{1,24})(\.0{0,20})?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,17}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_NAIVE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:?\d\d)?", re.ASCII)
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def dig(value: object, *path: str | int) -> object:
    """Follow keys and list indexes (negative ones count from the end); None where the path ends early."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        if value is None:
            return None
    return value


def is_placeholder(text: str) -> bool:
    """Whether a text stands for "not recorded" (empty, or one of schemas.request.PLACEHOLDERS)."""
    text = text.strip() if len(text) <= 4 * _LONGEST_PLACEHOLDER or text.isspace() else text
    return not text or (len(text) <= _LONGEST_PLACEHOLDER and text.lower() in _PLACEHOLDERS)


def present(value: object) -> object:
    """The value, or None when it is a placeholder."""
    return None if isinstance(value, str) and is_placeholder(value) else value


def text(value: object) -> object:
    """A text or the decimal digits of an integer id; None for a placeholder; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return present(value)


def first_text(values: Iterable[object]) -> str | None:
    """The first value that is a text (or integer id) and no placeholder."""
    return next((found for found in map(text, values) if isinstance(found, str)), None)


def whole(value: object) -> int | None:
    """A whole number from an integer, a whole float or a string of at most 24 digits; else None."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and len(value) < 64 and (found := _WHOLE.fullmatch(value.strip())):
        return int(found[1])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def integer(value: object) -> object:
    """An integer of 64 bits, also from a whole float or a string; None for a placeholder; else as it is."""
    found = whole(value)
    return found if found is not None and abs(found) < 2**63 else present(value)


def number(value: object) -> object:
    """A number, also from a decimal string; None for a placeholder; else as it is."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value.strip())
    return present(value)


def epoch_ms(value: object, unit: str) -> object:
    """A time as integer epoch milliseconds.

    value: a number or digits in `unit` ("s", "ms", "us", "ns" since 1970), or a date-time string, which is
    handed on as RFC 3339 (in UTC when it names no zone). Anything else is handed on as it is; None for a
    placeholder.
    """
    if isinstance(value, str) and (found := _NAIVE_TIME.fullmatch(value.strip())):
        zone = found[3] or "Z"
        zone = zone if zone == "Z" or ":" in zone else zone[:3] + ":" + zone[3:]
        return f"{found[1]}T{found[2]}{zone}"
    per_second = UNITS_PER_SECOND[unit]
    exact = whole(value)
    if exact is not None:
        milliseconds = exact * 1000 // per_second
        return milliseconds if abs(milliseconds) < 2**63 else present(value)
    count = number(value)
    if isinstance(count, float) and abs(count) < 2**53:
        return round(count * 1000 / per_second)
    return present(value)


def milliseconds(seconds: object) -> object:
    """A duration in milliseconds from one in seconds; what is no number, or too large for one, as it is."""
    value = number(seconds)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    scaled = value * 1000
    return value if abs(scaled) == math.inf else scaled


def canonical(value: object) -> str | None:
    """JSON text with sorted keys, for things that are only ever hashed; a string is taken as it is."""
    if isinstance(value, str):
        return None if is_placeholder(value) else value
    if not value:
        return None
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
