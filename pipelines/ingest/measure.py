"""Measure: a block of decoded requests becomes rows of one request each, in the shape that `fold` merges.

Belongs here: which field feeds which column. Works without Beam; the text itself is read in `texts`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.ingest.decode import ACCOUNT_ID, EVENT_ID, PROMPT, Decoded
from pipelines.ingest.fold import SUM_INDEX, SUMS, Entries, Rows, fold, ordered_dictionary
from pipelines.ingest.hashing import hash_spans, subkeys
from pipelines.ingest.networks import SLOT, cut_networks
from pipelines.ingest.simd import kernel
from pipelines.ingest.texts import PromptMeasures, Quantiser, measure_prompts, measure_responses, text_keys
from schemas.account_hour import ELICITATION, PRESENCE, UNKNOWN_TIME
from schemas.request import FIELD_INDEX, FIELDS, MAX_ID_BYTES

_HOUR_MS: Final = 3_600_000
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

_PRESENCE_FIELDS = np.array([FIELD_INDEX[name] for name in PRESENCE], dtype=np.int64)
_PRESENCE_COLUMNS = np.array([SUM_INDEX[f"with_{name}"] for name in PRESENCE], dtype=np.int64)
_ELICITATION_COLUMNS = np.array([SUM_INDEX[name] for name, _ in ELICITATION], dtype=np.int64)
_NUMBER_FIELDS = np.array(
    [
        FIELD_INDEX[name]
        for name in ("prompt_tokens", "completion_tokens", "max_tokens", "latency_ms", "temperature")
    ]
)
_NUMBER_COLUMNS = np.array(
    [
        SUM_INDEX[name]
        for name in ("prompt_tokens", "completion_tokens", "max_tokens", "latency_ms", "temperature_milli")
    ]
)
_NUMBER_SCALES = np.array([1.0, 1.0, 1.0, 1.0, 1000.0])
_COUNT_COLUMNS = tuple(
    SUM_INDEX[n] for n in ("requests", "failures", "throttles", "first_turns", "prompt_bytes")
)


@dataclass(frozen=True)
class HashKeys:
    """SipHash keys per field, derived from the operator's secret."""

    texts: NDArray[np.uint64]
    fields: dict[str, tuple[np.uint64, np.uint64]]

    @classmethod
    def derive(cls, key: bytes) -> "HashKeys":
        names = ("event_id", "client_ip", *_HASHED.values(), *(field for field, _ in _NAMED.values()))
        return cls(text_keys(key), {name: subkeys(key, name) for name in names})


@kernel
def _sums(
    kinds: NDArray[np.uint8],
    sizes: NDArray[np.int32],
    numbers: NDArray[np.float64],
    rows: NDArray[np.int64],
    elicited: NDArray[np.uint8],
    presence_fields: NDArray[np.int64],
    presence_columns: NDArray[np.int64],
    number_fields: NDArray[np.int64],
    number_columns: NDArray[np.int64],
    number_scales: NDArray[np.float64],
    elicitation_columns: NDArray[np.int64],
    columns: tuple[int, int, int, int, int],
    fields: tuple[int, int, int],
    out: NDArray[np.int64],
) -> None:
    requests, failures, throttles, first_turns, prompt_bytes = columns
    status, turn, prompt = fields
    for i in range(len(rows)):
        row = rows[i]
        out[i, requests] = 1
        for k in range(len(presence_fields)):
            out[i, presence_columns[k]] = 1 if kinds[presence_fields[k], row] != 0 else 0
        for k in range(len(number_fields)):
            value = numbers[number_fields[k], row]
            if value == value:
                out[i, number_columns[k]] = np.int64(np.floor(value * number_scales[k] + 0.5))
        for k in range(len(elicitation_columns)):
            out[i, elicitation_columns[k]] = (elicited[i] >> k) & 1
        value = numbers[status, row]
        if value == 429.0:
            out[i, throttles] = 1
        elif value >= 400.0:
            out[i, failures] = 1
        if numbers[turn, row] == 0.0:
            out[i, first_turns] = 1
        if kinds[prompt, row] == 1:
            out[i, prompt_bytes] = sizes[prompt, row]


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
    present = int((spans.kinds[field][rows] == 1).sum())
    offsets = np.zeros(present + 1, dtype=np.int32)
    out = np.empty(int(np.minimum(spans.sizes[field][rows], limit).sum()), dtype=np.uint8)
    end = _gather(
        spans.text, spans.begins[field], spans.sizes[field], spans.kinds[field], rows, limit, offsets, out
    )
    return pa.StringArray.from_buffers(present, pa.py_buffer(offsets), pa.py_buffer(out[:end]))


def _hashed(
    decoded: Decoded, field: str, rows: NDArray[np.int64], keys: HashKeys, limit: int
) -> NDArray[np.int64]:
    index = FIELD_INDEX[field]
    spans = decoded.spans
    out = np.empty(len(rows), dtype=np.int64)
    hash_spans(
        spans.text,
        spans.begins[index],
        spans.sizes[index],
        spans.kinds[index],
        rows,
        limit,
        *keys.fields[field],
        out,
    )
    return out


