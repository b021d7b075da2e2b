"""Everything of an account-hour, one record at a time, in plain Python: the oracle of the tests and the body of
the textbook pipeline that `benchmarks/ingest.py` is compared with.

Written from METHOD sections 1, 2 and 5 and `schemas/account_hour.py` for clarity, not for speed. It shares with
the product only what is data: the fitted map, the phrases, the hash keys' derivation and the tables' description.
"""

import ipaddress
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.elicitation import CATEGORIES, PHRASES, TAGS
from pipelines.ingest.hashing import subkeys
from pipelines.ingest.quantise import Quantiser
from schemas.account_hour import ELICITATION, PRESENCE, SKETCHES, UNKNOWN_TIME
from schemas.request import PLACEHOLDERS

_WORD = 0xFFFFFFFFFFFFFFFF
_BASE = 0x9E3779B97F4A7C15
_IDENTITIES = {
    "system_prompts": "system_prompt",
    "tool_schemas": "tool_schema",
    "conversations": "conversation_id",
    "user_agents": "user_agent",
    "tls": "tls_fingerprint",
    "payments": "payment_fingerprint",
    "api_keys": "api_key_id",
}
_NAMES = {"models": "model", "endpoints": "endpoint", "orgs": "org_id", "plans": "plan"}
_NUMBERS = {
    "prompt_tokens": ("prompt_tokens", 1),
    "completion_tokens": ("completion_tokens", 1),
    "max_tokens": ("max_tokens", 1),
    "latency_ms": ("latency_ms", 1),
    "temperature": ("temperature_milli", 1000),
}

Hash = Callable[[bytes, int, int], int]


