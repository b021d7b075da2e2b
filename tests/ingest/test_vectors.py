"""Embeddings: numbers against json and numpy, what is rejected, cells and identities against plain versions."""

import json
import random
import struct
from collections.abc import Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.ingest.decode import Decoded, decode, reason
from pipelines.ingest.fold import Rows
from pipelines.ingest.hashing import hash_bytes
from pipelines.ingest.measure import HashKeys, measure
from pipelines.ingest.simd import PADDING
from pipelines.ingest.vectors import EMBEDDING_DOMAIN, VectorQuantiser, read_vectors
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import FittedMap
from pipelines.prompt_map.fit_embeddings import fit_embeddings
from schemas.account_hour import UNKNOWN_LENGTH
from tests.ingest.lakes import new_lake, rejects, run
from tests.ingest.lakes import rows as hours
from tests.ingest.records import NOON, NOW, block, lines, log, record

LENGTH = 24
Floats = NDArray[np.float32]


def read(numbers: Sequence[str], wanted: int = 0, separator: str = ",") -> tuple[Floats, int]:
    """The numbers of one array, and what is wrong with it."""
    text = f"[{separator.join(numbers)}]".encode()
    buf = np.frombuffer(bytearray(text + bytes(PADDING)), dtype=np.uint8)
    spans = np.zeros(1, dtype=np.int64), np.array([len(text)], dtype=np.int32)
    vectors, problems = read_vectors(buf, *spans, np.zeros(1, dtype=np.int64), wanted)
    return vectors.take(0), int(problems[0])


def as_numpy(numbers: Sequence[str]) -> Floats:
    """What json and numpy make of them; zero is always positive."""
    doubles: Any = json.loads(f"[{','.join(numbers)}]", parse_int=float)
    return np.array(doubles, dtype=np.float64).astype(np.float32) + np.float32(0)


def same(numbers: Sequence[str]) -> None:
    found, problem = read(numbers)
    assert problem == 0
    np.testing.assert_array_equal(found.view(np.int32), as_numpy(numbers).view(np.int32))


def float32_of(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def any_float32(rng: random.Random) -> float:
    """By its bits: every magnitude, subnormal ones too."""
    while True:
        value = float32_of(rng.getrandbits(32))
        if abs(value) < 3e38:
            return value


def written(kind: str, rng: random.Random) -> str:
    if kind == "double":
        return repr(rng.gauss(0, 0.05))
    if kind == "float32":
        return str(np.float32(rng.gauss(0, 0.05)))
    if kind == "float32 as double":
        return repr(float(np.float32(rng.gauss(0, 0.05))))
    if kind == "any bits":
        return repr(any_float32(rng))
    if kind == "exponents":
        return f"{rng.gauss(0, 1) * 10.0 ** rng.randint(-50, 37):.{rng.randint(0, 30)}{rng.choice('eE')}}"
    if kind == "integers":
        return str(rng.randint(-(10 ** rng.randint(1, 38)), 10 ** rng.randint(1, 38)))
    zeros = "0" * rng.randint(0, 60), "0" * rng.randint(0, 20)
    return f"{rng.choice(['', '-'])}0.{zeros[0]}{rng.randint(1, 10 ** rng.randint(1, 40))}{zeros[1]}"


@pytest.mark.parametrize(
    "kind", ["double", "float32", "float32 as double", "any bits", "exponents", "integers", "zeros"]
)
def test_numbers_as_json_and_numpy_read_them(kind: str) -> None:
    rng = random.Random(kind)
    same([written(kind, rng) for _ in range(20_000)])


def test_middles_between_two_float32_and_their_surroundings() -> None:
    rng = random.Random(3)
    numbers = []
    with localcontext(prec=200):
        for _ in range(2_000):
            low = np.float32(any_float32(rng))
            middle = (Decimal(float(low)) + Decimal(float(np.nextafter(low, np.float32(np.inf))))) / 2
            off = Decimal(rng.choice([-1, 1])).scaleb(-rng.randint(14, 60))
            numbers += [f"{middle:e}", f"{middle * (1 + off):.150e}"]
            if 1e-30 < abs(middle) < 1e20:
                numbers.append(f"{middle:f}")
    same(numbers)


@given(st.lists(st.floats(width=64, min_value=-3e38, max_value=3e38), min_size=1).filter(any))
def test_any_doubles(values: list[float]) -> None:
    numbers = [repr(value) for value in values]
    found, problem = read(numbers)
    assert problem in (0, 4)
    if problem == 0:
        np.testing.assert_array_equal(found, as_numpy(numbers))


def test_edges() -> None:
    same(["1", "-0", "0", "-0.0", "0e5", "1e-400", "-1e-400", "1e-46", "7.006492321624085e-46", "7.1e-46"])
    same(["3.4028235e38", "1.17549435e-38", "0.1e1", "123456789012345678901234567890e-30", "1e+2"])
    same(["0." + "0" * 5_000 + "1e5001", "1" * 39, "1." + "0" * 3_000 + "1"])
    assert read(["1", "2.5"], separator=" ,\t\n ")[0].tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    "number", ["1e39", "-1e39", "3.4028236e38", "3.4028235677973366e38", "1e999999999999", "9" * 5_000]
)
def test_beyond_float32(number: str) -> None:
    assert read([number, "1"])[1] == 2


