"""Tokens of a text and their 64-bit hashes (METHOD section 1), compiled.

A token is a lower-cased run of letters and digits; every character of three or more UTF-8 bytes is a token
of its own, so that Chinese, Japanese and Korean work. Hashes are multiplicative over the lower-cased UTF-8
bytes, eight at a time, and carry no key: they never leave a process.
"""

import unicodedata
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import (
    PADDING,
    angles,
    beyond_ascii,
    bit_count,
    inner,
    kernel,
    leads_of_more,
    leads_of_two,
    letters_and_digits,
    lowest_bit,
)
from pipelines.ingest.siphash import TEXTS
from pipelines.prompt_map.token_hashes import FACTOR, START, hash_tokens

BUCKETS: Final = 1 << 17
VECTOR_TOKENS: Final = 256
SLOTS: Final = 1024
"""Of the table in which the buckets of one text are counted: four times as many as it can have."""
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


class Tokens(NamedTuple):
    """Tokens of some texts, and room to find them: at most `limit` of each.

    Those of text i are hashes[firsts[i] : firsts[i] + counts[i]], uint64, and in the same places of angled, uint8, 1
    where a token follows `<` or `</` directly (a tag). starts, ends: int64, where runs begin and end.
    """

    limit: int
    hashes: NDArray[np.uint64]
    angled: NDArray[np.uint8]
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def new(cls, limit: int, texts: int = TEXTS) -> "Tokens":
        """Fresh working memory, for one thread at a time."""
        # Runs of 64 bytes are written together; texts whose runs are no tokens have these behind the runs of all.
        room = texts * limit
        starts, ends = np.empty((2, room + 2 * PADDING), np.int64)
        firsts, counts = np.empty((2, texts), np.int64)
        return cls(
            limit, np.empty(2 * room, np.uint64), np.empty(2 * room, np.uint8), firsts, counts, starts, ends
        )


@inner
def _write_places(mask: np.uint64, base: int, out: NDArray[np.int64], count: int) -> int:
    """Append the places of the bits that are set; returns the new count. Whatever the number of bits, a few are
    written at a time, since a loop that ends at the last bit is guessed wrong each time."""
    end = count + bit_count(mask)
    while True:
        for k in range(12):
            out[count + k] = base + lowest_bit(mask)
            mask &= mask - np.uint64(1)
        count += 12
        if count >= end:
            return end  # type: ignore[no-any-return]


@inner
def _find_runs(
    buf: NDArray[np.uint8], begin: int, stop: int, first: int, held: Tokens
) -> tuple[int, bool, bool]:
    """Where runs of letters, digits and characters of two bytes begin and end, and where characters of more bytes
    begin, which end one byte later here: at most held.limit of them, written from `first` on. Returns (end of what is
    written, whether some have characters of two bytes, whether the text has a `<`)."""
    begun = first
    ended = first
    limit = first + held.limit
    is_mixed = False
    is_angled = False
    last = np.uint64(0)
    last_two = np.uint64(0)
    last_more = np.uint64(0)
    one = np.uint64(1)
    top = np.uint64(63)
    all_bits = np.uint64(0xFFFFFFFFFFFFFFFF)
    at = begin
    while at < stop and ended < limit:
        kept = all_bits >> np.uint64(max(64 - (stop - at), 0))
        runs = letters_and_digits(buf, at)
        more = np.uint64(0)
        if beyond_ascii(buf, at) & kept != 0 or last_two != 0:
            two = leads_of_two(buf, at) & kept
            more = leads_of_more(buf, at) & kept
            runs |= two | (two << one) | last_two
            last_two = two >> top
            is_mixed |= two != 0
        runs &= kept
        is_angled |= angles(buf, at) & kept != 0
        before = (runs << one) | last
        begun = _write_places((runs & ~before) | more, at, held.starts, begun)
        ended = _write_places((before & ~runs) | (more << one) | last_more, at, held.ends, ended)
        last = runs >> top
        last_more = more >> top
        at += 64
    if ended < begun:
        held.ends[ended] = stop
    return min(begun, limit), is_mixed, is_angled  # type: ignore[return-value]


@inner
def _mix(value: np.uint64, word: np.uint64) -> np.uint64:
    """One step of the hash: eight more bytes."""
    value = (value ^ word) * np.uint64(FACTOR)
    return value ^ (value >> np.uint64(32))


@inner
def _mixed_run(
    buf: NDArray[np.uint8],
    at: int,
    stop: int,
    letters: NDArray[np.int32],
    held: Tokens,
    begin: int,
    count: int,
    limit: int,
) -> int:
    """Write the tokens of a run, one character at a time, from place `count` to `limit` at most; returns their end.

    begin: of the text.
    """
    while at < stop and count < limit:
        first_byte = at
        value = np.uint64(START)
        word = np.uint64(0)
        filled = 0
        is_token = False
        while at < stop:
            byte = buf[at]
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
            held.hashes[count] = _mix(value, word) if filled > 0 else value
            held.angled[count] = _is_tag(buf, begin, first_byte)
            count += 1
        else:
            at += 2  # what separates tokens beyond ASCII
    return count


