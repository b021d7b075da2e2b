"""Keyed 63-bit hashes of text from the log, compiled.

SipHash-2-4 under the operator's secret, so that nobody can try prompts against what is stored. The top bit is dropped:
Parquet readers have signed integers only. Fields are told apart by a domain number, so equal text in two fields gives
different hashes.
"""

import hashlib
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import inner, kernel
from pipelines.ingest.siphash import TEXTS, siphash_16

MASK: Final = np.uint64(0x7FFFFFFFFFFFFFFF)


class Lanes(NamedTuple):
    """Working memory of the kernels, which hash sixteen texts at a time, for one thread.

    begins, sizes, hashes: int64[16]. words: int64[16], and the same memory as bytes, in which word i is the 8 bytes
    from word_begins[i] on. word_sizes: 8 each.
    """

    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    hashes: NDArray[np.int64]
    words: NDArray[np.int64]
    word_bytes: NDArray[np.uint8]
    word_begins: NDArray[np.int64]
    word_sizes: NDArray[np.int64]

    @classmethod
    def new(cls) -> "Lanes":
        """Fresh working memory."""
        begins, sizes, hashes, words = np.zeros((4, TEXTS), dtype=np.int64)
        steps = np.arange(0, 8 * TEXTS, 8)
        return cls(begins, sizes, hashes, words, words.view(np.uint8), steps, np.full(TEXTS, 8))


@inner
def hash_16(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    first: int,
    limit: int,
    k0: np.uint64,
    k1: np.uint64,
    lanes: Lanes,
    out: NDArray[np.int64],
) -> None:
    """Hash the first `limit` bytes of the spans of rows[first : first + 16]; -1 where the field is absent."""
    count = min(16, len(rows) - first)
    is_any = False
    for lane in range(16):
        lanes.begins[lane] = 0
        lanes.sizes[lane] = 0
        if lane < count:
            row = rows[first + lane]
            if kinds[row] == 1:
                lanes.begins[lane] = begins[row]
                lanes.sizes[lane] = min(np.int64(sizes[row]), np.int64(limit))
                is_any = True
    if is_any:
        siphash_16(buf, lanes.begins, lanes.sizes, k0, k1, lanes.hashes)
    for lane in range(count):
        out[first + lane] = lanes.hashes[lane] if kinds[rows[first + lane]] == 1 else -1


@kernel
def hash_words(values: NDArray[np.int64], count: int, k0: np.uint64, k1: np.uint64, lanes: Lanes) -> None:
    """Put in place of each of the first `count` words the keyed hash of its eight bytes."""
    for first in range(0, count, 16):
        size = min(16, count - first)
        for lane in range(size):
            lanes.words[lane] = values[first + lane]
        siphash_16(lanes.word_bytes, lanes.word_begins, lanes.word_sizes, k0, k1, lanes.hashes)
        for lane in range(size):
            values[first + lane] = lanes.hashes[lane]


@kernel
def _hash_fields(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    fields: NDArray[np.int64],
    limits: NDArray[np.int64],
    keys: NDArray[np.uint64],
    places: NDArray[np.int64],
    lanes: Lanes,
    out: NDArray[np.int64],
) -> None:
    for first in range(0, len(rows), 16):
        for k in range(len(fields)):
            field = fields[k]
            hash_16(
                buf, begins[field], sizes[field], kinds[field], rows, first, limits[k], keys[k, 0], keys[k, 1],
                lanes, out[places[k]],
            )  # fmt: skip


def hash_fields(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    fields: NDArray[np.int64],
    limits: NDArray[np.int64],
    keys: NDArray[np.uint64],
    places: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Hash several fields of some records, a few records at a time, so that each is fetched from memory once.

    begins, sizes, kinds: [F, n]. fields, limits, places: int64[k], the field, how many bytes of it count, and the row
    of out that takes its hashes, -1 where the field is absent. keys: uint64[k, 2]. out: int64[S, len(rows)]. At least 8
    bytes must follow each span in the buffer; they do not count.
    """
    _hash_fields(buf, begins, sizes, kinds, rows, fields, limits, keys, places, Lanes.new(), out)


def hash_spans(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    limit: int,
    key: tuple[np.uint64, np.uint64],
) -> NDArray[np.int64]:
    """The same of one field: begins, sizes, kinds: [n]; int64[len(rows)]."""
    out = np.empty((1, len(rows)), dtype=np.int64)
    only = np.zeros(1, dtype=np.int64)
    _hash_fields(
        buf, begins[np.newaxis], sizes[np.newaxis], kinds[np.newaxis], rows, only, np.array([limit]),
        np.array([key], dtype=np.uint64), only, Lanes.new(), out,
    )  # fmt: skip
    hashes: NDArray[np.int64] = out[0]
    return hashes


def hash_bytes(data: bytes, key: tuple[np.uint64, np.uint64]) -> int:
    """The keyed hash of one byte string."""
    buffer = np.frombuffer(data + bytes(8), dtype=np.uint8)
    ones = np.ones(1, dtype=np.uint8)
    begin, row = np.zeros((2, 1), dtype=np.int64)
    return int(hash_spans(buffer, begin, np.array([len(data)], np.int32), ones, row, len(data), key)[0])


def subkeys(key: bytes, domain: str) -> tuple[np.uint64, np.uint64]:
    """The SipHash key of a domain, derived from the operator's secret (16 bytes or more)."""
    digest = hashlib.blake2b(domain.encode(), key=key[:64], digest_size=16).digest()
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:], "little"))


def key_fingerprint(key: bytes) -> str:
    """Tells two secrets apart without telling either."""
    return hashlib.blake2b(b"fingerprint", key=key[:64], digest_size=6).hexdigest()
