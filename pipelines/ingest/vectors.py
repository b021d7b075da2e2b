"""The numbers of `prompt_embedding`: read from the JSON text, checked, hashed and put into cells, compiled.

Belongs here: what is particular to vectors. Which records are valid otherwise is `decode`; how a map for vectors
is fitted is `pipelines.prompt_map.fit_embeddings`.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.hashing import hash_spans
from pipelines.ingest.quantise import Quantiser, Tables, Vectors16, find_cells, scale_to_one, zeros
from pipelines.ingest.simd import kernel, weighted_sum_64, word_at
from pipelines.prompt_map.tokens import BUCKETS

WRONG_TYPE, OUT_OF_RANGE, WRONG_LENGTH, ALL_ZERO, _INEXACT = range(1, 6)
PROBLEMS: Final = {
    WRONG_TYPE: "wrong type (an array of numbers is wanted)",
    OUT_OF_RANGE: "number out of range of float32",
    WRONG_LENGTH: "wrong length (empty, or not that of the prompt map in use)",
    ALL_ZERO: "all numbers are zero",
}
EMBEDDING_DOMAIN: Final = "prompt_embedding"
"""Of the key that vectors are hashed with."""
_LOWEST_POWER: Final = -70
_POWERS: Final = np.array([float(f"1e{k}") for k in range(_LOWEST_POWER, 41)], dtype=np.float64)
_HASH_PADDING: Final = 2
"""Numbers behind the last one, since SipHash loads eight bytes at a time."""


@dataclass(frozen=True)
class Vectors:
    """Embeddings of n records, one behind the other.

    values: float32[m]; begins: int64[n], -1 where a record has none; lengths: int32[n]. Zero is always positive, so
    equal vectors have equal bytes.
    """

    values: NDArray[np.float32]
    begins: NDArray[np.int64]
    lengths: NDArray[np.int32]

    def take(self, row: int) -> NDArray[np.float32]:
        """The vector of a record that has one."""
        begin = int(self.begins[row])
        return self.values[begin : begin + int(self.lengths[row])]


@dataclass(frozen=True)
class VectorQuantiser(Quantiser):
    """A quantiser of embeddings of one length.

    projection: float32[length, d], applied to the vector scaled to length 1. bias: float32[d], subtracted from the
    result, which is the mean of the sample. The rest as for prompts.
    """

    bias: NDArray[np.float32]


@cache
def no_cells() -> Quantiser:
    """A quantiser that knows no word, and so gives no prompt a cell."""
    return Quantiser(
        zeros((BUCKETS, 64)), np.zeros((64, 32), np.float32), np.zeros(32, np.float32),
        np.zeros((32, 64, 32), np.float32), np.zeros((32, 32), np.float32),
    )  # fmt: skip


def embedding_length(quantiser: Quantiser) -> int:
    """Numbers that a map in use wants of every embedding; 0 where it takes none or is of prompts."""
    return len(quantiser.projection) if isinstance(quantiser, VectorQuantiser) else 0


@kernel
def _number(buf: NDArray[np.uint8], at: int, powers: NDArray[np.float64]) -> tuple[int, float, bool]:
    """Read a JSON number that the scanner has passed. Returns (position behind it, value rounded to double and
    then to float32, is it sure).

    Of the first 19 digits w and the power of ten e, w * 10^e in doubles is off by less than 2^-51 of the value, in
    all: where both ends of that interval round to one float32, rounding being monotone, so does what is between
    (Clinger 1990 gives the exact path for the rest; what it does not cover is left to the caller, 2^-25 of numbers).
    """
    negative = buf[at] == 45
    if negative:
        at += 1
    w = np.uint64(0)
    digits = np.int64(0)
    power = np.int64(0)
    dropped = False
    while 48 <= buf[at] <= 57:
        if digits < 19:
            w = w * np.uint64(10) + np.uint64(buf[at] - 48)
            if w != 0:
                digits += 1
        else:
            power += 1
            dropped = True
        at += 1
    if buf[at] == 46:
        at += 1
        if w == 0:
            while buf[at] == 48:
                power -= 1
                at += 1
        while digits < 11:
            # Eight digits at once (Lemire 2021, "Number parsing at a gigabyte per second").
            word = word_at(buf, at)
            part = word - np.uint64(0x3030303030303030)
            if ((word + np.uint64(0x4646464646464646)) | part) & np.uint64(0x8080808080808080):
                break
            part = part * np.uint64(10) + (part >> np.uint64(8))
            part = (
                (part & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
                + ((part >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
            ) >> np.uint64(32)
            w = w * np.uint64(100_000_000) + part
            digits += 8
            power -= 8
            at += 8
        while 48 <= buf[at] <= 57:
            if digits < 19:
                w = w * np.uint64(10) + np.uint64(buf[at] - 48)
                digits += 1
                power -= 1
            else:
                dropped = True
            at += 1
    if buf[at] == 101 or buf[at] == 69:
        at += 1
        down = buf[at] == 45
        if down or buf[at] == 43:
            at += 1
        shift = np.int64(0)
        while 48 <= buf[at] <= 57:
            if shift < 100_000_000:
                shift = shift * 10 + np.int64(buf[at] - 48)
            at += 1
        power += -shift if down else shift
    if w == 0 or power < -70:
        return at, 0.0, True
    if power > 40:
        return at, np.inf, True
    near = np.float64(w) * powers[power + 70]
    low = np.float32(near * (1.0 - 2.0**-50))
    high = np.float32(near * (1.0 + 2.0**-50))
    sure = low == high
    if not sure and not dropped and w < np.uint64(1 << 53) and -22 <= power <= 22:
        exact = np.float64(w) / powers[70 - power] if power < 0 else np.float64(w) * powers[70 + power]
        low = np.float32(exact)
        sure = True
    value = np.float64(low)
    if value == 0.0:
        return at, 0.0, sure
    return at, -value if negative else value, sure


@kernel
def _space(buf: NDArray[np.uint8], at: int) -> int:
    while buf[at] == 32 or buf[at] == 10 or buf[at] == 13 or buf[at] == 9:
        at += 1
    return at


@kernel
def _read(
    buf: NDArray[np.uint8],
    spans: NDArray[np.int64],
    rows: NDArray[np.int64],
    wanted: int,
    powers: NDArray[np.float64],
    values: NDArray[np.float32],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int32],
    problems: NDArray[np.uint8],
) -> None:
    end = 0
    for i in range(len(rows)):
        at = _space(buf, spans[rows[i]] + 1)
        begin = end
        problem = 0
        is_zero = True
        sure = True
        while buf[at] != 93:
            if buf[at] != 45 and not 48 <= buf[at] <= 57:
                problem = 1
                break
            at, value, is_sure = _number(buf, at, powers)
            sure &= is_sure
            values[end] = value
            end += 1
            if value != 0.0:
                is_zero = False
                if value - value != 0.0:
                    problem = 2
                    if is_sure:
                        break
            if buf[at] != 44:
                at = _space(buf, at)
            if buf[at] == 44:
                at += 1
                if buf[at] <= 32:
                    at = _space(buf, at)
        length = end - begin
        if problem != 1 and not sure:
            problem = 5
        elif problem == 0 and (length == 0 or (wanted > 0 and length != wanted)):
            problem = 3
        elif problem == 0 and is_zero:
            problem = 4
        problems[i] = problem
        if problem == 0 or problem == 5:
            begins[rows[i]] = begin
            lengths[rows[i]] = length
        else:
            end = begin


def read_vectors(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    rows: NDArray[np.int64],
    wanted: int,
) -> tuple[Vectors, NDArray[np.uint8]]:
    """Read the arrays of the given rows, whose JSON the scanner has passed.

    buf: text with padding. begins, sizes: spans of the field over the block. wanted: length that each must have;
    0 for any. Returns the vectors of the n records of the block, and what is wrong with each row (PROBLEMS; 0 =
    nothing). A number is rounded to double and then to float32, as any JSON library and numpy do.
    """
    # Every number but the last takes at least two bytes; pages that are not written cost nothing.
    values = np.empty(int((sizes[rows] // 2 + 1).sum()) + _HASH_PADDING, dtype=np.float32)
    found = Vectors(values, np.full(len(begins), -1, dtype=np.int64), np.zeros(len(begins), dtype=np.int32))
    problems = np.zeros(len(rows), dtype=np.uint8)
    _read(buf, begins, rows, wanted, _POWERS, values, found.begins, found.lengths, problems)
    for i in np.flatnonzero(problems == _INEXACT).tolist():
        row = int(rows[i])
        text = buf[int(begins[row]) : int(begins[row]) + int(sizes[row])].tobytes()
        problems[i] = _read_exactly(text, found.take(row), wanted)
        if problems[i]:
            found.begins[row] = -1
    return found, problems


def _read_exactly(text: bytes, out: NDArray[np.float32], wanted: int) -> int:
    """The slow way: numbers so near the middle between two float32 that doubles cannot tell."""
    exact = np.array(json.loads(text, parse_int=float), dtype=np.float64)
    with np.errstate(over="ignore"):
        out[:] = exact.astype(np.float32) + np.float32(0.0)
    if not np.isfinite(out).all():
        return OUT_OF_RANGE
    if wanted and len(out) != wanted:
        return WRONG_LENGTH
    return 0 if out.any() else ALL_ZERO


@kernel
def _cells(
    values: NDArray[np.float32],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int32],
    rows: NDArray[np.int64],
    tables: Tables,
    bias: NDArray[np.float32],
    places: NDArray[np.int32],
    weights: NDArray[np.float32],
    held: Vectors16,
    cell: NDArray[np.int32],
) -> None:
    for first in range(0, len(rows), 16):
        end = min(first + 16, len(rows))
        for i in range(first, end):
            vector = held.vectors[i - first]
            begin = begins[rows[i]]
            size = np.int64(lengths[rows[i]])
            cell[i] = -1
            if begin < 0 or size != len(tables.projection):
                continue
            square = 0.0
            for k in range(size):
                square += np.float64(values[begin + k]) * np.float64(values[begin + k])
            scale = 1.0 / np.sqrt(square)
            for k in range(size):
                weights[k] = np.float32(np.float64(values[begin + k]) * scale)
            for d in range(64):
                vector[d] = -bias[d]
            weighted_sum_64(tables.projection, places, weights, size, vector)
            if scale_to_one(vector):
                cell[i] = 0
        find_cells(held, tables)
        for i in range(first, end):
            if cell[i] == 0:
                cell[i] = held.cells[i - first]


def vector_cells(vectors: Vectors, rows: NDArray[np.int64], quantiser: VectorQuantiser) -> NDArray[np.int32]:
    """Cell of each row's vector, int32[len(rows)]; -1 without one of the map's length, or at the map's mean."""
    out = np.empty(len(rows), dtype=np.int32)
    length = len(quantiser.projection)
    _cells(
        vectors.values, vectors.begins, vectors.lengths, rows, quantiser.tables, quantiser.bias,
        np.arange(length, dtype=np.int32), np.empty(length, np.float32), Vectors16.new(), out,
    )  # fmt: skip
    return out


