"""Tokens of a text and their 64-bit hashes (METHOD section 1), compiled.

A token is a lower-cased run of letters and digits; every character of three or more UTF-8 bytes is a token
of its own, so that Chinese, Japanese and Korean work. Hashes are FNV-1a over the lower-cased characters
and carry no key: they never leave a process.
"""

import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import kernel

BUCKETS: Final = 1 << 17
VECTOR_TOKENS: Final = 256
MAX_TOKENS: Final = 4096
"""Tokens looked at per text; what follows is ignored."""


def _letters() -> NDArray[np.int32]:
    """For code points below U+0800: the lower-cased letter or digit, or -1 for what separates tokens."""
    table = np.full(0x800, -1, dtype=np.int32)
    for code in range(0x800):
        character = chr(code)
        if character.isalnum() or unicodedata.category(character).startswith("M"):
            lower = character.lower()
            table[code] = ord(lower) if len(lower) == 1 and ord(lower) < 0x800 else code
    return table


LETTERS: Final = _letters()


@kernel
def tokenize(
    buf: NDArray[np.uint8],
    begin: int,
    size: int,
    letters: NDArray[np.int32],
    out: NDArray[np.uint64],
    angled: NDArray[np.uint8],
) -> int:
    """Write the hashes of the first len(out) tokens; returns how many there are.

    angled[i] is 1 when token i follows `<` or `</` directly (a tag).
    """
    count = 0
    limit = len(out)
    at = begin
    stop = begin + size
    offset = np.uint64(0xCBF29CE484222325)
    prime = np.uint64(0x100000001B3)
    value = offset
    inside = False
    tag = 0
    while at < stop:
        byte = buf[at]
        if byte < 0x80:
            code = letters[byte]
            at += 1
        elif byte < 0xE0:
            code = letters[((np.int64(byte) & 0x1F) << 6) | (np.int64(buf[at + 1]) & 0x3F)]
            at += 2
        else:
            if inside:
                out[count] = value
                count += 1
                inside = False
                tag = 0
                if count == limit:
                    return count
            length = 3 if byte < 0xF0 else 4
            value = offset
            for k in range(length):
                value = (value ^ np.uint64(buf[at + k])) * prime
            out[count] = value
            angled[count] = tag
            tag = 0
            count += 1
            if count == limit:
                return count
            at += length
            continue
        if code >= 0:
            if not inside:
                inside = True
                value = offset
                angled[count] = tag
                tag = 0
            value = (value ^ np.uint64(code)) * prime
        else:
            if inside:
                out[count] = value
                count += 1
                inside = False
                if count == limit:
                    return count
            if byte == 60:
                tag = 1
            elif byte != 47:
                tag = 0
    if inside:
        out[count] = value
        count += 1
    return count


@kernel
def bucket(token: np.uint64) -> np.int64:
    """The bucket of a token: 17 bits of its hash, mixed."""
    return np.int64((token * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(47))


@kernel
def term_counts(
    tokens: NDArray[np.uint64],
    count: int,
    seen: NDArray[np.int32],
    buckets: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> int:
    """Distinct buckets of the first 256 tokens in order of first occurrence; returns how many.

    seen: int32[BUCKETS] scratch, all zero on entry and on return. buckets, counts: outputs of at least 256.
    """
    distinct = 0
    for k in range(min(count, 256)):
        b = bucket(tokens[k])
        place = seen[b]
        if place == 0:
            buckets[distinct] = b
            counts[distinct] = 1
            distinct += 1
            seen[b] = distinct
        else:
            counts[place - 1] += 1
    for k in range(distinct):
        seen[buckets[k]] = 0
    return distinct


def hashes(text: str) -> NDArray[np.uint64]:
    """Token hashes of one text (for phrase tables and tests)."""
    data = np.frombuffer(text.encode() + b"\0", dtype=np.uint8)
    out = np.zeros(MAX_TOKENS, dtype=np.uint64)
    count = tokenize(data, 0, len(data) - 1, LETTERS, out, np.zeros(MAX_TOKENS, dtype=np.uint8))
    return out[:count]
