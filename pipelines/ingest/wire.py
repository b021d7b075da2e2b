"""Folded rows as bytes that cross the shuffle: Arrow, each number in as few bytes as it needs.

One list per sketch (of key, count and what goes with the key), while the lake's tables have a list column for
each: a third of the size, and the shuffle copies every byte several times.
"""

import io

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.ingest.fold import SUMS, Entries, Rows
from schemas.account_hour import SKETCHES


def _narrow(values: NDArray[np.int64] | NDArray[np.int32]) -> pa.Array:
    """The same numbers in the narrowest type that holds them."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if low >= 0:
        for kind in (np.uint8, np.uint16, np.uint32):
            if high <= np.iinfo(kind).max:
                return pa.array(values.astype(kind))
    return pa.array(np.ascontiguousarray(values))


def pack(rows: Rows) -> bytes:
    """Arrow IPC stream of one batch."""
    columns: dict[str, pa.Array] = {
        "account": pa.DictionaryArray.from_arrays(pa.array(rows.codes), rows.accounts),
        "hour": pa.array(rows.hours),
        "first": pa.array(rows.first),
        "last": pa.array(rows.last),
        "created": pa.array(rows.created),
    }
    for index, name in enumerate(SUMS):
        columns[name] = _narrow(rows.sums[:, index])
    for sketch in SKETCHES:
        entries = rows.sketches[sketch.name]
        parts = {"key": _narrow(entries.keys), "count": _narrow(entries.counts)}
        for name, values in entries.payloads.items():
            parts[name] = values if isinstance(values, pa.Array) else _narrow(values)
        struct = pa.StructArray.from_arrays(list(parts.values()), list(parts))
        columns[f"sketch {sketch.name}"] = pa.ListArray.from_arrays(
            pa.array(entries.offsets.astype(np.int32)), struct
        )
    batch = pa.record_batch(columns).replace_schema_metadata({"map_version": rows.map_version})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def unpack(data: bytes) -> Rows:
    """Inverse of pack."""
    batch = next(iter(pa.ipc.open_stream(data)))
    account = batch["account"]
    sums = np.empty((batch.num_rows, len(SUMS)), dtype=np.int64)
    for index, name in enumerate(SUMS):
        sums[:, index] = batch[name].to_numpy()
    sketches = {}
    for sketch in SKETCHES:
        lists = batch[f"sketch {sketch.name}"]
        struct = lists.values
        payloads: dict[str, NDArray[np.int32] | pa.Array] = {}
        for name, kind, _ in sketch.payloads:
            values = struct.field(name)
            payloads[name] = values if kind.value_type == pa.string() else values.to_numpy().astype(np.int32)
        sketches[sketch.name] = Entries(
            lists.offsets.to_numpy().astype(np.int64),
            struct.field("key").to_numpy().astype(np.int64),
            struct.field("count").to_numpy().astype(np.int64),
            payloads,
        )
    return Rows(
        batch.schema.metadata[b"map_version"].decode(),
        account.dictionary,
        account.indices.to_numpy(),
        batch["hour"].to_numpy(),
        sums,
        batch["first"].to_numpy(),
        batch["last"].to_numpy(),
        batch["created"].to_numpy(),
        sketches,
    )
