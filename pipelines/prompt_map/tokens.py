"""Tokens of a text and their 64-bit hashes (METHOD section 1), compiled.

A token is a lower-cased run of letters and digits; every character of three or more UTF-8 bytes is a token
of its own, so that Chinese, Japanese and Korean work. Hashes are multiplicative over the lower-cased UTF-8
bytes, eight at a time, and carry no key: they never leave a process.
"""

import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import PADDING, beyond_ascii, kernel, letters_and_digits, lowest_bit, word_at

BUCKETS: Final = 1 << 17
VECTOR_TOKENS: Final = 256
TOKENS_VERSION: Final = 2
"""Of the hash; maps fitted with another one cannot be used."""
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
def _mix(value: np.uint64, word: np.uint64) -> np.uint64:
    """One step of the hash: eight more bytes."""
    value = (value ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(32))


@kernel
def _ascii_token(buf: NDArray[np.uint8], at: int, size: int) -> np.uint64:
    """Hash of a run of 1 to 64 ASCII letters and digits. Of up to 16, as most are, without a branch on the size."""
    # Bit 5 makes letters lower-case and is set in digits anyway.
    lower = np.uint64(0x2020202020202020)
    all_bits = np.uint64(0xFFFFFFFFFFFFFFFF)
    value = np.uint64(0xCBF29CE484222325)
    while size > 16:
        value = _mix(value, word_at(buf, at) | lower)
        at += 8
        size -= 8
    kept = all_bits >> np.uint64(64 - 8 * min(size, 8))
    first = _mix(value, (word_at(buf, at) | lower) & kept)
    kept = all_bits >> np.uint64(64 - 8 * max(size - 8, 1))
    second = _mix(first, (word_at(buf, at + 8) | lower) & kept)
    return second if size > 8 else first  # type: ignore[no-any-return]


@kernel
def _is_tag(buf: NDArray[np.uint8], begin: int, at: int) -> bool:
    """Whether what begins at `at` follows `<` or `</` directly."""
    at -= 1
    while at >= begin and buf[at] == 47:
        at -= 1
    return at >= begin and buf[at] == 60


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

    angled[i] is 1 when token i follows `<` or `</` directly (a tag). Behind the text the buffer holds at least
    PADDING more bytes. ASCII is looked at 64 bytes at a time, as a bit mask of its letters and digits, in which
    tokens are runs of ones.
    """
    count = 0
    limit = len(out)
    at = begin
    stop = begin + size
    one = np.uint64(1)
    while at < stop and count < limit:
        byte = buf[at]
        if byte < 0x80:
            runs = letters_and_digits(buf, at)
            width = min(64, stop - at, lowest_bit(beyond_ascii(buf, at)))
            if width < 64:
                runs &= (one << np.uint64(width)) - one
            is_end = at + width == stop
            is_cut = False
            while runs != 0 and count < limit:
                start = lowest_bit(runs)
                run = lowest_bit(~(runs >> np.uint64(start)))
                if start + run == width and not is_end:
                    is_cut = True
                    break
                out[count] = _ascii_token(buf, at + start, run)
                angled[count] = _is_tag(buf, begin, at + start)
                count += 1
                # The sum carries through the lowest run of ones.
                runs &= runs + (runs & (~runs + one))
            if not is_cut:
                at += width
                continue
            at += start
            if width == 64 and start > 0:
                continue
        elif byte >= 0xE0:
            length = 3 if byte < 0xF0 else 4
            word = word_at(buf, at) & (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * length))
            out[count] = _mix(np.uint64(0xCBF29CE484222325), word)
            angled[count] = _is_tag(buf, begin, at)
            count += 1
            at += length
            continue
        # A run of more than 64, or one with letters beyond ASCII: character by character.
        first_byte = at
        value = np.uint64(0xCBF29CE484222325)
        word = np.uint64(0)
        filled = 0
        is_token = False
        while at < stop:
            byte = buf[at]
            if byte >= 0xE0:
                break
            if byte < 0x80:
                code = np.int64(letters[byte])
                length = 1
            else:
                code = np.int64(letters[((np.int64(byte) & 0x1F) << 6) | (np.int64(buf[at + 1]) & 0x3F)])
                length = 2
            if code < 0:
                break
            is_token = True
            at += length
            first = code if code < 0x80 else 0xC0 | (code >> 6)
            word |= np.uint64(first) << np.uint64(8 * filled)
            filled += 1
            if filled == 8:
                value = _mix(value, word)
                word = np.uint64(0)
                filled = 0
            if code >= 0x80:
                word |= np.uint64(0x80 | (code & 0x3F)) << np.uint64(8 * filled)
                filled += 1
                if filled == 8:
                    value = _mix(value, word)
                    word = np.uint64(0)
                    filled = 0
        if is_token:
            out[count] = _mix(value, word) if filled > 0 else value
            angled[count] = _is_tag(buf, begin, first_byte)
            count += 1
        else:
            at += 2  # what separates tokens beyond ASCII
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
    data = np.frombuffer(bytearray(text.encode() + bytes(PADDING)), dtype=np.uint8)
    out = np.zeros(MAX_TOKENS, dtype=np.uint64)
    count = tokenize(data, 0, len(data) - PADDING, LETTERS, out, np.zeros(MAX_TOKENS, dtype=np.uint8))
    return out[:count]