def siphash(data: bytes, k0: int, k1: int) -> int:
    """SipHash-2-4 (Aumasson and Bernstein, 2012)."""

    def turn(value: int, by: int) -> int:
        return ((value << by) | (value >> (64 - by))) & _WORD

    def rounds(count: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0 = (v0 + v1) & _WORD
            v1 = turn(v1, 13) ^ v0
            v0 = turn(v0, 32)
            v2 = (v2 + v3) & _WORD
            v3 = turn(v3, 16) ^ v2
            v0 = (v0 + v3) & _WORD
            v3 = turn(v3, 21) ^ v0
            v2 = (v2 + v1) & _WORD
            v1 = turn(v1, 17) ^ v2
            v2 = turn(v2, 32)

    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 255
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


@cache
def _lower(character: str) -> str | None:
    """The lower-cased letter, digit or mark; None for what separates tokens (code points below U+0800)."""
    if not (character.isalnum() or unicodedata.category(character).startswith("M")):
        return None
    lower = character.lower()
    return lower if len(lower) == 1 and ord(lower) < 0x800 else character


@cache
def token_hash(token: str) -> int:
    """Multiplicative hash over the UTF-8 bytes, eight at a time."""
    value = 0xCBF29CE484222325
    data = token.encode()
    for at in range(0, len(data), 8):
        value = ((value ^ int.from_bytes(data[at : at + 8], "little")) * _BASE) & _WORD
        value ^= value >> 32
    return value


def tokens_of(text: str, most: int = 4096) -> tuple[list[str], list[bool]]:
    """(tokens, whether each follows `<` or `</` directly)."""
    tokens: list[str] = []
    tags: list[bool] = []
    run = ""
    tag = False

    def close() -> None:
        nonlocal run
        if run:
            tokens.append(run)
        run = ""

    for character in text:
        wide = ord(character) >= 0x800
        lower = None if wide else _lower(character)
        if lower is not None:
            if not run:
                tags.append(tag)
                tag = False
            run += lower
            continue
        close()
        if wide:
            tokens.append(character)
            tags.append(tag)
            tag = False
        elif character == "<":
            tag = True
        elif character != "/":
            tag = False
    close()
    return tokens[:most], tags[:most]


def polynomial(hashes: Iterable[int]) -> int:
    """Hash of a run of tokens."""
    value = 0
    for each in hashes:
        value = (value * _BASE + each) & _WORD
    return value


def network_of(text: str) -> bytes:
    """The /24 or /48 of the first address of a list, or the first 16 bytes of what is no address."""
    first = text.split(",")[0].lstrip(" [").rstrip(" ")
    for candidate in (first, first.split("]")[0].split("%")[0], first.rsplit(":", 1)[0]):
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            return address.ipv4_mapped.packed[:3] if address.ipv4_mapped else address.packed[:6]
        return address.packed[:3]
    return first.encode()[:16]


def clean(text: str) -> str:
    """Lone surrogates, which UTF-8 cannot carry, become U+FFFD."""
    return "".join("�" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def milliseconds(value: int | str) -> int:
    """Epoch ms of a time field."""
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value)
    return int(moment.timestamp() // 1 * 1000) + moment.microsecond // 1000


@dataclass
class Hour:
    """One account-hour under construction. sketches: name -> key -> [count, payloads]."""

    sums: Counter[str] = field(default_factory=Counter)
    first: int = UNKNOWN_TIME
    last: int = 0
    created: int = UNKNOWN_TIME
    sketches: dict[str, dict[int, list[Any]]] = field(default_factory=lambda: {s.name: {} for s in SKETCHES})

    def see(self, sketch: str, key: int, *payload: Any) -> None:
        """Count a key."""
        held = self.sketches[sketch].setdefault(key, [0, *payload])
        held[0] += 1

    def merge(self, other: "Hour") -> "Hour":
        """Take over another part of the same account-hour."""
        self.sums.update(other.sums)
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.created = min(self.created, other.created)
        for name, entries in other.sketches.items():
            for key, (count, *payload) in entries.items():
                held = self.sketches[name].setdefault(key, [0, *payload])
                held[0] += count
        return self

    def row(self) -> dict[str, Any]:
        """Columns of account_hours, sketches cut to their limits."""
        out: dict[str, Any] = dict(self.sums)
        out |= {"first_time_ms": self.first, "last_time_ms": self.last, "created_at_ms": self.created}
        for sketch in SKETCHES:
            entries = sorted(self.sketches[sketch.name].items())[: sketch.limit]
            out[sketch.key] = [key for key, _ in entries]
            out[sketch.counts] = [value[0] for _, value in entries]
            for place, (name, _, _) in enumerate(sketch.payloads, 1):
                out[name] = [value[place] for _, value in entries]
        return out


class Naive:
    """Measures records one at a time. hash_bytes: SipHash; the plain one above, or a compiled one."""

    def __init__(self, key: bytes, quantiser: Quantiser, hash_bytes: Hash = siphash) -> None:
        self._hash = hash_bytes
        names = ("prompt", "opening", "closing", "shingle", "event_id", "client_ip")
        fields = (*names, *_IDENTITIES.values(), *_NAMES.values())
        self._keys = {name: tuple(int(half) for half in subkeys(key, name)) for name in fields}
        self._quantiser = quantiser
        self._phrases = [
            (CATEGORIES.index(category), tuple(tokens_of(phrase)[0]))
            for category, phrases in PHRASES.items()
            for phrase in phrases
        ]
        self._by_last: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
        for category, phrase in self._phrases:
            self._by_last.setdefault(phrase[-1], []).append((category, phrase))

    def keyed(self, domain: str, data: bytes) -> int:
        """63-bit keyed hash."""
        return self._hash(data, *self._keys[domain]) & 0x7FFFFFFFFFFFFFFF

    def _keyed_word(self, domain: str, word: int) -> int:
        return self.keyed(domain, word.to_bytes(8, "little"))

    def cell(self, hashes: list[int]) -> int:
        """Cell of a text; -1 when none of its terms is known."""
        q = self._quantiser
        counts: dict[int, int] = {}
        for value in hashes[:256]:
            bucket = ((value * _BASE) & _WORD) >> 47
            counts[bucket] = counts.get(bucket, 0) + 1
        vector = np.zeros(q.projection.shape[1], np.float32)
        for bucket, count in counts.items():
            vector += np.float32(1.0 + math.log(count)) * q.projection[bucket]
        norm = np.cumsum(vector * vector, dtype=np.float32)[-1]
        if norm <= np.float32(1e-12):
            return -1
        vector *= np.float32(1.0) / np.sqrt(norm)
        topic = nearest(vector, q.topics, q.topic_norms)
        return topic * q.cell_norms.shape[1] + nearest(vector, q.cells[topic], q.cell_norms[topic])

    def shingles(self, hashes: list[int], size: int) -> list[int]:
        """Keyed hashes of the sampled runs of eight tokens."""
        out: list[int] = []
        for end in range(8, len(hashes) + 1):
            value = polynomial(hashes[end - 8 : end])
            if ((value ^ (value >> 29)) * 0xBF58476D1CE4E5B9 & _WORD) >> 59 == 0 and len(
                out
            ) < size // 16 + 16:
                out.append(self._keyed_word("shingle", value))
        return out

    def elicited(self, tokens: list[str], tags: list[bool]) -> set[int]:
        """Categories whose phrases occur."""
        found = {1} if any(tag and token in TAGS for token, tag in zip(tokens, tags, strict=True)) else set()
        for end, token in enumerate(tokens, 1):
            for category, phrase in self._by_last.get(token, ()):
                if tuple(tokens[max(0, end - len(phrase)) : end]) == phrase:
                    found.add(category)
        return found

    def measure(self, record: Mapping[str, Any], hour: Hour) -> None:
        """Add one valid record (as `json.loads` gives it) to its account-hour."""
        values = present(record)
        sums = hour.sums
        time = milliseconds(values["event_time"])
        hour.first, hour.last = min(hour.first, time), max(hour.last, time)
        if "account_created_at" in values:
            hour.created = min(hour.created, milliseconds(values["account_created_at"]))
        sums["requests"] += 1
        for name in PRESENCE:
            sums[f"with_{name}"] += name in values
        for name, (column, scale) in _NUMBERS.items():
            sums[column] += math.floor(values.get(name, 0) * scale + 0.5)
        status = values.get("status", 0)
        sums["throttles"] += status == 429
        sums["failures"] += status >= 400 and status != 429
        sums["first_turns"] += values.get("turn_index") == 0
        hour.see("minutes", time // 60_000)
        for sketch, name in _IDENTITIES.items():
            if name in values:
                limit = 1 << 20 if name in ("system_prompt", "tool_schema") else 1024
                hour.see(sketch, self.keyed(name, values[name].encode()[:limit]))
        for sketch, name in _NAMES.items():
            if name in values:
                data = values[name].encode()[:256]
                hour.see(sketch, self.keyed(name, data), data.decode("utf-8", "ignore"))
        if "client_ip" in values:
            hour.see("networks", self.keyed("client_ip", network_of(values["client_ip"])))
        found: set[int] = set()
        if "prompt" in values:
            data = values["prompt"].encode()
            sums["prompt_bytes"] += len(data)
            is_taken = status < 400 or values.get("completion_tokens", 0) > 0
            found = self._prompt(hour if is_taken else Hour(), values["prompt"], data)
        for place, (name, _) in enumerate(ELICITATION):
            sums[name] += place in found
        if "response" in values:
            hashes = [token_hash(token) for token in tokens_of(values["response"])[0]]
            for value in self.shingles(hashes, len(values["response"].encode())):
                hour.see("response_shingles", value)

    def _prompt(self, hour: Hour, text: str, data: bytes) -> set[int]:
        tokens, tags = tokens_of(text)
        if not tokens:
            return set()
        hashes = [token_hash(token) for token in tokens]
        cell = self.cell(hashes)
        if cell >= 0:
            hour.see("cells", cell)
        hour.see("prompts", self.keyed("prompt", data), cell, len(data))
        if len(tokens) >= 8:
            hour.see("openings", self._keyed_word("opening", polynomial(hashes[:4])))
            hour.see("closings", self._keyed_word("closing", polynomial(hashes[-4:])))
            for value in self.shingles(hashes, len(data)):
                hour.see("prompt_shingles", value)
        return self.elicited(tokens, tags)


def nearest(vector: NDArray[np.float32], transposed: NDArray[np.float32], half: NDArray[np.float32]) -> int:
    """Nearest centroid. Where two are as good as equally near, sums run in the order that the definition fixes."""
    scores = vector @ transposed - half
    best = int(np.argmax(scores))
    if np.sum(scores > scores[best] - np.float32(1e-4)) > 1:
        scores = -half
        for weight, row in zip(vector, transposed, strict=True):
            scores = scores + weight * row
        best = int(np.argmax(scores))
    return best


def present(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that count as present: no nulls, no placeholders in optional text."""
    out = {}
    for name, value in record.items():
        if value is None:
            continue
        if isinstance(value, str):
            value = clean(value)
            bare = value.strip("".join(map(chr, range(33))))
            lower = "".join(c.lower() if c.isascii() else c for c in bare)
            is_optional = name not in ("event_id", "account_id", "event_time")
            if is_optional and len(value.encode()) <= 40 and (not bare or lower in PLACEHOLDERS):
                continue
        out[name] = value
    return out


def measure_all(records: Iterable[Mapping[str, Any]], naive: Naive) -> dict[tuple[str, int], dict[str, Any]]:
    """(account, epoch hour) -> columns; of records with one event_id, the first counts."""
    hours: dict[tuple[str, int], Hour] = {}
    seen: set[str] = set()
    for record in records:
        if record["event_id"] in seen:
            continue
        seen.add(record["event_id"])
        key = (clean(record["account_id"]), milliseconds(record["event_time"]) // 3_600_000)
        naive.measure(record, hours.setdefault(key, Hour()))
    return {key: hour.row() for key, hour in hours.items()}
