"""Lake tables: what is kept per account and hour (METHOD section 2), and the rejects.

Every measure is an integer or a set of integers that merges exactly in any order. A *sketch* is a group of
parallel list columns: a key, how often it was asked, and what goes with the key. Sketches with a limit keep
the smallest keys only; keys are keyed hashes, so what is kept is the same whatever the order (bottom-k).
"""

from dataclasses import dataclass

import pyarrow as pa

from schemas.describe import Column, Relation

_I32 = pa.list_(pa.int32())
_I64 = pa.list_(pa.int64())
_TEXT = pa.list_(pa.string())


@dataclass(frozen=True)
class Sketch:
    """A counted set kept in parallel list columns, sorted by key.

    key, counts: column names. payloads: columns whose value is a function of the key.
    limit: how many of the smallest keys are kept; None keeps all.
    """

    name: str
    key: str
    counts: str
    limit: int | None
    meaning: str
    payloads: tuple[tuple[str, pa.DataType, str], ...] = ()
    key_type: pa.DataType = _I64

    @property
    def columns(self) -> tuple[Column, ...]:
        kept = "all" if self.limit is None else f"the {self.limit} smallest"
        return (
            Column(self.key, self.key_type, f"{self.meaning} ({kept}, ascending)", True, "sketch"),
            *(Column(name, kind, meaning, True, "sketch") for name, kind, meaning in self.payloads),
            Column(self.counts, _I32, f"requests per entry of {self.key}", True, "sketch"),
        )


PROMPT_SAMPLE = 256

SKETCHES: tuple[Sketch, ...] = (
    Sketch(
        "cells", "cells", "cell_requests", None, "cells of the prompt map, the cell histogram", key_type=_I32
    ),
    Sketch("minutes", "minutes", "minute_requests", None, "minutes since 1970 with requests", key_type=_I32),
    Sketch(
        "prompts",
        "prompt_hashes",
        "prompt_requests",
        PROMPT_SAMPLE,
        "keyed hashes of distinct prompts: the coordinated prompt sample",
        (
            ("prompt_cells", _I32, "cell of each sampled prompt; -1 when there is none"),
            ("prompt_lengths", _I32, "UTF-8 bytes of each sampled prompt; 2147483647 with an embedding only"),
        ),
    ),
    Sketch(
        "prompt_shingles", "prompt_shingles", "prompt_shingle_requests", 64, "sampled shingles of prompts"
    ),
    Sketch(
        "response_shingles",
        "response_shingles",
        "response_shingle_requests",
        64,
        "sampled shingles of responses",
    ),
    Sketch("openings", "opening_hashes", "opening_requests", 32, "template keys: first four tokens"),
    Sketch("closings", "closing_hashes", "closing_requests", 32, "template keys: last four tokens"),
    Sketch("system_prompts", "system_prompt_hashes", "system_prompt_requests", 32, "system prompts"),
    Sketch("tool_schemas", "tool_schema_hashes", "tool_schema_requests", 32, "tool schemas"),
    Sketch("conversations", "conversation_hashes", "conversation_requests", 32, "conversations"),
    Sketch("networks", "network_hashes", "network_requests", 32, "client networks (/24, /48)"),
    Sketch("user_agents", "user_agent_hashes", "user_agent_requests", 16, "user agents"),
    Sketch("tls", "tls_hashes", "tls_requests", 16, "TLS fingerprints"),
    Sketch("payments", "payment_hashes", "payment_requests", 16, "payment fingerprints"),
    Sketch("api_keys", "api_key_hashes", "api_key_requests", 16, "API keys"),
    Sketch(
        "models",
        "model_hashes",
        "model_requests",
        16,
        "models",
        (("model_names", _TEXT, "name of each model"),),
    ),
    Sketch(
        "endpoints",
        "endpoint_hashes",
        "endpoint_requests",
        16,
        "endpoints",
        (("endpoint_names", _TEXT, "name of each endpoint"),),
    ),
    Sketch(
        "orgs",
        "org_hashes",
        "org_requests",
        4,
        "organisations",
        (("org_names", _TEXT, "id of each organisation"),),
    ),
    Sketch(
        "plans", "plan_hashes", "plan_requests", 4, "plans", (("plan_names", _TEXT, "name of each plan"),)
    ),
)


def _sum(name: str, meaning: str) -> Column:
    return Column(name, pa.int64(), meaning, True, "sum", minimum=0)


