"""Compiled JSON scanner: where each known field of each record lies in the raw bytes.

Belongs here: the grammar (RFC 8259, strict), UTF-8 validity, depth, duplicate keys. Escapes are resolved in
`unescape`, what a field must contain is checked in `decode`; nothing here allocates per record or makes Python objects.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.memory import buffer
from pipelines.ingest.simd import PADDING, inner, kernel, plain_bytes, word_at
from pipelines.ingest.source import Block, room
from pipelines.ingest.unescape import unescape
from schemas.request import FIELDS, MAX_DEPTH, MAX_RECORD_BYTES

ABSENT: Final = 0
TEXT: Final = 1
INTEGER: Final = 3
REAL: Final = 4
BOOLEAN: Final = 5
NULL: Final = 6
NESTED: Final = 7

NOT_OBJECT: Final = 1
SYNTAX: Final = 2
BAD_STRING: Final = 3
BAD_UTF8: Final = 4
TOO_DEEP: Final = 5
DUPLICATE_KEY: Final = 6
TOO_LARGE: Final = 7
TRAILING: Final = 8
TRUNCATED: Final = 9
EMPTY: Final = 10

SCAN_REASONS: Final = {
    NOT_OBJECT: "not a JSON object",
    SYNTAX: "invalid JSON",
    BAD_STRING: "invalid JSON string (bare control character or bad escape)",
    BAD_UTF8: "text is not UTF-8",
    TOO_DEEP: f"nested deeper than {MAX_DEPTH}",
    DUPLICATE_KEY: "duplicate key",
    TOO_LARGE: f"record over {MAX_RECORD_BYTES} bytes",
    TRAILING: "more than one JSON value in the record",
    TRUNCATED: "record ends too early",
    EMPTY: "empty record",
}

_SLOTS: Final = 256
_LONGEST_KEY: Final = 6 * 24
"""Bytes of the longest name that is one of ours, every character of it escaped."""
_NAME_WORDS: Final = 3
_MIX: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


def _key_table() -> tuple[NDArray[np.uint64], NDArray[np.int8]]:
    """(words, fields): the names of the fields as three little-endian words each, padded with zeros; and an
    open-addressing table of 256 slots that leads to a field, -1 where it is free."""
    words = np.zeros((len(FIELDS), _NAME_WORDS), dtype=np.uint64)
    fields = np.full(_SLOTS, -1, dtype=np.int8)
    for index, field in enumerate(FIELDS):
        name = field.name.encode().ljust(8 * _NAME_WORDS, b"\0")
        if len(name) > 8 * _NAME_WORDS:
            raise ValueError(f"field name over {8 * _NAME_WORDS} bytes: {field.name}")
        words[index] = np.frombuffer(name, dtype="<u8")
        value = 0
        for word, mix in zip(words[index].tolist(), _MIX, strict=True):
            value ^= word * mix & 0xFFFFFFFFFFFFFFFF
        slot = value >> 56
        while fields[slot] >= 0:
            slot = (slot + 1) % _SLOTS
        fields[slot] = index
    return words, fields


_KEY_WORDS, _KEY_FIELDS = _key_table()


@inner
def _field_of(
    buf: NDArray[np.uint8], begin: int, size: int, words: NDArray[np.uint64], fields: NDArray[np.int8]
) -> int:
    """Index of the field of that name; -1 when it is none of ours."""
    if size > 24 or size == 0:
        return -1
    all_bits = np.uint64(0xFFFFFFFFFFFFFFFF)
    first = word_at(buf, begin)
    second = np.uint64(0)
    third = np.uint64(0)
    if size < 8:
        first &= all_bits >> np.uint64(64 - 8 * size)
    elif size > 8:
        second = word_at(buf, begin + 8)
        if size < 16:
            second &= all_bits >> np.uint64(128 - 8 * size)
        elif size > 16:
            third = word_at(buf, begin + 16) & (all_bits >> np.uint64(192 - 8 * size))
    value = (
        first * np.uint64(0x9E3779B97F4A7C15)
        ^ second * np.uint64(0xC2B2AE3D27D4EB4F)
        ^ third * np.uint64(0x165667B19E3779F9)
    )
    slot = value >> np.uint64(56)
    while fields[slot] >= 0:
        field = np.int64(fields[slot])
        if words[field, 0] == first and words[field, 1] == second and words[field, 2] == third:
            return field  # type: ignore[return-value]
        slot = (slot + np.uint64(1)) & np.uint64(255)
    return -1


@inner
def _utf8_length(buf: NDArray[np.uint8], at: int, end: int) -> int:
    """Bytes of the well-formed multi-byte sequence at `at`, or 0 (Unicode table 3-7)."""
    first = buf[at]
    if 0xC2 <= first <= 0xDF:
        if at + 1 < end and 0x80 <= buf[at + 1] <= 0xBF:
            return 2
        return 0
    if 0xE0 <= first <= 0xEF:
        if at + 2 >= end:
            return 0
        low = 0xA0 if first == 0xE0 else 0x80
        high = 0x9F if first == 0xED else 0xBF
        if low <= buf[at + 1] <= high and 0x80 <= buf[at + 2] <= 0xBF:
            return 3
        return 0
    if 0xF0 <= first <= 0xF4:
        if at + 3 >= end:
            return 0
        low = 0x90 if first == 0xF0 else 0x80
        high = 0x8F if first == 0xF4 else 0xBF
        if low <= buf[at + 1] <= high and 0x80 <= buf[at + 2] <= 0xBF and 0x80 <= buf[at + 3] <= 0xBF:
            return 4
    return 0


@inner
def _is_hex(byte: int) -> bool:
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


@inner
def _string(buf: NDArray[np.uint8], at: int, end: int) -> tuple[int, int, int]:
    """Scan a string whose opening quote is at at-1. Returns (position of the closing quote, escaped, error).

    Behind the last record the buffer holds zeros, so the inner loop needs no bound.
    """
    escaped = 0
    while True:
        step = plain_bytes(buf, at)
        at += step
        while step == 32:
            step = plain_bytes(buf, at)
            at += step
        if at >= end:
            return at, escaped, 9
        byte = buf[at]
        if byte == 34:
            return at, escaped, 0
        if byte == 92:
            escaped = 1
            if at + 1 >= end:
                return at, escaped, 9
            kind = buf[at + 1]
            if kind == 117:
                if at + 5 >= end:
                    return at, escaped, 9
                for k in range(2, 6):
                    if not _is_hex(buf[at + k]):
                        return at, escaped, 3
                at += 6
            elif (
                kind == 34
                or kind == 92
                or kind == 47
                or kind == 98
                or kind == 102
                or kind == 110
                or kind == 114
                or kind == 116
            ):
                at += 2
            else:
                return at, escaped, 3
        elif byte < 0x20:
            return at, escaped, 3
        else:
            size = _utf8_length(buf, at, end)
            if size == 0:
                return at, escaped, 4
            at += size


@inner
def _number(buf: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Scan a number. Returns (end, kind); kind 0 is an error."""
    kind = 3
    if buf[at] == 45:
        at += 1
    if at >= end:
        return at, 0
    if buf[at] == 48:
        at += 1
    elif 49 <= buf[at] <= 57:
        while at < end and 48 <= buf[at] <= 57:
            at += 1
    else:
        return at, 0
    if at < end and buf[at] == 46:
        kind = 4
        at += 1
        digits = at
        while at < end and 48 <= buf[at] <= 57:
            at += 1
        if at == digits:
            return at, 0
    if at < end and (buf[at] == 101 or buf[at] == 69):
        kind = 4
        at += 1
        if at < end and (buf[at] == 43 or buf[at] == 45):
            at += 1
        digits = at
        while at < end and 48 <= buf[at] <= 57:
            at += 1
        if at == digits:
            return at, 0
    return at, kind


