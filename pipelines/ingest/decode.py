"""Checks every record against the request record and gives typed columns; what fails becomes a reject.

Belongs here: types, bounds, times, placeholders. Not here: JSON grammar (`scan`), measuring (`measure`).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.memory import buffer, give_back
from pipelines.ingest.scan import SCAN_REASONS, Spans
from pipelines.ingest.simd import inner, kernel
from pipelines.ingest.source import Block
from pipelines.ingest.vectors import PROBLEMS as VECTOR_PROBLEMS
from pipelines.ingest.vectors import Vectors, read_vectors
from schemas.request import (
    FIELD_INDEX,
    FIELDS,
    MAX_FUTURE_MS,
    MAX_ID_BYTES,
    MAX_PROMPT_BYTES,
    MIN_TIME_MS,
    PLACEHOLDERS,
)

_KIND_CODES: Final = {"text": 0, "time": 1, "integer": 2, "number": 3, "vector": 4}
_MISSING, _TYPE, _RANGE, _LONG, _CONTROL, _TIME, _FUTURE, _EARLY = range(8)
_PROBLEMS: Final = (
    "missing",
    "wrong type",
    "number out of range",
    "too long",
    "control character",
    "not a time (epoch milliseconds or RFC 3339)",
    "more than a day in the future",
    "before the year 2000",
)
_FIELD_BASE: Final = 32
_VECTOR_BASE: Final = 1024
"""Error codes: of the scanner, then of each field, then of the numbers of an embedding."""

EVENT_ID: Final = FIELD_INDEX["event_id"]
ACCOUNT_ID: Final = FIELD_INDEX["account_id"]
PROMPT: Final = FIELD_INDEX["prompt"]
EMBEDDING: Final = FIELD_INDEX["prompt_embedding"]

_KINDS = np.array([_KIND_CODES[field.kind] for field in FIELDS], dtype=np.int64)
_REQUIRED = np.array([field.required for field in FIELDS], dtype=np.bool_)
_MAXIMA = np.array([field.maximum or 0.0 for field in FIELDS], dtype=np.float64)
_POWERS = np.array([float(f"1e{exponent}") for exponent in range(401)])
"""Of ten; infinity where they are beyond a double."""


class _Placeholders(NamedTuple):
    """words: uint8[w, longest], lower-case; sizes: int64[w]. Which words, as bits, begin with a byte (uint32[256]) and
    have a size (uint32[longest + 1])."""

    words: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    by_first: NDArray[np.uint32]
    by_size: NDArray[np.uint32]


def _placeholders() -> _Placeholders:
    sizes = np.array([len(word) for word in PLACEHOLDERS], dtype=np.int64)
    longest = int(sizes.max())
    words = np.zeros((len(PLACEHOLDERS), longest), dtype=np.uint8)
    by_first, by_size = np.zeros(256, dtype=np.uint32), np.zeros(longest + 1, dtype=np.uint32)
    for row, word in enumerate(PLACEHOLDERS):
        words[row, : len(word)] = np.frombuffer(word.encode(), dtype=np.uint8)
        bit = np.uint32(1 << row)
        by_size[len(word)] |= bit
        for first in {word[0], word[0].upper()}:
            by_first[ord(first)] |= bit
    return _Placeholders(words, sizes, by_first, by_size)


_PLACEHOLDERS = _placeholders()


@inner
def _is_placeholder(buf: NDArray[np.uint8], begin: int, size: int, held: _Placeholders) -> bool:
    while size > 0 and buf[begin] <= 32:
        begin += 1
        size -= 1
    while size > 0 and buf[begin + size - 1] <= 32:
        size -= 1
    if size == 0:
        return True
    if size >= len(held.by_size):
        return False
    candidates = held.by_first[buf[begin]] & held.by_size[size]
    if candidates == 0:
        return False
    for row in range(len(held.sizes)):
        if not (candidates >> np.uint32(row)) & np.uint32(1):
            continue
        same = True
        for k in range(size):
            byte = buf[begin + k]
            if 65 <= byte <= 90:
                byte += 32
            if byte != held.words[row, k]:
                same = False
                break
        if same:
            return True
    return False


@inner
def _parse_number(buf: NDArray[np.uint8], begin: int, size: int, powers: NDArray[np.float64]) -> float:
    """The value of a scanned number; infinity when it is beyond the range of a double. powers: of ten, to 400."""
    at = begin
    stop = begin + size
    sign = 1.0
    if buf[at] == 45:
        sign = -1.0
        at += 1
    mantissa = 0.0
    exponent = 0
    while at < stop and 48 <= buf[at] <= 57:
        mantissa = mantissa * 10.0 + (buf[at] - 48)
        at += 1
    if at < stop and buf[at] == 46:
        at += 1
        while at < stop and 48 <= buf[at] <= 57:
            if mantissa < 9.0e15:
                mantissa = mantissa * 10.0 + (buf[at] - 48)
                exponent -= 1
            at += 1
    if at < stop:
        at += 1
        negative = False
        if buf[at] == 43 or buf[at] == 45:
            negative = buf[at] == 45
            at += 1
        shift = np.int64(0)
        while at < stop:
            if shift < 10000:
                shift = shift * 10 + np.int64(buf[at] - 48)
            at += 1
        exponent += -shift if negative else shift  # type: ignore[assignment]
    if mantissa == 0.0:
        return 0.0
    if exponent > 400:
        return np.inf
    if exponent < -400:
        return 0.0
    if exponent < 0:
        while exponent < -300:
            mantissa /= 1e300
            exponent += 300
        return sign * (mantissa / powers[-exponent])  # type: ignore[no-any-return]
    return sign * mantissa * powers[exponent]  # type: ignore[no-any-return]


@inner
def _parse_integer(buf: NDArray[np.uint8], begin: int, size: int) -> int:
    """The value of a scanned integer of at most 18 digits; -(2^62) when it is longer."""
    negative = buf[begin] == 45
    if negative:
        begin += 1
        size -= 1
    if size > 18:
        return -(1 << 62)
    value = np.int64(0)
    for k in range(size):
        value = value * 10 + np.int64(buf[begin + k] - 48)
    return -value if negative else value  # type: ignore[return-value]


@inner
def _digits(buf: NDArray[np.uint8], at: int, n: int) -> int:
    value = np.int64(0)
    for k in range(n):
        byte = np.int64(buf[at + k])
        if byte < 48 or byte > 57:
            return -1
        value = value * 10 + byte - 48
    return value  # type: ignore[return-value]


@inner
def _parse_time(buf: NDArray[np.uint8], begin: int, size: int) -> int:
    """Epoch milliseconds of an RFC 3339 time; -(2^62) when it is none."""
    bad = -(1 << 62)
    if size < 20 or size > 40:
        return bad
    year = _digits(buf, begin, 4)
    month = _digits(buf, begin + 5, 2)
    day = _digits(buf, begin + 8, 2)
    hour = _digits(buf, begin + 11, 2)
    minute = _digits(buf, begin + 14, 2)
    second = _digits(buf, begin + 17, 2)
    mark = buf[begin + 10]
    if (
        year < 0
        or buf[begin + 4] != 45
        or buf[begin + 7] != 45
        or buf[begin + 13] != 58
        or buf[begin + 16] != 58
        or not (mark == 84 or mark == 116 or mark == 32)
    ):
        return bad
    if month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return bad
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    length = 31
    if month == 4 or month == 6 or month == 9 or month == 11:
        length = 30
    elif month == 2:
        length = 29 if leap else 28
    if day > length or second < 0 or second > 60:
        return bad
    at = begin + 19
    stop = begin + size
    milli = np.int64(0)
    if buf[at] == 46:
        at += 1
        scale = 100
        first = at
        while at < stop and 48 <= buf[at] <= 57:
            milli += np.int64(buf[at] - 48) * scale
            scale //= 10
            at += 1
        if at == first:
            return bad
    if at >= stop:
        return bad
    shift = 0
    if buf[at] == 90 or buf[at] == 122:
        if at + 1 != stop:
            return bad
    elif buf[at] == 43 or buf[at] == 45:
        if at + 6 != stop or buf[at + 3] != 58:
            return bad
        east_hours = _digits(buf, at + 1, 2)
        east_minutes = _digits(buf, at + 4, 2)
        if east_hours < 0 or east_hours > 23 or east_minutes < 0 or east_minutes > 59:
            return bad
        shift = (east_hours * 60 + east_minutes) * 60_000
        if buf[at] == 45:
            shift = -shift
    else:
        return bad
    # days from civil (Howard Hinnant, "chrono-compatible low-level date algorithms")
    y = year - 1 if month <= 2 else year
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
    return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + milli - shift  # type: ignore[no-any-return]


@kernel
def _check(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    errors: NDArray[np.int32],
    numbers: NDArray[np.float64],
    times: NDArray[np.int64],
    field_kinds: NDArray[np.int64],
    required: NDArray[np.bool_],
    maxima: NDArray[np.float64],
    powers: NDArray[np.float64],
    placeholders: _Placeholders,
    newest_ms: int,
    oldest_ms: int,
    content_free: bool,
    ids: tuple[int, int, int, int],
    max_id: int,
    max_prompt: int,
) -> None:
    event_id, account_id, prompt, embedding = ids
    for row in range(len(errors)):
        if errors[row] != 0:
            continue
        error = 0
        for field in range(len(field_kinds)):
            kind = kinds[field, row]
            if kind == 6:
                kind = 0
                kinds[field, row] = 0
            wanted = field_kinds[field]
            if kind == 0:
                if required[field]:
                    error = 32 + field * 8
                    break
                if wanted == 2 or wanted == 3:
                    numbers[field, row] = np.nan
                continue
            begin = begins[field, row]
            size = sizes[field, row]
            if wanted == 0:
                if kind != 1:
                    error = 32 + field * 8 + 1
                    break
                if field in (event_id, account_id):
                    if size == 0:
                        error = 32 + field * 8
                        break
                    if size > max_id:
                        error = 32 + field * 8 + 3
                        break
                    for k in range(size):
                        if buf[begin + k] < 32 or buf[begin + k] == 127:
                            error = 32 + field * 8 + 4
                    if error:
                        break
                elif field == prompt:
                    if size > max_prompt:
                        error = 32 + field * 8 + 3
                        break
                    if size <= 40 and _is_placeholder(buf, begin, size, placeholders):
                        kinds[field, row] = 9
                elif size <= 40 and _is_placeholder(buf, begin, size, placeholders):
                    kinds[field, row] = 0
            elif wanted == 1:
                if kind == 3:
                    value = _parse_integer(buf, begin, size)
                elif kind == 1:
                    value = _parse_time(buf, begin, size)
                    if value == -(1 << 62):
                        error = 32 + field * 8 + 5
                        break
                else:
                    error = 32 + field * 8 + 1
                    break
                if value > newest_ms:
                    error = 32 + field * 8 + 6
                    break
                if value < oldest_ms:
                    error = 32 + field * 8 + 7
                    break
                times[0 if required[field] else 1, row] = value
            elif wanted == 4:
                if kind != 7 or buf[begin] != 91:
                    error = 32 + field * 8 + 1
                    break
            else:
                if kind != 3 and kind != 4:
                    error = 32 + field * 8 + 1
                    break
                number = _parse_number(buf, begin, size, powers)
                if number < 0.0 or number > maxima[field]:
                    error = 32 + field * 8 + 2
                    break
                if wanted == 2 and number != np.floor(number):
                    error = 32 + field * 8 + 1
                    break
                numbers[field, row] = number
        if error == 0 and kinds[prompt, row] == 0 and kinds[embedding, row] == 0 and not content_free:
            error = 32 + prompt * 8
        if kinds[prompt, row] == 9:
            kinds[prompt, row] = 0
        errors[row] = error


def reason(error: int) -> str:
    """Words for an error code."""
    if error < _FIELD_BASE:
        return SCAN_REASONS[error]
    if error > _VECTOR_BASE:
        return f"{FIELDS[EMBEDDING].name}: {VECTOR_PROBLEMS[error - _VECTOR_BASE]}"
    field, problem = divmod(error - _FIELD_BASE, 8)
    return f"{FIELDS[field].name}: {_PROBLEMS[problem]}"


@dataclass
class Decoded:
    """n records with typed columns, valid or not.

    spans: text fields. numbers: float64[F, n], of valid records NaN where absent and anything for fields
    that are no numbers. event_times, created_times: int64[n] epoch
    ms, created -1 where absent. errors: int32[n], 0 = valid. vectors: embeddings, None when no record has one.
    held: what the numbers lie in.
    """

    spans: Spans
    numbers: NDArray[np.float64]
    event_times: NDArray[np.int64]
    created_times: NDArray[np.int64]
    errors: NDArray[np.int32]
    vectors: Vectors | None = None
    held: NDArray[np.uint8] | None = None

    def release(self) -> None:
        """Give the buffers to the next block; nothing of the spans and numbers may be looked at afterwards."""
        give_back(self.spans.text)
        give_back(self.spans.columns)
        if self.held is not None:
            give_back(self.held)

    @property
    def valid(self) -> NDArray[np.int64]:
        """Indices of the valid records."""
        return np.flatnonzero(self.errors == 0)


def _decode_vectors(spans: Spans, length: int) -> Vectors | None:
    """The embeddings of the records that are valid so far; what is wrong with them goes to their errors."""
    kinds = spans.kinds[EMBEDDING]
    if not kinds.any():
        return None
    rows = np.flatnonzero((kinds != 0) & (spans.errors == 0))
    vectors, problems = read_vectors(
        spans.text, spans.begins[EMBEDDING], spans.sizes[EMBEDDING], rows, length
    )
    spans.errors[rows] = np.where(problems == 0, 0, _VECTOR_BASE + problems.astype(np.int32))
    return vectors


def decode(block: Block, now_ms: int, content_free: bool = False, embedding_length: int = 0) -> Decoded:
    """Decode a block of native records.

    now_ms: the clock, for times in the future. content_free: accept records without prompt and embedding.
    embedding_length: numbers that each embedding must have, 0 for any.
    """
    spans = Spans(block)
    cells = len(FIELDS) * len(block)
    held = buffer(8 * cells)
    numbers = held[: 8 * cells].view(np.float64).reshape(len(FIELDS), len(block))
    times = np.full((2, len(block)), -1, dtype=np.int64)
    _check(
        spans.text, spans.begins, spans.sizes, spans.kinds, spans.errors, numbers, times,
        _KINDS, _REQUIRED, _MAXIMA, _POWERS, _PLACEHOLDERS,
        now_ms + MAX_FUTURE_MS, MIN_TIME_MS, content_free,
        (EVENT_ID, ACCOUNT_ID, PROMPT, EMBEDDING), MAX_ID_BYTES, MAX_PROMPT_BYTES,
    )  # fmt: skip
    vectors = _decode_vectors(spans, embedding_length)
    return Decoded(spans, numbers, times[0], times[1], spans.errors, vectors, held)
