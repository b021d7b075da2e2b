"""No prompt text and no secret at rest or in what is said: planted ones are looked for in every byte."""

import json
import logging
from pathlib import Path

import pytest

from pipelines.lake.compact import compact
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.lakes import new_lake, run
from tests.ingest.records import KEY, NOW, log

_PLANTED = (
    "zyxwquirk",
    "sk-live-4f9aQ7",
    "hunter2hunter2",
    "AKIAPLANTED12345",
    "плантед",
    "植入的秘密",
    "198.51.100.77",
)


def test_planted_text_is_nowhere(
    tmp_path: Path, fitted: FittedMap, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = " ".join(_PLANTED)
    records = log(60, 60)
    for record in records:
        record |= {
            "prompt": f"{record['prompt']} {secret}", "response": secret, "system_prompt": secret,
            "tool_schema": secret, "user_agent": secret, "payment_fingerprint": _PLANTED[2],
            "api_key_id": _PLANTED[1], "client_ip": _PLANTED[6], "conversation_id": _PLANTED[0],
            "tls_fingerprint": _PLANTED[3],
        }  # fmt: skip
    good = [json.dumps(r, ensure_ascii=n % 2 == 0) for n, r in enumerate(records)]
    bad = [
        good[1][:-1],
        good[2] + secret,
        secret,
        json.dumps(records[0] | {"status": secret}, ensure_ascii=False),
        json.dumps({secret: secret, "prompt": [secret]}, ensure_ascii=False),
        json.dumps(records[0] | {"event_time": secret}),
        '{"prompt": "' + secret + '", "prompt": "' + secret + '"}',
        '{"' + _PLANTED[1] + '": 1, "true": true, "event_id": "' + _PLANTED[3],
    ]
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join([*good, *bad]), "utf-8")
    lake = new_lake(tmp_path / "lake", fitted)
    totals = run(lake, str(path), slice_bytes=20_000)
    assert totals.rejects == len(bad)
    compact(lake, NOW)
    said = "".join(capfd.readouterr()) + caplog.text
    forms = [
        form
        for word in (*_PLANTED, KEY.decode())
        for form in (word.encode(), word.encode("utf-16-le"), word.upper().encode())
    ]
    looked = 0
    for file in lake.path.rglob("*"):
        if file.is_file():
            looked += 1
            data = _unpacked(file)
            for form in forms:
                assert form not in data, (file, form)
    assert looked > 10
    assert not any(word in said for word in (*_PLANTED, KEY.decode()))


def _unpacked(file: Path) -> bytes:
    """The bytes of a file; of Parquet also its values, which are compressed."""
    data = file.read_bytes()
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        data += repr(pq.ParquetFile(file).read().to_pylist()).encode()
    return data


def test_the_key_is_not_in_what_options_print() -> None:
    from pipelines.ingest.cycle import IngestOptions

    assert "tests" not in repr(IngestOptions(hash_key=KEY, map_version="none"))
