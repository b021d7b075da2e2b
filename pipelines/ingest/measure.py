"""Measure: a block of decoded requests becomes rows of one request each, in the shape that `requests` folds.

Belongs here: which field feeds which column. Works without Beam; the text itself is read in `texts`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.ingest.decode import ACCOUNT_ID, EVENT_ID, PROMPT, Decoded
from pipelines.ingest.fold import Rows
from pipelines.ingest.hashing import hash_fields, hash_spans, subkeys
from pipelines.ingest.networks import SLOT, cut_networks
from pipelines.ingest.quantise import Quantiser
from pipelines.ingest.requests import (
    FLAGS,
    SINGLE,
    SINGLE_INDEX,
    VALUES,
    Names,
    Requests,
    first_rows,
    fold_requests,
)
from pipelines.ingest.simd import kernel
from pipelines.ingest.texts import PromptMeasures, measure_prompts, measure_responses, text_keys
from pipelines.ingest.vectors import EMBEDDING_DOMAIN, VectorQuantiser, measure_vectors, no_cells
from schemas.account_hour import ELICITATION, PRESENCE, UNKNOWN_LENGTH, UNKNOWN_TIME
from schemas.request import FIELD_INDEX, FIELDS, MAX_ID_BYTES

_MINUTE_MS: Final = 60_000
NAME_BYTES: Final = 256

_HASHED: Final = {
    "system_prompts": "system_prompt",
    "tool_schemas": "tool_schema",
    "conversations": "conversation_id",
    "user_agents": "user_agent",
    "tls": "tls_fingerprint",
    "payments": "payment_fingerprint",
    "api_keys": "api_key_id",
}
"""Sketch: the field whose keyed hash it counts."""

_NAMED: Final = {
    "models": ("model", "model_names"),
    "endpoints": ("endpoint", "endpoint_names"),
    "orgs": ("org_id", "org_names"),
    "plans": ("plan", "plan_names"),
}
"""Sketch: the field whose keyed hash it counts, and the column that keeps its text."""

_LONG: Final = {"system_prompt": 1 << 20, "tool_schema": 1 << 20}
"""Fields that are longer than ids: how many of their bytes are hashed."""
_HASHES: Final = [
    *((sketch, field, _LONG.get(field, MAX_ID_BYTES)) for sketch, field in _HASHED.items()),
    *((sketch, field, NAME_BYTES) for sketch, (field, _) in _NAMED.items()),
]
_HASH_PLACES = np.array([SINGLE_INDEX[sketch] for sketch, _, _ in _HASHES], dtype=np.int64)
_HASH_FIELDS = np.array([FIELD_INDEX[field] for _, field, _ in _HASHES], dtype=np.int64)
_HASH_LIMITS = np.array([limit for _, _, limit in _HASHES], dtype=np.int64)

_PRESENCE_FIELDS = np.array([FIELD_INDEX[name] for name in PRESENCE], dtype=np.int64)
_PRESENCE_BITS = np.array([FLAGS.index(f"with_{name}") for name in PRESENCE], dtype=np.int64)
_ELICITATION_BITS = np.array([FLAGS.index(name) for name, _ in ELICITATION], dtype=np.int64)
_COUNT_BITS: Final = tuple(FLAGS.index(name) for name in ("failures", "throttles", "first_turns"))
_NUMBERS: Final = {
    "prompt_tokens": ("prompt_tokens", 1.0),
    "completion_tokens": ("completion_tokens", 1.0),
    "max_tokens": ("max_tokens", 1.0),
    "latency_ms": ("latency_ms", 1.0),
    "temperature_milli": ("temperature", 1000.0),
}
"""Value of a request: the field that it is read from, and its scale."""
_NUMBER_FIELDS = np.array([FIELD_INDEX[field] for field, _ in _NUMBERS.values()], dtype=np.int64)
_NUMBER_PLACES = np.array([VALUES.index(name) for name in _NUMBERS], dtype=np.int64)
_NUMBER_SCALES = np.array([scale for _, scale in _NUMBERS.values()])
_BYTES_PLACE: Final = VALUES.index("prompt_bytes")
_STATUS: Final = FIELD_INDEX["status"]
_COMPLETION: Final = FIELD_INDEX["completion_tokens"]


@dataclass(frozen=True)
class HashKeys:
    """SipHash keys per field, derived from the operator's secret. sketches: uint64[k, 2], in the order of _HASHES."""

    texts: NDArray[np.uint64]
    fields: dict[str, tuple[np.uint64, np.uint64]]
    sketches: NDArray[np.uint64]

    @classmethod
    def derive(cls, key: bytes) -> "HashKeys":
        return cls(
            text_keys(key),
            {name: subkeys(key, name) for name in (FIELDS[EVENT_ID].name, "client_ip", EMBEDDING_DOMAIN)},
            np.array([subkeys(key, field) for _, field, _ in _HASHES], dtype=np.uint64),
        )