@inner
def _is_tag(buf: NDArray[np.uint8], begin: int, at: int) -> bool:
    """Whether what begins at `at` follows `<` or `</` directly."""
    at -= 1
    while at >= begin and buf[at] == 47:
        at -= 1
    return at >= begin and buf[at] == 60


@inner
def _mixed_text(
    buf: NDArray[np.uint8],
    begin: int,
    stop: int,
    letters: NDArray[np.int32],
    held: Tokens,
    runs: int,
    first: int,
) -> int:
    """Write the tokens of a text in which a run may hold no token or several, from place `first` on; returns their end.

    runs: where its runs are found meanwhile.
    """
    starts, ends = held.starts, held.ends
    limit = first + held.limit
    count = first
    at = begin
    while at < stop and count < limit:
        end = _find_runs(buf, at, stop, runs, held)[0]
        for k in range(runs, end):
            if buf[starts[k]] < 0xE0:
                count = _mixed_run(buf, starts[k], ends[k], letters, held, begin, count, limit)
            elif count < limit:
                hash_tokens(buf, starts[k:], ends[k:], 0, 1, held.hashes[count:])
                held.angled[count] = _is_tag(buf, begin, starts[k])
                count += 1
        at = ends[end - 1] if end - runs == held.limit else stop
    return count


@kernel
def tokenize(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    letters: NDArray[np.int32],
    held: Tokens,
) -> None:
    """Find the first tokens of each text, at most held.limit. begins, sizes: int64[len(held.counts)] at most.

    Behind a text the buffer holds at least PADDING more bytes. Runs are found 64 bytes at a time, as edges of a bit
    mask, and hashed sixteen at a time when those of all texts are known, so that neither waits for the other.
    """
    starts, ends = held.starts, held.ends
    # Not a literal, for which the kernels below would be compiled once more.
    total: int = np.int64(0)  # type: ignore[assignment]
    extra = len(held.hashes) // 2
    has_angles = False
    for i in range(len(begins)):
        begin, stop = begins[i], begins[i] + sizes[i]
        end, is_mixed, is_angled = _find_runs(buf, begin, stop, total, held)
        if is_mixed:
            end = _mixed_text(buf, begin, stop, letters, held, total, extra)
            held.firsts[i], held.counts[i] = extra, end - extra
            extra = end
        else:
            held.firsts[i], held.counts[i] = total, end - total
            total = end
            has_angles |= is_angled
    for first in range(0, total, 16):
        if hash_tokens(buf, starts, ends, first, total, held.hashes) > 16:
            for k in range(first, min(first + 16, total)):
                if ends[k] - starts[k] > 16:
                    _mixed_run(buf, starts[k], ends[k], letters, held, starts[k], k, k + 1)
    held.angled[:total] = 0
    if has_angles:
        for i in range(len(begins)):
            if held.firsts[i] < total:
                for k in range(held.firsts[i], held.firsts[i] + held.counts[i]):
                    held.angled[k] = _is_tag(buf, begins[i], starts[k])


@inner
def bucket(token: np.uint64) -> np.int64:
    """The bucket of a token: 17 bits of its hash, mixed."""
    return np.int64((token * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(47))


@inner
def term_counts(
    tokens: NDArray[np.uint64],
    count: int,
    seen: NDArray[np.int32],
    buckets: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> int:
    """Distinct buckets of the first VECTOR_TOKENS tokens in order of first occurrence; returns how many.

    seen: int32[SLOTS] scratch, an open-addressing table of places in buckets, from 1 on. buckets, counts: outputs of at
    least as many.
    """
    seen[:] = 0
    distinct = 0
    for k in range(min(count, VECTOR_TOKENS)):
        b = bucket(tokens[k])
        slot = b & (len(seen) - 1)
        while seen[slot] != 0 and buckets[seen[slot] - 1] != b:
            slot = (slot + 1) & (len(seen) - 1)
        place = seen[slot]
        if place == 0:
            buckets[distinct] = b
            counts[distinct] = 1
            distinct += 1
            seen[slot] = distinct
        else:
            counts[place - 1] += 1
    return distinct


def hashes(text: str) -> NDArray[np.uint64]:
    """Token hashes of one text (for phrase tables and tests)."""
    data = np.frombuffer(bytearray(text.encode() + bytes(PADDING)), dtype=np.uint8)
    held = Tokens.new(MAX_TOKENS, 1)
    tokenize(data, np.zeros(1, np.int64), np.array([len(data) - PADDING]), LETTERS, held)
    return held.hashes[held.firsts[0] :][: held.counts[0]]