@inner
def _space(buf: NDArray[np.uint8], at: int, end: int) -> int:
    while at < end and (buf[at] == 32 or buf[at] == 10 or buf[at] == 13 or buf[at] == 9):
        at += 1
    return at


@inner
def _literal(buf: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Scan true, false or null. Returns (end, kind); kind 0 is an error."""
    byte = buf[at]
    if byte == 116 and at + 4 <= end and buf[at + 1] == 114 and buf[at + 2] == 117 and buf[at + 3] == 101:
        return at + 4, 5
    if (
        byte == 102
        and at + 5 <= end
        and buf[at + 1] == 97
        and buf[at + 2] == 108
        and buf[at + 3] == 115
        and buf[at + 4] == 101
    ):
        return at + 5, 5
    if byte == 110 and at + 4 <= end and buf[at + 1] == 117 and buf[at + 2] == 108 and buf[at + 3] == 108:
        return at + 4, 6
    return at, 0


@inner
def _nested(buf: NDArray[np.uint8], at: int, end: int, max_depth: int) -> tuple[int, int]:
    """Scan an array or object that lies in the record's object. Returns (position behind it, error)."""
    depth = 1
    is_object = np.uint64(1)
    state = 0  # 0 value, 1 after a value, 2 key or }, 3 key, 4 value or ]
    while True:
        at = _space(buf, at, end)
        if at >= end:
            return at, 9
        byte = buf[at]
        if state == 2 or state == 3:
            if byte == 34:
                at, _, error = _string(buf, at + 1, end)
                if error:
                    return at, error
                at = _space(buf, at + 1, end)
                if at >= end:
                    return at, 9
                if buf[at] != 58:
                    return at, 2
                at += 1
                state = 0
                continue
            if byte != 125 or state == 3:
                return at, 2
        elif state == 0 or state == 4:
            if byte == 34:
                at, _, error = _string(buf, at + 1, end)
                if error:
                    return at, error
                at += 1
                state = 1
                continue
            if byte == 45 or 48 <= byte <= 57:
                at, kind = _number(buf, at, end)
                if kind == 0:
                    return at, 2
                state = 1
                continue
            if byte == 123 or byte == 91:
                if depth >= max_depth:
                    return at, 5
                is_object = (is_object << np.uint64(1)) | np.uint64(1 if byte == 123 else 0)
                depth += 1
                at += 1
                state = 2 if byte == 123 else 4
                continue
            if byte != 93 or state == 0:
                at, kind = _literal(buf, at, end)
                if kind == 0:
                    return at, 2
                state = 1
                continue
        elif byte == 44:
            at += 1
            state = 3 if is_object & np.uint64(1) else 0
            continue
        elif byte != (125 if is_object & np.uint64(1) else 93):
            return at, 2
        # a closing bracket
        at += 1
        depth -= 1
        is_object >>= np.uint64(1)
        if depth == 1:
            return at, 0
        state = 1


@inner
def _record(
    buf: NDArray[np.uint8],
    at: int,
    end: int,
    row: int,
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    key_words: NDArray[np.uint64],
    key_fields: NDArray[np.int8],
    max_depth: int,
    spare: int,
) -> tuple[int, int]:
    """Scan a record. Returns (error, free end of the buffer): strings without their escapes are written from spare on.

    Not in place: what is rejected is shown as it came.
    """
    at = _space(buf, at, end)
    if at >= end:
        return 10, spare
    if buf[at] != 123:
        return 1, spare
    at = _space(buf, at + 1, end)
    is_empty = at < end and buf[at] == 125
    while not is_empty:
        if at >= end:
            return 9, spare
        if buf[at] != 34:
            return 2, spare
        begin = at + 1
        at = begin + plain_bytes(buf, begin)
        escaped = 0
        if at >= end or buf[at] != 34:
            at, escaped, error = _string(buf, begin, end)
            if error:
                return error, spare
        size = at - begin
        if escaped:
            # A longer name is none of ours.
            if size <= _LONGEST_KEY:
                size = unescape(buf, begin, size, spare)
            begin = spare
        field = _field_of(buf, begin, size, key_words, key_fields)
        if field >= 0 and kinds[field, row] != 0:
            return 6, spare
        at += 1
        if buf[at] != 58:
            at = _space(buf, at, end)
            if at >= end:
                return 9, spare
            if buf[at] != 58:
                return 2, spare
        at += 1
        if buf[at] <= 32:
            at = _space(buf, at, end)
        if at >= end:
            return 9, spare
        byte = buf[at]
        begin = at
        if byte == 34:
            begin = at + 1
            at = begin + plain_bytes(buf, begin)
            escaped = 0
            if at >= end or buf[at] != 34:
                at, escaped, error = _string(buf, begin, end)
                if error:
                    return error, spare
            size = at - begin
            kind = 1
            at += 1
            if escaped and field >= 0:
                size = unescape(buf, begin, size, spare)
                begin = spare
                spare += size
        elif byte == 45 or 48 <= byte <= 57:
            at, kind = _number(buf, at, end)
            if kind == 0:
                return 2, spare
            size = at - begin
        elif byte == 123 or byte == 91:
            at, error = _nested(buf, at, end, max_depth)
            if error:
                return error, spare
            kind = 7
            size = at - begin
        else:
            at, kind = _literal(buf, at, end)
            if kind == 0:
                return 2, spare
            size = at - begin
        if field >= 0:
            begins[field, row] = begin
            sizes[field, row] = size
            kinds[field, row] = kind
        if buf[at] <= 32:
            at = _space(buf, at, end)
        if at >= end:
            return 9, spare
        if buf[at] == 125:
            break
        if buf[at] != 44:
            return 2, spare
        at = _space(buf, at + 1, end)
    at = _space(buf, at + 1, end)
    return (0 if at >= end else 8), spare


@kernel
def _scan(
    buf: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    errors: NDArray[np.int32],
    key_words: NDArray[np.uint64],
    key_fields: NDArray[np.int8],
    max_depth: int,
    max_bytes: int,
    spare: int,
) -> None:
    for row in range(len(starts)):
        if ends[row] - starts[row] > max_bytes:
            errors[row] = 7
            continue
        errors[row], spare = _record(
            buf, starts[row], ends[row], row, begins, sizes, kinds, key_words, key_fields, max_depth, spare
        )


class Spans:
    """Where the fields of n records lie.

    text: uint8 buffer that holds the records as they came and, behind them, strings whose escapes are resolved.
    begins: int64[F, n]; sizes: int32[F, n] bytes; kinds: uint8[F, n], one of the constants above (where it
    is ABSENT, begins and sizes mean nothing); errors: int32[n]. F follows `schemas.request.FIELDS`. columns: what they
    lie in.
    """

    def __init__(self, block: Block) -> None:
        size = len(block.payload)
        if block.text is None:
            self.text = room(size)
            self.text[:size] = np.frombuffer(block.payload, dtype=np.uint8)
        else:
            self.text = block.text
        spare = size + PADDING
        self.text[size:spare] = 0
        shape = (len(FIELDS), len(block))
        cells = len(FIELDS) * len(block)
        self.columns = buffer(13 * cells)
        self.begins = self.columns[: 8 * cells].view(np.int64).reshape(shape)
        self.sizes = self.columns[8 * cells : 12 * cells].view(np.int32).reshape(shape)
        self.kinds = self.columns[12 * cells : 13 * cells].reshape(shape)
        self.kinds[:] = ABSENT
        self.errors = np.zeros(len(block), dtype=np.int32)
        _scan(
            self.text, block.starts, block.ends, self.begins, self.sizes, self.kinds, self.errors,
            _KEY_WORDS, _KEY_FIELDS, MAX_DEPTH, MAX_RECORD_BYTES, spare,
        )  # fmt: skip