def vector_hashes(
    vectors: Vectors, rows: NDArray[np.int64], key: tuple[np.uint64, np.uint64]
) -> NDArray[np.int64]:
    """Keyed hash of the bytes of each row's vector, int64[len(rows)]; -1 without one. Only vectors that are equal
    to the bit have equal hashes: two answers of an embedding service to one prompt may differ in the last place."""
    held = (vectors.begins >= 0).astype(np.uint8)
    sizes = 4 * vectors.lengths
    limit = int(sizes.max(initial=0))
    return hash_spans(vectors.values.view(np.uint8), 4 * vectors.begins, sizes, held, rows, limit, key)


def measure_vectors(
    vectors: Vectors,
    rows: NDArray[np.int64],
    quantiser: Quantiser,
    key: tuple[np.uint64, np.uint64],
    cell: NDArray[np.int32],
    identity: NDArray[np.int64],
) -> None:
    """Fill in what the text did not give: the cells, where the map is one of embeddings, and the identity of prompts
    that have none. cell, identity: int32 and int64 of the length of rows."""
    if isinstance(quantiser, VectorQuantiser):
        cell[:] = vector_cells(vectors, rows, quantiser)
    nameless = np.flatnonzero(identity < 0)
    identity[nameless] = vector_hashes(vectors, rows[nameless], key)
