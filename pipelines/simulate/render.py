"""From columns to request records: ids, addresses, texts, tokens, statuses (CONTRACT section 1), as NDJSON
lines.

Belongs here: what a gateway would have logged for a row. Nothing of the truth is in it: every id is a hash
of the world's seed and a running number. Does not belong here: files (write).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from pipelines.simulate import wraps
from pipelines.simulate.answers import answer
from pipelines.simulate.identities import ENDPOINTS, MODELS, NEW_MODEL, PLANS, USER_AGENTS
from pipelines.simulate.people import World
from pipelines.simulate.randomness import mix, stream
from pipelines.simulate.requests import NONE, Traffic
from pipelines.simulate.retries import STATUS_SHARES, STATUSES

_TOOLS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"read_file": ("path",), "edit_file": ("path", "patch"), "run": ("command",)},
    {"search": ("query",), "open_page": ("url",)},
    {"calculator": ("expression",)},
    {"execute_python": ("code",), "read_file": ("path",)},
)
TOOL_SCHEMAS = tuple(
    orjson.dumps(
        [
            {"name": name, "parameters": dict.fromkeys(arguments, "string")}
            for name, arguments in tools.items()
        ]
    ).decode()
    for tools in _TOOLS
)
_CHUNK = 16_384
REQUIRED = ("event_id", "event_time", "account_id", "prompt")


def account_ids(count: int, seed: int) -> list[str]:
    """Public ids of the accounts of a world, by number."""
    return [f"acct_{value:016x}" for value in mix(np.arange(count), seed * 8 + 1).tolist()]


@dataclass
class Renderer:
    """Writes the rows of one world. `omit` names optional fields that this log does not have."""

    world: World
    seed: int
    omit: frozenset[str] = frozenset()
    _accounts: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._accounts = account_ids(len(self.world.identities.org), self.seed)

    def lines(self, requests: Traffic) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes]]]:
        """Chunks of rows in the order given: their times and one NDJSON line for each."""
        # One generator per chunk keeps the bytes independent of how chunks are written out.
        for chunk, first in enumerate(range(0, len(requests), _CHUNK)):
            rows = requests.take(np.arange(first, min(first + _CHUNK, len(requests))))
            yield rows.time, self._chunk(rows, stream(self.seed, "render", chunk))

    def _chunk(self, rows: Traffic, rng: np.random.Generator) -> list[bytes]:
        metadata = self._metadata(rows, rng)
        prompts, answers = self._texts(rows)
        status = metadata["status"]
        prompt_bytes = np.array([len(text.encode()) for text in prompts])
        answer_bytes = np.array([len(text.encode()) for text in answers])
        failed = np.asarray(status) != 200
        metadata["prompt"] = prompts
        metadata["response"] = [
            None if bad else text for text, bad in zip(answers, failed.tolist(), strict=True)
        ]
        history = rows.turn * (prompt_bytes + answer_bytes) // 2  # every turn resends what came before
        metadata["prompt_tokens"] = ((prompt_bytes + history) // 4 + 8).tolist()
        completion = np.where(failed, 0, answer_bytes // 4 + 1)
        metadata["completion_tokens"] = completion.tolist()
        metadata["latency_ms"] = (
            (200 + completion * rng.lognormal(2.3, 0.4, len(rows))).astype(np.int64).tolist()
        )
        names = [name for name in _ORDER if name not in self.omit]
        columns = [metadata[name] for name in names]
        lines = []
        for values in zip(*columns, strict=True):
            record = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            lines.append(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        return lines

    def _texts(self, rows: Traffic) -> tuple[list[str], list[str]]:
        text_of = self.world.source.text
        prompts, answers = [], []
        for code, wrap, quoted in zip(
            rows.prompt.tolist(), rows.wrap.tolist(), rows.answer_of.tolist(), strict=True
        ):
            prompt = text_of(code)
            answers.append(answer(code, prompt, wrap))
            if wrap:
                if wraps.quotes(wrap):
                    source_text = prompt if quoted == code else text_of(quoted)
                    prompt = wraps.apply(
                        wrap, prompt, answer(quoted, source_text), answer(quoted, source_text, 77)
                    )
                else:
                    prompt = wraps.apply(wrap, prompt, "", "")
            prompts.append(prompt)
        return prompts, answers

    def _metadata(self, rows: Traffic, rng: np.random.Generator) -> dict[str, list[Any]]:
        identities, account, count = self.world.identities, rows.account, len(rows)
        which = rng.choice(3, count, p=[0.7, 0.22, 0.08])
        address = identities.networks[account, which].tolist()
        agent = identities.agents[account, (rng.random(count) < 0.15).astype(np.int64)].tolist()
        model = np.where(
            rows.model != NONE,
            rows.model,
            np.where(rows.time >= identities.adopts[account], NEW_MODEL, identities.model[account]),
        )
        key = account.astype(np.int64) * 4 + (rng.random(count) * identities.keys[account]).astype(np.int64)
        status = np.where(rows.status > 0, rows.status, rng.choice(STATUSES, count, p=STATUS_SHARES))
        talk = np.where(identities.sends_conversation[account], rows.conversation, NONE)
        max_tokens = identities.max_tokens[account].tolist()
        systems = self.world.systems
        temperature = np.round(identities.temperature[account].astype(np.float64), 2)
        salt = self.seed * 8
        events = rng.integers(0, 1 << 62, (count, 2)).tolist()
        return {
            "event_id": [f"req_{a:016x}{b:016x}" for a, b in events],
            "event_time": rows.time.tolist(),
            "account_id": [self._accounts[i] for i in account.tolist()],
            "org_id": _hex("org_", identities.org[account], salt + 2),
            "api_key_id": _hex("key_", key, salt + 3),
            "plan": [PLANS[i] for i in identities.plan[account].tolist()],
            "model": [MODELS[i] for i in model.tolist()],
            "endpoint": [ENDPOINTS[i] for i in identities.endpoint[account].tolist()],
            "conversation_id": [
                None if number == NONE else text
                for number, text in zip(talk.tolist(), _hex("conv_", talk, salt + 4), strict=True)
            ],
            "user_agent": [USER_AGENTS[i] for i in agent],
            "client_ip": [_dotted(value) for value in address],
            "tls_fingerprint": _hex("t13d", identities.fingerprint[account], salt + 5),
            "payment_fingerprint": _hex("pay_", identities.payment[account], salt + 6),
            "account_created_at": identities.created[account].tolist(),
            "turn_index": rows.turn.tolist(),
            "system_prompt": [None if i == NONE else systems[i] for i in rows.system.tolist()],
            "tool_schema": [None if i == NONE else TOOL_SCHEMAS[i] for i in rows.tools.tolist()],
            "temperature": [
                None if missing else value
                for missing, value in zip(np.isnan(temperature).tolist(), temperature.tolist(), strict=True)
            ],
            "max_tokens": [value or None for value in max_tokens],
            "status": status.tolist(),
        }


_ORDER = (
    "event_id", "event_time", "account_id", "org_id", "api_key_id", "plan", "model", "endpoint",
    "conversation_id",
    "turn_index", "user_agent", "client_ip", "tls_fingerprint", "payment_fingerprint", "account_created_at",
    "system_prompt", "tool_schema", "prompt", "response", "temperature", "max_tokens", "prompt_tokens",
    "completion_tokens", "status", "latency_ms",
)  # fmt: skip
FIELDS = _ORDER


def _hex(prefix: str, numbers: npt.NDArray[np.integer], salt: int) -> list[str]:
    return [f"{prefix}{value:016x}" for value in mix(numbers, salt).tolist()]


@lru_cache(maxsize=1 << 18)
def _dotted(address: int) -> str:
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