def without_prompt(index: int, vector: Any) -> dict[str, Any]:
    plain = record(random.Random(index), index)
    del plain["prompt"]
    return plain | {"prompt_embedding": vector}


def decoded(records: list[dict[str, Any]], length: int = 0) -> Decoded:
    return decode(block(lines(records)), NOW, embedding_length=length)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ([], "prompt_embedding: wrong length (empty, or not that of the prompt map in use)"),
        ([0.0, -0.0, 0], "prompt_embedding: all numbers are zero"),
        ([1e-60, 0, 0], "prompt_embedding: all numbers are zero"),
        ([1, "x"], "prompt_embedding: wrong type (an array of numbers is wanted)"),
        ([None, 1], "prompt_embedding: wrong type (an array of numbers is wanted)"),
        ([[1, 2]], "prompt_embedding: wrong type (an array of numbers is wanted)"),
        ([1, {"a": [2]}], "prompt_embedding: wrong type (an array of numbers is wanted)"),
        ([1e39, 1.0], "prompt_embedding: number out of range of float32"),
        ([float("nan")] * 2, "invalid JSON"),
    ],
)
def test_what_is_rejected(vector: Any, words: str) -> None:
    found = decoded([without_prompt(0, [1, 2]), without_prompt(1, vector), without_prompt(2, [3, 4.5])])
    assert [reason(int(error)) if error else "" for error in found.errors] == ["", words, ""]
    assert found.vectors is not None
    assert found.vectors.begins[1] == -1
    assert found.vectors.take(2).tolist() == [3, 4.5]


def test_a_map_in_use_wants_its_own_length() -> None:
    records = [without_prompt(i, [0.5] * length) for i, length in enumerate((1, 2, 3))]
    assert (decoded(records, 2).errors != 0).tolist() == [True, False, True]
    assert (decoded(records, 0).errors != 0).tolist() == [False, False, False]


def test_a_broken_embedding_is_rejected_even_beside_a_prompt() -> None:
    records = [
        record(random.Random(1), 0) | {"prompt_embedding": vector} for vector in ([1, 2], [0, 0], None)
    ]
    assert (decoded(records).errors != 0).tolist() == [False, True, False]