@kernel
def _values_and_flags(
    kinds: NDArray[np.uint8],
    sizes: NDArray[np.int32],
    numbers: NDArray[np.float64],
    rows: NDArray[np.int64],
    elicited: NDArray[np.uint8],
    presence_fields: NDArray[np.int64],
    presence_bits: NDArray[np.int64],
    number_fields: NDArray[np.int64],
    number_places: NDArray[np.int64],
    number_scales: NDArray[np.float64],
    elicitation_bits: NDArray[np.int64],
    bits: tuple[int, int, int],
    fields: tuple[int, int, int],
    bytes_place: int,
    values: NDArray[np.int64],
    flags: NDArray[np.uint32],
) -> None:
    failures, throttles, first_turns = bits
    status, turn, prompt = fields
    one = np.uint32(1)
    for i in range(len(rows)):
        row = rows[i]
        word = np.uint32(0)
        for k in range(len(presence_fields)):
            if kinds[presence_fields[k], row] != 0:
                word |= one << np.uint32(presence_bits[k])
        for k in range(len(number_fields)):
            value = numbers[number_fields[k], row]
            if value == value:
                values[i, number_places[k]] = np.int64(np.floor(value * number_scales[k] + 0.5))
        for k in range(len(elicitation_bits)):
            if (elicited[i] >> k) & 1:
                word |= one << np.uint32(elicitation_bits[k])
        value = numbers[status, row]
        if value == 429.0:
            word |= one << np.uint32(throttles)
        elif value >= 400.0:
            word |= one << np.uint32(failures)
        if numbers[turn, row] == 0.0:
            word |= one << np.uint32(first_turns)
        if kinds[prompt, row] == 1:
            values[i, bytes_place] = sizes[prompt, row]
        flags[i] = word


