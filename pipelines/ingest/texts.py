"""One compiled pass over the texts of a block: cells, template keys, shingles and elicitation.

Belongs here: what is read off the text itself. Per-request counts and identities are in `measure`.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.elicitation import Phrases, phrase_tables
from pipelines.ingest.hashing import Lanes, hash_words, subkeys
from pipelines.ingest.quantise import LOG_WEIGHTS, Quantiser, Tables, Vectors16, find_cells, project
from pipelines.ingest.simd import inner, kernel, prefetch_row
from pipelines.ingest.siphash import TEXTS, siphash_16
from pipelines.prompt_map.tokens import (
    LETTERS,
    MAX_TOKENS,
    SLOTS,
    VECTOR_TOKENS,
    Tokens,
    term_counts,
    tokenize,
)

SHINGLE: Final = 8
"""Tokens of a shingle."""
TEMPLATE: Final = 4
"""Tokens of an opening or closing run; texts of fewer than twice as many have no template key."""
SHINGLE_BYTES: Final = 16
"""A text keeps at most one shingle per so many bytes, and 16 more."""


class PromptMeasures(NamedTuple):
    """Per request (n): cell int32 (-1 none), hashes int64 (-1 none), elicited uint8 bit mask; shingles as CSR."""

    cell: NDArray[np.int32]
    prompt_hash: NDArray[np.int64]
    opening: NDArray[np.int64]
    closing: NDArray[np.int64]
    elicited: NDArray[np.uint8]
    shingle_offsets: NDArray[np.int32]
    shingles: NDArray[np.int64]


class Scratch(NamedTuple):
    """Working memory of the kernels, which allocate nothing themselves and take sixteen texts at a time.

    found: their tokens. seen: for `term_counts`. buckets, counts: int32[16, 256], of which each text has so many as
    distinct, int64[16], says.
    """

    found: Tokens
    seen: NDArray[np.int32]
    buckets: NDArray[np.int32]
    counts: NDArray[np.int32]
    distinct: NDArray[np.int64]
    lanes: Lanes
    held: Vectors16

    @classmethod
    def new(cls) -> "Scratch":
        """Fresh working memory, for one thread at a time."""
        buckets, counts = np.empty((2, TEXTS, VECTOR_TOKENS), np.int32)
        return cls(
            Tokens.new(MAX_TOKENS), np.empty(SLOTS, np.int32), buckets, counts,
            np.empty(TEXTS, np.int64), Lanes.new(), Vectors16.new(),
        )  # fmt: skip


@inner
def _shingles(
    tokens: NDArray[np.uint64],
    count: int,
    limit: int,
    out: NDArray[np.int64],
    at: int,
) -> int:
    """Append the shingles that fall into a 1/32 sample, not yet hashed with a key; returns the new end."""
    base = np.uint64(0x9E3779B97F4A7C15)
    top = np.uint64(1)
    for _ in range(8):
        top *= base
    rolling = np.uint64(0)
    start = at
    for k in range(count):
        rolling = rolling * base + tokens[k]
        if k >= 8:
            rolling -= top * tokens[k - 8]
        if k >= 7:
            spread = (rolling ^ (rolling >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            if (spread >> np.uint64(59)) == 0 and at - start < limit:
                out[at] = np.int64(rolling)
                at += 1
    return at


@inner
def _elicited(
    tokens: NDArray[np.uint64],
    angled: NDArray[np.uint8],
    count: int,
    phrases: Phrases,
) -> int:
    """Bit mask of the categories whose phrases occur."""
    lengths, keys, categories, tags = phrases
    found = 0
    base = np.uint64(0x9E3779B97F4A7C15)
    for k in range(count):
        if angled[k]:
            for t in range(len(tags)):
                if tags[t] == tokens[k]:
                    found |= 2
        sizes = lengths[tokens[k] >> np.uint64(48)]
        if sizes == 0:
            continue
        for n in range(1, min(8, k + 1) + 1):
            if not (sizes >> (n - 1)) & 1:
                continue
            value = np.uint64(0)
            for j in range(k - n + 1, k + 1):
                value = value * base + tokens[j]
            slot = (value >> np.uint64(20)) & np.uint64(1023)
            while categories[slot] >= 0:
                if keys[slot] == value:
                    found |= 1 << categories[slot]
                    break
                slot = (slot + np.uint64(1)) & np.uint64(1023)
    return found


@inner
def _run(tokens: NDArray[np.uint64], begin: int) -> np.int64:
    """Polynomial hash of four tokens."""
    value = np.uint64(0)
    for k in range(begin, begin + 4):
        value = value * np.uint64(0x9E3779B97F4A7C15) + tokens[k]
    return np.int64(value)


@inner
def _tokenize_16(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    first: int,
    letters: NDArray[np.int32],
    scratch: Scratch,
) -> None:
    """Tokens of the texts of rows[first : first + 16]; none where there is no text."""
    lanes = scratch.lanes
    for lane in range(16):
        lanes.begins[lane] = 0
        lanes.sizes[lane] = 0
        if first + lane < len(rows):
            row = rows[first + lane]
            if kinds[row] == 1:
                lanes.begins[lane] = begins[row]
                lanes.sizes[lane] = sizes[row]
    tokenize(buf, lanes.begins, lanes.sizes, letters, scratch.found)


@kernel
def _prompts(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    letters: NDArray[np.int32],
    tables: Tables,
    log_weights: NDArray[np.float32],
    phrases: Phrases,
    keys: NDArray[np.uint64],
    out: PromptMeasures,
    scratch: Scratch,
) -> None:
    found, lanes, held = scratch.found, scratch.lanes, scratch.held
    at = 0
    for first in range(0, len(rows), 16):
        end = min(first + 16, len(rows))
        _tokenize_16(buf, begins, sizes, kinds, rows, first, letters, scratch)
        for lane in range(16):
            tokens = found.hashes[found.firsts[lane] :]
            count = found.counts[lane]
            buckets = scratch.buckets[lane]
            distinct = term_counts(tokens, count, scratch.seen, buckets, scratch.counts[lane])
            scratch.distinct[lane] = distinct
            for k in range(distinct):
                prefetch_row(tables.projection, buckets[k])
        for i in range(first, end):
            lane = i - first
            tokens = found.hashes[found.firsts[lane] :]
            count = found.counts[lane]
            if count >= 8:
                out.opening[i] = _run(tokens, 0)
                out.closing[i] = _run(tokens, count - 4)
                at = _shingles(tokens, count, lanes.sizes[lane] // 16 + 16, out.shingles, at)
            out.elicited[i] = _elicited(tokens, found.angled[found.firsts[lane] :], count, phrases)
            out.shingle_offsets[i + 1] = at
        siphash_16(buf, lanes.begins, lanes.sizes, keys[0], keys[1], lanes.hashes)
        for i in range(first, end):
            out.prompt_hash[i] = lanes.hashes[i - first] if found.counts[i - first] > 0 else -1
        hash_words(out.opening[first:end], end - first, keys[2], keys[3], lanes)
        hash_words(out.closing[first:end], end - first, keys[4], keys[5], lanes)
        for lane in range(16):
            if not project(
                scratch.buckets[lane], scratch.counts[lane], scratch.distinct[lane], tables.projection,
                log_weights, held.weights, held.vectors[lane],
            ):  # fmt: skip
                scratch.distinct[lane] = 0
        find_cells(held, tables)
        for i in range(first, end):
            lane = i - first
            out.cell[i] = held.cells[lane] if scratch.distinct[lane] > 0 else -1
            if found.counts[lane] < 8:
                out.opening[i] = -1
                out.closing[i] = -1
    hash_words(out.shingles, at, keys[6], keys[7], lanes)


@kernel
def _responses(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    letters: NDArray[np.int32],
    keys: NDArray[np.uint64],
    shingle_offsets: NDArray[np.int32],
    shingles: NDArray[np.int64],
    scratch: Scratch,
) -> None:
    found = scratch.found
    at = 0
    for first in range(0, len(rows), 16):
        _tokenize_16(buf, begins, sizes, kinds, rows, first, letters, scratch)
        for i in range(first, min(first + 16, len(rows))):
            lane = i - first
            count = found.counts[lane]
            if count >= 8:
                tokens = found.hashes[found.firsts[lane] :]
                at = _shingles(tokens, count, scratch.lanes.sizes[lane] // 16 + 16, shingles, at)
            shingle_offsets[i + 1] = at
    hash_words(shingles, at, keys[6], keys[7], scratch.lanes)


_PHRASES = phrase_tables()


def text_keys(key: bytes) -> NDArray[np.uint64]:
    """SipHash keys of prompt, opening, closing and shingles: uint64[8]."""
    return np.array(
        [half for domain in ("prompt", "opening", "closing", "shingle") for half in subkeys(key, domain)],
        dtype=np.uint64,
    )


def _capacity(sizes: NDArray[np.int32], kinds: NDArray[np.uint8], rows: NDArray[np.int64]) -> int:
    present = kinds[rows] == 1
    return int((sizes[rows][present] // SHINGLE_BYTES + 16).sum())


def measure_prompts(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    quantiser: Quantiser,
    keys: NDArray[np.uint64],
) -> PromptMeasures:
    """Measure the prompts of the given rows. begins, sizes, kinds: spans of the prompt field over the block.

    Raises ValueError for a quantiser of another shape than the kernels are compiled for.
    """
    n = len(rows)
    out = PromptMeasures(
        np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64),
        np.empty(n, np.uint8), np.zeros(n + 1, np.int32), np.empty(_capacity(sizes, kinds, rows), np.int64),
    )  # fmt: skip
    _prompts(
        buf,
        begins,
        sizes,
        kinds,
        rows,
        LETTERS,
        quantiser.tables,
        LOG_WEIGHTS,
        _PHRASES,
        keys,
        out,
        Scratch.new(),
    )
    return out


def measure_responses(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    keys: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sampled shingles of the responses as CSR (offsets int32[n+1], hashes int64)."""
    offsets = np.zeros(len(rows) + 1, np.int32)
    shingles = np.empty(_capacity(sizes, kinds, rows), np.int64)
    _responses(buf, begins, sizes, kinds, rows, LETTERS, keys, offsets, shingles, Scratch.new())
    return offsets, shingles