ELICITATION: tuple[tuple[str, str], ...] = (
    ("elicit_reasoning", "requests that demand step-by-step reasoning"),
    ("elicit_tags", "requests that demand reasoning inside tags"),
    ("elicit_judging", "requests for rubric or pairwise judging"),
    ("elicit_generation", "requests to make tasks, solutions, tests or data sets"),
    ("elicit_cleaning", "requests to clean or rewrite model-written text"),
)

PRESENCE: tuple[str, ...] = (
    "turn_index",
    "conversation_id",
    "system_prompt",
    "tool_schema",
    "response",
    "client_ip",
    "user_agent",
    "tls_fingerprint",
    "payment_fingerprint",
    "api_key_id",
    "org_id",
    "plan",
    "model",
    "endpoint",
    "account_created_at",
    "temperature",
    "max_tokens",
    "prompt_tokens",
    "completion_tokens",
    "status",
    "latency_ms",
    "prompt",
    "prompt_embedding",
)
"""Request fields whose presence is counted, so that missing evidence is told from evidence of nothing."""

KEYS: tuple[Column, ...] = (
    Column("account_id", pa.string(), "the billed principal", True, "key"),
    Column("epoch_hour", pa.int32(), "hours since 1970-01-01T00:00Z of event time", True, "key", minimum=0),
    Column(
        "map_version",
        pa.string(),
        "prompt map that gave the cells; rows of different maps are never summed",
        True,
        "key",
    ),
)

MEASURES: tuple[Column, ...] = (
    Column("requests", pa.int64(), "API calls", True, "sum", minimum=1),
    _sum("failures", "calls with a status of 400 or more, throttles excepted"),
    _sum("throttles", "calls answered 429"),
    _sum("prompt_tokens", "tokens in"),
    _sum("completion_tokens", "tokens out"),
    _sum("first_turns", "calls that open a conversation (turn_index 0)"),
    _sum("prompt_bytes", "UTF-8 bytes of prompts"),
    _sum("temperature_milli", "sum of temperature x 1000"),
    _sum("max_tokens", "sum of max_tokens"),
    _sum("latency_ms", "sum of latency"),
    *(_sum(name, meaning) for name, meaning in ELICITATION),
    *(_sum(f"with_{name}", f"calls that carry {name}") for name in PRESENCE),
    Column("first_time_ms", pa.int64(), "first event time, epoch ms", True, "min"),
    Column("last_time_ms", pa.int64(), "last event time, epoch ms", True, "max"),
    Column(
        "created_at_ms",
        pa.int64(),
        "earliest account_created_at, epoch ms; the largest int64 when unknown",
        True,
        "min",
    ),
    *(column for sketch in SKETCHES for column in sketch.columns),
)

UNKNOWN_TIME = 2**63 - 1
UNKNOWN_LENGTH = 2**31 - 1
"""Length of a prompt of which only the embedding is known: with no text, none can be left out as too short."""

ACCOUNT_HOURS = Relation(
    "account_hours",
    "account, hour of event time, prompt map and commit (folded to one row by compaction)",
    "What an account asked in an hour, as integers that merge.",
    (*KEYS, *MEASURES),
    owner="data-engineering",
    partition_by=("date", "hour"),
)

ACCOUNT_DAYS = Relation(
    "account_days",
    "account, closed day and prompt map",
    "The same columns folded over a closed day; epoch_hour is the day's first hour.",
    (*KEYS, *MEASURES),
    owner="data-engineering",
    partition_by=("date",),
)

REJECTS = Relation(
    "rejects",
    "input record that is not a request",
    "Input that is not a request record, with reason, position and a bounded copy from which secrets are scrubbed.",
    (
        Column("source", pa.string(), "input as it was named", True),
        Column("app_id", pa.string(), "source partition", True),
        Column("position", pa.string(), "file:line or topic[partition]@offset", True),
        Column("offset", pa.int64(), "end byte or offset within the source partition", True),
        Column("reason", pa.string(), "why it was rejected", True),
        Column("size", pa.int64(), "bytes of the record", True),
        Column("copy", pa.string(), "first bytes, secrets and prompt text scrubbed", True),
        Column("rejected_at_ms", pa.int64(), "when, epoch ms", True),
    ),
    owner="data-engineering",
    partition_by=("date",),
)