@kernel
def _gather(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    limit: int,
    offsets: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> int:
    """Copy the present spans one behind the other, cut to `limit` bytes at a character boundary."""
    at = 0
    count = 0
    for i in range(len(rows)):
        row = rows[i]
        if kinds[row] != 1:
            continue
        begin = begins[row]
        size = sizes[row]
        if size > limit:
            size = limit
            while size > 0 and (buf[begin + size] & 0xC0) == 0x80:
                size -= 1
        for k in range(size):
            out[at + k] = buf[begin + k]
        at += size
        count += 1
        offsets[count] = at
    return at


def _strings(decoded: Decoded, field: int, rows: NDArray[np.int64], limit: int) -> pa.Array:
    """The present values of a text field as an Arrow string array (absent ones are left out)."""
    spans = decoded.spans
    sizes = spans.sizes[field][rows[spans.kinds[field][rows] == 1]]
    present = len(sizes)
    offsets = np.zeros(present + 1, dtype=np.int32)
    out = np.empty(int(np.minimum(sizes, limit).sum()), dtype=np.uint8)
    end = _gather(
        spans.text, spans.begins[field], spans.sizes[field], spans.kinds[field], rows, limit, offsets, out
    )
    return pa.StringArray.from_buffers(present, pa.py_buffer(offsets), pa.py_buffer(out[:end]))


def _hash_networks(out: NDArray[np.int64], decoded: Decoded, rows: NDArray[np.int64], keys: HashKeys) -> None:
    index = FIELD_INDEX["client_ip"]
    spans = decoded.spans
    begins = np.empty(len(rows), dtype=np.int64)
    sizes = np.empty(len(rows), dtype=np.int32)
    networks = np.zeros(SLOT * len(rows) + 8, dtype=np.uint8)
    cut_networks(
        spans.text, spans.begins[index], spans.sizes[index], spans.kinds[index], rows, begins, sizes, networks,
        np.zeros(12, dtype=np.int64),
    )  # fmt: skip
    kinds = spans.kinds[index][rows]
    out[:] = hash_spans(networks, begins, sizes, kinds, np.arange(len(rows)), 16, keys.fields["client_ip"])


def _names(decoded: Decoded, field: str, rows: NDArray[np.int64], hashes: NDArray[np.int64]) -> Names:
    """The text of each distinct hash."""
    first = np.empty(len(rows), dtype=np.int64)
    table = np.full(1 << int(2 * len(rows)).bit_length(), -1, dtype=np.int64)
    first = first[: first_rows(hashes, table, first)]
    return Names(hashes[first], _strings(decoded, FIELD_INDEX[field], rows[first], NAME_BYTES))


def _lengths(decoded: Decoded, rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """Bytes of each prompt, int32; UNKNOWN_LENGTH where there is none to go with an embedding."""
    spans = decoded.spans
    return np.where(spans.kinds[PROMPT][rows] == 1, spans.sizes[PROMPT][rows], np.int32(UNKNOWN_LENGTH))


def event_hashes(decoded: Decoded, rows: NDArray[np.int64], keys: HashKeys) -> NDArray[np.int64]:
    """Keyed hashes of the event ids of the given records, int64."""
    spans = decoded.spans
    return hash_spans(
        spans.text, spans.begins[EVENT_ID], spans.sizes[EVENT_ID], spans.kinds[EVENT_ID], rows, MAX_ID_BYTES,
        keys.fields[FIELDS[EVENT_ID].name],
    )  # fmt: skip


def measure(
    decoded: Decoded, rows: NDArray[np.int64], map_version: str, quantiser: Quantiser, keys: HashKeys
) -> Rows:
    """Fold the given valid records into one row per account and hour. Arguments as for `measure_requests`."""
    (folded,) = fold_requests([measure_requests(decoded, rows, map_version, quantiser, keys)])
    return folded


def measure_requests(
    decoded: Decoded, rows: NDArray[np.int64], map_version: str, quantiser: Quantiser, keys: HashKeys
) -> Requests:
    """Measure the given valid records.

    decoded: a block of n records; rows: int64[m], which of them count (valid and no repeats). quantiser: the
    prompt map of that version.
    """
    spans = decoded.spans
    prompts = measure_prompts(
        spans.text,
        spans.begins[PROMPT],
        spans.sizes[PROMPT],
        spans.kinds[PROMPT],
        rows,
        no_cells() if isinstance(quantiser, VectorQuantiser) else quantiser,
        keys.texts,
    )
    if decoded.vectors is not None:
        key = keys.fields[EMBEDDING_DOMAIN]
        measure_vectors(decoded.vectors, rows, quantiser, key, prompts.cell, prompts.prompt_hash)
    return _requests(decoded, rows, map_version, _without(prompts, _failed(decoded, rows)), keys)


def _failed(decoded: Decoded, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Calls that brought no answer, bool[len(rows)]: status 400 or more, and no token came back."""
    status, answered = decoded.numbers[_STATUS][rows], decoded.numbers[_COMPLETION][rows]
    failed: NDArray[np.bool_] = (status >= 400) & ~(answered > 0)
    return failed


def _without(prompts: PromptMeasures, failed: NDArray[np.bool_]) -> PromptMeasures:
    """What prompts tell of what was taken, without those of failed calls: nothing was, and the client asks again.

    Counted, that retry would look like a repeat, of which a list worked through has none. What prompts tell of
    intentions (elicitation) stays.
    """
    if not failed.any():
        return prompts
    for column in (prompts.cell, prompts.prompt_hash, prompts.opening, prompts.closing):
        column[failed] = -1
    lengths = np.diff(prompts.shingle_offsets)
    kept = np.repeat(~failed, lengths)
    offsets = np.concatenate(([0], np.cumsum(np.where(failed, 0, lengths)))).astype(np.int32)
    return prompts._replace(shingle_offsets=offsets, shingles=prompts.shingles[: len(kept)][kept])


def _requests(
    decoded: Decoded, rows: NDArray[np.int64], map_version: str, prompts: PromptMeasures, keys: HashKeys
) -> Requests:
    spans = decoded.spans
    values = np.zeros((len(rows), len(VALUES)), dtype=np.int64)
    flags = np.empty(len(rows), dtype=np.uint32)
    _values_and_flags(
        spans.kinds, spans.sizes, decoded.numbers, rows, prompts.elicited, _PRESENCE_FIELDS, _PRESENCE_BITS,
        _NUMBER_FIELDS, _NUMBER_PLACES, _NUMBER_SCALES, _ELICITATION_BITS, _COUNT_BITS,
        (_STATUS, FIELD_INDEX["turn_index"], PROMPT), _BYTES_PLACE, values, flags,
    )  # fmt: skip
    times = decoded.event_times[rows]
    created = decoded.created_times[rows]
    single = np.empty((len(SINGLE), len(rows)), dtype=np.int64)
    place = SINGLE_INDEX
    single[place["cells"]] = prompts.cell
    np.floor_divide(times, _MINUTE_MS, out=single[place["minutes"]])
    single[place["prompts"]] = prompts.prompt_hash
    single[place["openings"]] = prompts.opening
    single[place["closings"]] = prompts.closing
    _hash_networks(single[place["networks"]], decoded, rows, keys)
    hash_fields(
        spans.text, spans.begins, spans.sizes, spans.kinds, rows, _HASH_FIELDS, _HASH_LIMITS, keys.sketches,
        _HASH_PLACES, single,
    )  # fmt: skip
    names = {
        column: _names(decoded, field, rows, single[place[sketch]])
        for sketch, (field, column) in _NAMED.items()
    }
    response = FIELD_INDEX["response"]
    offsets, shingles = measure_responses(
        spans.text,
        spans.begins[response],
        spans.sizes[response],
        spans.kinds[response],
        rows,
        keys.texts,
    )
    return Requests(
        map_version,
        _strings(decoded, ACCOUNT_ID, rows, MAX_ID_BYTES),
        times,
        np.where(created < 0, UNKNOWN_TIME, created),
        values,
        flags,
        single,
        _lengths(decoded, rows),
        {
            "prompt_shingles": _kept(prompts.shingle_offsets, prompts.shingles),
            "response_shingles": _kept(offsets, shingles),
        },
        names,
    )


def _kept(
    offsets: NDArray[np.int32], shingles: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A copy, since the kernels ask for room that they hardly use."""
    return offsets.astype(np.int64), shingles[: int(offsets[-1])].copy()
