"""What may surround a record in a Kafka value: Confluent's schema framing and CloudEvents envelopes.

Here: from values to the records inside them. Not here: reading values (reader.py), understanding records
(decode). Confluent wire format: a zero byte and a 4-byte schema id, or a one byte and a 16-byte schema GUID,
before the data. CloudEvents 1.0, structured mode: the record is `data` (or `data_base64`) of the envelope. In
binary mode the attributes are headers and the value is the record itself, so nothing has to be done.
"""

import base64
import binascii
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from pipelines.ingest.simd import find
from pipelines.ingest.source import Block, RawReject

_ID_FRAME = 5
_GUID_FRAME = 17
_MARK = np.frombuffer(b'"specversion"', np.uint8)
_RARE = 5
"""Place of the v in the mark: a v five bytes behind a quote is rare."""
_ENVELOPE = ("specversion", "id", "source", "type")


def block_of(values: Sequence[bytes], offsets: NDArray[np.int64]) -> Block:
    """One block of the records inside `values`; offsets: int64[len(values)]."""
    payload = b"".join(values)
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    starts = starts + _frame_lengths(payload, starts, lengths)
    return _unwrapped(payload, Block(payload, starts, ends, offsets))


def _frame_lengths(
    payload: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int64]:
    """int64[n]: bytes of framing before each record. JSON starts with neither byte, so there is nothing to
    mistake.
    """
    if not payload:
        return np.zeros(len(starts), np.int64)
    first = np.frombuffer(payload, np.uint8)[np.minimum(starts, len(payload) - 1)]
    by_id = (first == 0) & (lengths >= _ID_FRAME)
    by_guid = (first == 1) & (lengths >= _GUID_FRAME)
    return np.where(by_id, _ID_FRAME, np.where(by_guid, _GUID_FRAME, 0)).astype(np.int64)


def _unwrapped(payload: bytes, block: Block) -> Block:
    """The same block with envelopes replaced by what is in them. Costs one search where there are none."""
    if not payload:
        return block
    marked = []
    seen = np.frombuffer(payload, np.uint8)
    at = find(seen, 0, _MARK, _RARE)
    while at >= 0:
        record = int(np.searchsorted(block.ends, at, side="right"))
        marked.append(record)
        at = find(seen, int(block.ends[record]), _MARK, _RARE)
    inside: dict[int, bytes] = {}
    rejects = []
    for record in marked:
        raw = payload[block.starts[record] : block.ends[record]]
        inner = unwrap_cloud_event(raw)
        if inner is None:
            rejects.append(RawReject(int(block.positions[record]), "CloudEvents envelope without data", raw))
        if inner is not raw:
            inside[record] = inner or b""
    if not inside:
        return block
    spans = zip(block.starts.tolist(), block.ends.tolist(), strict=True)
    values = [inside[i] if i in inside else payload[a:b] for i, (a, b) in enumerate(spans)]
    bad = {r.position for r in rejects}
    kept = [i for i, offset in enumerate(block.positions.tolist()) if offset not in bad]
    lengths = np.fromiter((len(values[i]) for i in kept), np.int64, len(kept))
    ends = np.cumsum(lengths)
    return Block(b"".join(values[i] for i in kept), ends - lengths, ends, block.positions[kept], rejects)


def unwrap_cloud_event(raw: bytes) -> bytes | None:
    """`raw` itself when it is no envelope, the data of one that is, None for an envelope without data."""
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw  # the decoder rejects it with the original bytes
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in _ENVELOPE):
        return raw
    if "data_base64" in event:
        try:
            return base64.b64decode(event["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            return None
    data = event.get("data")
    if data is None:
        return None
    return data.encode() if isinstance(data, str) else orjson.dumps(data)
