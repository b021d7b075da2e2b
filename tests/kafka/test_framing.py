"""Framing: what surrounds a record is taken off, byte for byte, and nothing else is touched."""

import base64
import json

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.kafka.framing import block_of, unwrap_cloud_event

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
records = st.dictionaries(st.text(max_size=8), json_values, max_size=4).map(orjson.dumps)


def frame_by_id(record: bytes) -> bytes:
    return b"\x00" + (7).to_bytes(4, "big") + record


def frame_by_guid(record: bytes) -> bytes:
    return b"\x01" + bytes(range(16)) + record


def event(data: object, **more: object) -> bytes:
    envelope = {"specversion": "1.0", "id": "1", "source": "/gateway", "type": "request", **more}
    return orjson.dumps(envelope | ({"data": data} if data is not None else {}))


def opened(values: list[bytes]) -> tuple[list[bytes], list[int], list[tuple[int, str, bytes]]]:
    block = block_of(values, np.arange(100, 100 + len(values)))
    return block.records(), block.positions.tolist(), [(r.position, r.reason, r.raw) for r in block.rejects]


frames = st.sampled_from([lambda r: r, frame_by_id, frame_by_guid])


@given(st.lists(st.tuples(records, frames, st.booleans()), max_size=8))
def test_any_mixture_gives_the_records_back(given_values: list[tuple[bytes, object, bool]]) -> None:
    sent, wanted = [], []
    for record, frame, is_event in given_values:
        assert callable(frame)
        sent.append(frame(event(orjson.loads(record)) if is_event else record))
        wanted.append(orjson.loads(record))
    got, positions, rejects = opened(sent)
    assert [orjson.loads(r) for r in got] == wanted
    assert positions == list(range(100, 100 + len(sent)))
    assert rejects == []


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_bytes_are_kept_but_for_the_frame(values: list[bytes]) -> None:
    wanted = []
    for value in values:
        head = value[:1]
        length = (
            5 if head == b"\x00" and len(value) >= 5 else 17 if head == b"\x01" and len(value) >= 17 else 0
        )
        wanted.append(value[length:])
    got, _, rejects = opened(values)
    assert got == wanted
    assert rejects == []


def test_base64_data() -> None:
    raw = b'{"event_id":"x"}'
    wrapped = event(None, data_base64=base64.b64encode(raw).decode())
    assert unwrap_cloud_event(wrapped) == raw


def test_data_that_is_text_holds_the_record() -> None:
    assert unwrap_cloud_event(event('{"event_id":"x"}')) == b'{"event_id":"x"}'


def test_an_envelope_without_data_is_a_reject_and_its_neighbours_stay() -> None:
    empty = event(None)
    broken = event(None, data_base64="%%%")
    got, positions, rejects = opened([b'{"a":1}', empty, b'{"b":2}', broken])
    assert got == [b'{"a":1}', b'{"b":2}']
    assert positions == [100, 102]
    assert rejects == [
        (101, "CloudEvents envelope without data", empty),
        (103, "CloudEvents envelope without data", broken),
    ]


@given(st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 30))
def test_envelopes_are_found_wherever_they_lie(before: int, between: int, tail: int) -> None:
    inner = b'{"event_id":"x"}'
    late = (
        b'{"pad":"'
        + b"s" * between
        + b'","id":"1","source":"/","type":"t","data":'
        + inner
        + b',"specversion":"1.0"}'
    )
    filler = b'{"pad":"' + b'\\"specversio v' * (before // 14) + b'"}'
    assert opened([filler, event({"event_id": "x"}), late, b"{}" * tail])[0] == [
        filler,
        inner,
        inner,
        b"{}" * tail,
    ]


def test_a_record_that_speaks_of_specversion_is_no_envelope() -> None:
    prompt = json.dumps(
        {"event_id": "1", "prompt": 'what is "specversion" in {"specversion": "1.0"}?'}
    ).encode()
    partly = b'{"specversion":"1.0","prompt":"no id, no source"}'
    cut = event({"a": 1})[:-3]
    assert opened([prompt, partly, cut])[0] == [prompt, partly, cut]
