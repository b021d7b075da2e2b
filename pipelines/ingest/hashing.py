"""Keyed 63-bit hashes of text from the log, compiled.

SipHash-2-4 (Aumasson and Bernstein, 2012) under the operator's secret, so that nobody can try prompts
against what is stored. The top bit is dropped: Parquet readers have signed integers only. Fields are told
apart by a domain number, so equal text in two fields gives different hashes.
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import kernel, word_at

MASK: Final = np.uint64(0x7FFFFFFFFFFFFFFF)


@kernel
def _round(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """SipRound."""
    v0 += v1
    v1 = (v1 << np.uint64(13)) | (v1 >> np.uint64(51))
    v1 ^= v0
    v0 = (v0 << np.uint64(32)) | (v0 >> np.uint64(32))
    v2 += v3
    v3 = (v3 << np.uint64(16)) | (v3 >> np.uint64(48))
    v3 ^= v2
    v0 += v3
    v3 = (v3 << np.uint64(21)) | (v3 >> np.uint64(43))
    v3 ^= v0
    v2 += v1
    v1 = (v1 << np.uint64(17)) | (v1 >> np.uint64(47))
    v1 ^= v2
    v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
    return v0, v1, v2, v3


@kernel
def _end(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64, word: np.uint64) -> np.uint64:
    """Take in the last word and finish."""
    v3 ^= word
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0 ^= word
    v2 ^= np.uint64(0xFF)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@kernel
def siphash(buf: NDArray[np.uint8], begin: int, size: int, k0: np.uint64, k1: np.uint64) -> np.uint64:
    """SipHash-2-4 of buf[begin:begin+size]. At least 8 bytes must follow in the buffer; they do not count."""
    v0 = k0 ^ np.uint64(0x736F6D6570736575)
    v1 = k1 ^ np.uint64(0x646F72616E646F6D)
    v2 = k0 ^ np.uint64(0x6C7967656E657261)
    v3 = k1 ^ np.uint64(0x7465646279746573)
    at = begin
    for _ in range(size >> 3):
        word = word_at(buf, at)
        at += 8
        v3 ^= word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
    last = np.uint64(size & 0xFF) << np.uint64(56)
    rest = size & 7
    if rest:
        # One load and a mask; byte by byte, each length would be a branch that is guessed wrong.
        last |= word_at(buf, at) & (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * rest))
    return _end(v0, v1, v2, v3, last)  # type: ignore[no-any-return]


@kernel
def mix(word: np.uint64, k0: np.uint64, k1: np.uint64) -> np.int64:
    """Keyed 63-bit hash of one word: SipHash of its eight bytes."""
    v0 = k0 ^ np.uint64(0x736F6D6570736575)
    v1 = k1 ^ np.uint64(0x646F72616E646F6D)
    v2 = k0 ^ np.uint64(0x6C7967656E657261)
    v3 = k1 ^ np.uint64(0x7465646279746573) ^ word
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0 ^= word
    return np.int64(_end(v0, v1, v2, v3, np.uint64(8) << np.uint64(56)) & np.uint64(0x7FFFFFFFFFFFFFFF))


@kernel
def _hash_span(
    buf: NDArray[np.uint8],
    begin: np.int64,
    size: np.int32,
    kind: np.uint8,
    limit: np.int64,
    k0: np.uint64,
    k1: np.uint64,
) -> np.int64:
    if kind != 1:
        return np.int64(-1)
    hashed = siphash(buf, begin, min(np.int64(size), np.int64(limit)), k0, k1)
    return np.int64(hashed & np.uint64(0x7FFFFFFFFFFFFFFF))


@kernel
def hash_spans(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    limit: int,
    k0: np.uint64,
    k1: np.uint64,
    out: NDArray[np.int64],
) -> None:
    """Hash the first `limit` bytes of each present span; -1 where the field is absent."""
    for i in range(len(rows)):
        row = rows[i]
        out[i] = _hash_span(buf, begins[row], sizes[row], kinds[row], limit, k0, k1)


@kernel
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
    """The same of several fields, a record at a time, so that each is fetched from memory once.

    begins, sizes, kinds: [F, n]. fields, limits, places: int64[k], the field, how many bytes of it count, and the row
    of out that takes its hashes. keys: uint64[k, 2]. out: int64[S, len(rows)].
    """
    for i in range(len(rows)):
        row = rows[i]
        for k in range(len(fields)):
            field = fields[k]
            out[places[k], i] = _hash_span(
                buf,
                begins[field, row],
                sizes[field, row],
                kinds[field, row],
                limits[k],
                keys[k, 0],
                keys[k, 1],
            )


def subkeys(key: bytes, domain: str) -> tuple[np.uint64, np.uint64]:
    """The SipHash key of a domain, derived from the operator's secret (16 bytes or more)."""
    digest = hashlib.blake2b(domain.encode(), key=key[:64], digest_size=16).digest()
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:], "little"))


def key_fingerprint(key: bytes) -> str:
    """Tells two secrets apart without telling either."""
    return hashlib.blake2b(b"fingerprint", key=key[:64], digest_size=6).hexdigest()