def _network_hashes(decoded: Decoded, rows: NDArray[np.int64], keys: HashKeys) -> NDArray[np.int64]:
    index = FIELD_INDEX["client_ip"]
    spans = decoded.spans
    begins = np.empty(len(rows), dtype=np.int64)
    sizes = np.empty(len(rows), dtype=np.int32)
    networks = np.zeros(SLOT * len(rows) + 8, dtype=np.uint8)
    cut_networks(
        spans.text,
        spans.begins[index],
        spans.sizes[index],
        spans.kinds[index],
        rows,
        begins,
        sizes,
        networks,
        np.zeros(12, dtype=np.int64),
    )
    out = np.empty(len(rows), dtype=np.int64)
    kinds = spans.kinds[index][rows]
    hash_spans(networks, begins, sizes, kinds, np.arange(len(rows)), 16, *keys.fields["client_ip"], out)
    return out


def _single(
    keys: NDArray[np.int64], payloads: dict[str, NDArray[np.int32] | pa.Array] | None = None
) -> Entries:
    """A sketch whose row i holds keys[i], or nothing where that is negative. Payloads: for the kept keys only."""
    kept = keys >= 0
    offsets = np.zeros(len(keys) + 1, dtype=np.int64)
    np.cumsum(kept, out=offsets[1:])
    chosen = keys[kept]
    return Entries(offsets, chosen, np.ones(len(chosen), dtype=np.int64), payloads or {})


def _shingled(offsets: NDArray[np.int32], shingles: NDArray[np.int64]) -> Entries:
    kept = shingles[: int(offsets[-1])]
    return Entries(offsets.astype(np.int64), kept, np.ones(len(kept), dtype=np.int64), {})


def event_hashes(decoded: Decoded, rows: NDArray[np.int64], keys: HashKeys) -> NDArray[np.int64]:
    """Keyed hashes of the event ids of the given records, int64."""
    return _hashed(decoded, FIELDS[EVENT_ID].name, rows, keys, MAX_ID_BYTES)


def measure(
    decoded: Decoded, rows: NDArray[np.int64], map_version: str, quantiser: Quantiser, keys: HashKeys
) -> Rows:
    """Fold the given valid records into one row per account and hour.

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
        quantiser,
        keys.texts,
    )
    return fold(_requests(decoded, rows, map_version, prompts, keys), is_raw=True)


def _requests(
    decoded: Decoded, rows: NDArray[np.int64], map_version: str, prompts: PromptMeasures, keys: HashKeys
) -> Rows:
    spans = decoded.spans
    sums = np.zeros((len(rows), len(SUMS)), dtype=np.int64)
    _sums(
        spans.kinds, spans.sizes, decoded.numbers, rows, prompts.elicited, _PRESENCE_FIELDS, _PRESENCE_COLUMNS,
        _NUMBER_FIELDS, _NUMBER_COLUMNS, _NUMBER_SCALES, _ELICITATION_COLUMNS, _COUNT_COLUMNS,
        (FIELD_INDEX["status"], FIELD_INDEX["turn_index"], PROMPT), sums,
    )  # fmt: skip
    times = decoded.event_times[rows]
    created = decoded.created_times[rows]
    response = FIELD_INDEX["response"]
    sampled = prompts.prompt_hash >= 0
    sketches = {
        "cells": _single(prompts.cell.astype(np.int64)),
        "minutes": _single(times // _MINUTE_MS),
        "prompts": _single(
            prompts.prompt_hash,
            {"prompt_cells": prompts.cell[sampled], "prompt_lengths": spans.sizes[PROMPT][rows][sampled]},
        ),
        "prompt_shingles": _shingled(prompts.shingle_offsets, prompts.shingles),
        "response_shingles": _shingled(
            *measure_responses(
                spans.text,
                spans.begins[response],
                spans.sizes[response],
                spans.kinds[response],
                rows,
                keys.texts,
            )
        ),
        "openings": _single(prompts.opening),
        "closings": _single(prompts.closing),
        "networks": _single(_network_hashes(decoded, rows, keys)),
    }
    for sketch, field in _HASHED.items():
        limit = 1 << 20 if field in ("system_prompt", "tool_schema") else MAX_ID_BYTES
        sketches[sketch] = _single(_hashed(decoded, field, rows, keys, limit))
    for sketch, (field, column) in _NAMED.items():
        hashes = _hashed(decoded, field, rows, keys, NAME_BYTES)
        names = _strings(decoded, FIELD_INDEX[field], rows, NAME_BYTES).dictionary_encode()
        sketches[sketch] = _single(hashes, {column: names})
    accounts, codes = ordered_dictionary(_strings(decoded, ACCOUNT_ID, rows, MAX_ID_BYTES))
    return Rows(
        map_version,
        accounts,
        codes,
        (times // _HOUR_MS).astype(np.int32),
        sums,
        times,
        times,
        np.where(created < 0, UNKNOWN_TIME, created),
        sketches,
    )