def embeddings(seed: int, count: int, length: int = LENGTH) -> Floats:
    """Points around a few centres, off the origin."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 1, (40, length))
    points = centres[rng.integers(0, 40, count)] + rng.normal(0, 0.4, (count, length)) + 0.7
    return points.astype(np.float32)


@pytest.fixture(scope="module")
def vector_map() -> FittedMap:
    return fit_embeddings(embeddings(1, 2_500))


def vector_log(seed: int, size: int, spare_prompts: bool = True) -> list[dict[str, Any]]:
    """Records with embeddings, a fifth of which repeats an earlier one; some with a prompt too, some with only that."""
    rng = random.Random(seed)
    vectors = embeddings(seed, size)
    out = []
    for index, each in enumerate(log(seed, size)):
        vector = vectors[rng.randrange(index) if index and rng.random() < 0.2 else index]
        kind = rng.random()
        if kind < 0.9 or not spare_prompts:
            each = each | {"prompt_embedding": [float(x) for x in vector]}
        if kind < 0.7:
            del each["prompt"]
        out.append(each)
    return out


def plain_cell(vector: Floats, fitted: FittedMap) -> int:
    """In double precision, one centroid after another."""
    quantiser = fitted.quantiser
    assert isinstance(quantiser, VectorQuantiser)
    unit = vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64))
    point = unit @ quantiser.projection.astype(np.float64) - quantiser.bias
    point /= np.linalg.norm(point)
    topic = int(np.argmin([np.linalg.norm(point - centre) for centre in quantiser.topics.T]))
    return topic * 32 + int(np.argmin([np.linalg.norm(point - c) for c in quantiser.cells[topic].T]))


def test_cells_as_a_plain_version_puts_them(vector_map: FittedMap, keys: HashKeys) -> None:
    records = [
        without_prompt(i, v.tolist()) | {"account_id": "a", "event_time": NOON}
        for i, v in enumerate(embeddings(5, 400))
    ]
    found = decoded(records, LENGTH)
    rows = measure(found, found.valid, "test", vector_map.quantiser, keys)
    cells = rows.sketches["cells"]
    expected: dict[int, int] = {}
    for each in records:
        cell = plain_cell(np.array(each["prompt_embedding"], dtype=np.float32), vector_map)
        expected[cell] = expected.get(cell, 0) + 1
    assert dict(zip(cells.keys.tolist(), cells.counts.tolist(), strict=True)) == expected
    assert len(expected) > 100


def plain_identity(vector: Floats, keys: HashKeys) -> int:
    return hash_bytes((vector + np.float32(0)).tobytes(), keys.fields[EMBEDDING_DOMAIN])


def prompts_of(rows: Rows) -> list[tuple[int, int, int, int]]:
    entries = rows.sketches["prompts"]
    return list(
        zip(
            entries.keys.tolist(), entries.counts.tolist(),
            entries.payloads["prompt_cells"].tolist(), entries.payloads["prompt_lengths"].tolist(), strict=True,
        )
    )  # fmt: skip


def test_identity_is_that_of_the_text_or_of_the_bytes_of_the_vector(
    vector_map: FittedMap, keys: HashKeys
) -> None:
    one, two = embeddings(6, 2)
    other = one.copy()
    other[3] = np.nextafter(other[3], np.float32(9))
    base = {"account_id": "a", "event_time": NOON}
    shown = [one, one, two, other]
    records = [without_prompt(i, v.tolist()) | base for i, v in enumerate(shown)]
    with_text = (
        record(random.Random(9), 9)
        | base
        | {"prompt": "a prompt of its own", "prompt_embedding": one.tolist()}
    )
    found = decoded(
        [*records, with_text, with_text | {"event_id": "again", "prompt_embedding": None}], LENGTH
    )
    rows = measure(found, found.valid, "test", vector_map.quantiser, keys)
    by_hash = {hashed: (count, cell, length) for hashed, count, cell, length in prompts_of(rows)}
    assert by_hash[plain_identity(one, keys)] == (2, plain_cell(one, vector_map), UNKNOWN_LENGTH)
    assert by_hash[plain_identity(two, keys)][0] == 1
    assert by_hash[plain_identity(other, keys)][0] == 1
    (text,) = [entry for entry in by_hash.values() if entry[2] != UNKNOWN_LENGTH]
    assert (text[0], text[2]) == (2, len("a prompt of its own"))


def test_a_map_of_prompts_puts_no_embedding_into_a_cell(fitted: FittedMap, keys: HashKeys) -> None:
    found = decoded([without_prompt(0, [1.0, 2.0]), without_prompt(1, [1.0, 2.0, 3.0])])
    assert found.errors.tolist() == [0, 0]
    rows = measure(found, found.valid, "test", fitted.quantiser, keys)
    assert len(rows.sketches["cells"].keys) == 0
    assert len(rows.sketches["prompts"].keys) == 2


@settings(max_examples=15)
@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_the_same_in_any_order_and_slicing(
    vector_map: FittedMap, keys: HashKeys, rng: random.Random, parts: int
) -> None:
    from pipelines.ingest.fold import concat, fold, to_arrow

    records = vector_log(11, 120)

    def rows(chosen: list[dict[str, Any]]) -> Rows:
        found = decoded(chosen, LENGTH)
        assert not found.errors.any()
        return measure(found, found.valid, "test", vector_map.quantiser, keys)

    whole = to_arrow(fold(rows(records)))
    rng.shuffle(records)
    pieces = [rows(records[k::parts]) for k in range(parts)]
    assert to_arrow(fold(concat(pieces))).equals(whole)


def test_a_lake_of_embeddings_fits_its_own_map(tmp_path: Path) -> None:
    records = vector_log(21, 3_200, spare_prompts=False)
    broken = [without_prompt(10_000, [1.0] * (LENGTH - 1)), without_prompt(10_001, [0.0] * LENGTH)]
    forward, backward = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    forward.write_bytes(lines([*records, *broken]))
    backward.write_bytes(lines(records[::-1]))
    lakes = [new_lake(tmp_path / name) for name in ("one", "two")]
    run(lakes[0], str(forward), slice_bytes=100_000, threads=2)
    run(lakes[1], str(backward), slice_bytes=10_000_000)
    assert hours(lakes[0]).equals(hours(lakes[1]))
    versions = set(hours(lakes[0])["map_version"].to_pylist())
    assert versions == {store.current(lakes[0].path)}
    held = store.load(lakes[0].path, versions.pop())
    assert (held.kind, len(held.quantiser.projection)) == ("embedding", LENGTH)
    assert min(min(cells) for cells in hours(lakes[0])["prompt_cells"].to_pylist() if cells) >= 0
    assert [r["position"].rsplit(":", 1)[1] for r in rejects(lakes[0])] == ["3201", "3202"]
    assert "prompt_embedding: wrong length" in rejects(lakes[0])[0]["reason"]
