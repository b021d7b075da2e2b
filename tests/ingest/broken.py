"""Broken records by seed: what a hostile or failing producer writes."""

import json
import random
from typing import Any

from schemas.request import FIELDS
from tests.ingest.records import record

_ODD: tuple[Any, ...] = (
    None, True, [], {}, -1, 2**70, 1e308, -0.0, "", "\0", "�", "x" * 2000, [1, 2], {"a": [None]}, "NaN", 10**400,
)  # fmt: skip


def _nested(rng: random.Random) -> bytes:
    depth = rng.choice([3, 60, 63, 64, 65, 500, 5000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    middle = b"1" if rng.random() < 0.8 else b""
    return opening * depth + middle + closing * (depth - rng.randrange(2))


def broken(rng: random.Random, index: int) -> bytes:
    """One line without line end; some are valid after all."""
    good = record(rng, index)
    kind = rng.randrange(14)
    if kind == 0:
        data = json.dumps(good).encode()
        return data[: rng.randrange(len(data))]
    if kind == 1:
        good[rng.choice(FIELDS).name] = rng.choice(_ODD)
    elif kind == 2:
        return json.dumps(good).encode()[:-1] + b', "x": ' + _nested(rng) + b"}"
    elif kind == 3:
        number = rng.choice(
            [
                b"1e9999",
                b"-1e9999",
                b"1" * 5000,
                b"0." + b"0" * 3000 + b"1",
                b"01",
                b"1.",
                b"+1",
                b".5",
                b"1e",
            ]
        )
        return json.dumps(good).encode()[:-1] + b', "latency_ms": ' + number + b"}"
    elif kind == 4:
        data = bytearray(json.dumps(good, ensure_ascii=False).encode())
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data).replace(b"\n", b" ")
    elif kind == 5:
        data = json.dumps(good).encode()
        name = rng.choice(FIELDS).name
        return data[:-1] + f', "{name}": 1, "{name}": 2}}'.encode()
    elif kind == 6:
        good["prompt"] = rng.choice(["中", "x ", "<think>", "é"]) * (300 * 1024 // rng.choice([1, 2, 3]))
        return json.dumps(good, ensure_ascii=False).encode()
    elif kind == 7:
        good[rng.choice(["event_id", "account_id", "model", "prompt"])] = "a\0b\x1f" * rng.randrange(1, 5)
    elif kind == 8:
        good["event_time"] = rng.choice(
            [0, -1, 10**15, 10**30, "2026-02-30T00:00:00Z", "now", 1.5, "", [], 2**63]
        )
    elif kind == 9:
        return rng.randbytes(rng.randrange(200)).replace(b"\n", b"")
    elif kind == 10:
        return json.dumps(good).encode() * 2
    elif kind == 11:
        return json.dumps(rng.choice([[good], "text", 5, None, True])).encode()
    elif kind == 12:
        good = {k: v for k, v in good.items() if rng.random() < 0.7}
    else:
        text = json.dumps(good | {"prompt": "\ud800 \udfff \ud83d\ude00 \\u0000"})
        return text.replace("\\\\u", rng.choice(["\\u", "\\x", "\\"])).encode()
    return json.dumps(good, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
