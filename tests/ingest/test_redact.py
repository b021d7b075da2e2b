"""The copy of a reject: its shape, never its text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.redact import COPY_BYTES, shape
from tests.ingest.records import json_values, texts


def test_example() -> None:
    data = b'{"event_id": "e-17", "prompt": "My key is sk-1", "x": true, "status": null, "secret": 5'
    assert (
        shape(data)
        == '{"event_id": "x-00", "prompt": "xx xxx xx xx-0", "x": true, "status": null, "xxxxxx": 0'
    )


@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    copy = shape(data)
    assert len(copy) <= COPY_BYTES
    assert all(c.isprintable() for c in copy)


@given(st.dictionaries(texts, json_values, max_size=5))
def test_no_letter_or_digit_of_unknown_text_survives(value: dict[str, object]) -> None:
    from schemas.request import FIELDS

    copy = shape(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    for name in (*(f.name for f in FIELDS), "true", "false", "null"):
        copy = copy.replace(name, "")
    assert not {c for c in copy if c.isalnum()} - {"x", "0"}
