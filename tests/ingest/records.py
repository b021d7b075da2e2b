"""Request records for tests: realistic ones by seed, and whatever Hypothesis thinks of."""

import json
import random
from typing import Any

from hypothesis import strategies as st

from pipelines.ingest.source import Block
from pipelines.ingest.streams import to_block

KEY = b"a secret of the tests, 16+ bytes"
HOUR_MS = 3_600_000
NOON = 1_790_000_000_000 // HOUR_MS * HOUR_MS
"""A full hour; the clock of tests is later."""
NOW = NOON + 40 * 24 * HOUR_MS

_GRAMMAR = (
    "explain the kafka index of table model quickly which beta cat süß naïve 逐步 数据集 step by step show your "
    "reasoning rate the following answer <think> solution </think> training data unit tests why write python "
    "translate this poem about winter sort merge join doctor law protein straße привет мир 日本語 テスト données"
)
_WORDS = _GRAMMAR.split()


def record(rng: random.Random, index: int, accounts: int = 40, hours: int = 4) -> dict[str, Any]:
    """One realistic record. index: makes its event_id."""
    account = min(rng.randrange(accounts), rng.randrange(accounts))
    out: dict[str, Any] = {
        "event_id": f"event-{index}",
        "event_time": NOON + rng.randrange(hours * HOUR_MS),
        "account_id": f"account-{account}" if account % 7 else f"konto-{account}-é",
        "prompt": " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(1, 60))),
        "model": rng.choice(["small", "large", "unknown", "größte"]),
        "org_id": f"org-{account % 5}",
        "turn_index": rng.randrange(3),
        "prompt_tokens": rng.randrange(500),
        "completion_tokens": rng.randrange(900),
        "status": rng.choice([200, 200, 200, 429, 500, 404]),
        "latency_ms": rng.random() * 1000,
        "temperature": rng.choice([0, 0.7, 1.0, 1.25]),
        "client_ip": rng.choice(
            ["10.1.2.3", "10.1.2.77:443", "2001:db8:1::5", "1.2.3.4, 9.9.9.9", "[redacted]"]
        ),
    }
    optional = {
        "response": " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(80))),
        "system_prompt": rng.choice(["You are helpful.", "Du bist nett."]),
        "tool_schema": '{"type": "object"}',
        "conversation_id": f"c{rng.randrange(20)}",
        "user_agent": rng.choice(["sdk/1.0", "curl"]),
        "tls_fingerprint": "t13d1516h2",
        "payment_fingerprint": f"pay-{account % 9}",
        "api_key_id": f"key-{account}-{rng.randrange(2)}",
        "plan": rng.choice(["free", "pro"]),
        "endpoint": rng.choice(["chat", "completions"]),
        "account_created_at": NOON - rng.randrange(90) * 24 * HOUR_MS,
        "max_tokens": 1000,
    }
    return out | {name: value for name, value in optional.items() if rng.random() < 0.6}


def log(
    seed: int, size: int, accounts: int = 40, hours: int = 4, repeats: float = 0.0
) -> list[dict[str, Any]]:
    """A log of `size` records; a share of them repeats an earlier one."""
    rng = random.Random(seed)
    out: list[dict[str, Any]] = []
    for index in range(size):
        out.append(rng.choice(out) if out and rng.random() < repeats else record(rng, index, accounts, hours))
    return out


def lines(records: list[dict[str, Any]]) -> bytes:
    """As newline-delimited JSON; half of it escapes what is not ASCII."""
    return b"".join(
        json.dumps(each, ensure_ascii=index % 2 == 0).encode() + b"\n" for index, each in enumerate(records)
    )


def block(data: bytes) -> Block:
    """Whole lines as a block."""
    return to_block(data, 0, 0)


texts = st.text(st.characters(codec="utf-8"), max_size=60)
"""Any text that UTF-8 can carry, control characters included."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
