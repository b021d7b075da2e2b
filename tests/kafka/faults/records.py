"""Numbered records: what the producer writes, and the same numbers read back from a lake.

A record is (partition, sequence). Its account is one of blocks of eight sequences, and it asks with 16^(sequence
mod 8) prompt tokens: the sum of an account's prompt tokens, written in hexadecimal, shows digit by digit how often
each of its eight records was counted (up to 15 times), whatever rows they were folded into. Some records are
broken on purpose; the rejects table tells them by their place in the log.
"""

import json
import random
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from pipelines.lake.tables import read
from schemas.account_hour import ACCOUNT_HOURS, REJECTS
from tests.ingest.records import HOUR_MS, NOON, record

BLOCK = 8
_BROKEN_EVERY = 29

Number = tuple[int, int]
"""(partition the number was drawn for, sequence)."""


def is_broken(number: Number) -> bool:
    """Whether the record of that number is one that nobody can decode."""
    return number[1] % _BROKEN_EVERY == _BROKEN_EVERY // 2


def key_of(number: Number) -> bytes:
    """The record's key in Kafka."""
    return b"%d-%d" % number


def number_of(key: bytes) -> Number:
    """The inverse of key_of."""
    partition, sequence = key.split(b"-")
    return int(partition), int(sequence)


def value_of(number: Number) -> bytes:
    """The record itself: a native request record, the same bytes whenever it is asked for."""
    partition, sequence = number
    if is_broken(number):
        return b'{"event_id": "%d-%d", "account_id"' % number
    made = record(random.Random((partition << 40) | sequence), sequence)
    made |= {
        "event_id": f"{partition}-{sequence}",
        "event_time": NOON + (sequence // 64) % 2 * HOUR_MS + sequence % HOUR_MS,
        "account_id": f"p{partition}-{sequence // BLOCK}",
        "prompt_tokens": 16 ** (sequence % BLOCK),
    }
    return json.dumps(made).encode()


def counted(hours: DeltaTable) -> Counter[Number]:
    """How often each number is counted in account_hours. Raises AssertionError where two columns disagree."""
    table = read(hours, ACCOUNT_HOURS, hours.file_uris(), ["account_id", "requests", "prompt_tokens"])
    sums = table.group_by("account_id").aggregate([("requests", "sum"), ("prompt_tokens", "sum")])
    found: Counter[Number] = Counter()
    for account, requests, tokens in zip(*(sums[name].to_pylist() for name in _SUMS), strict=True):
        partition, _, block = account.removeprefix("p").partition("-")
        digits = [(tokens >> (4 * place)) & 15 for place in range(BLOCK + 1)]
        assert sum(digits) == requests, f"{account}: {requests} requests, but {tokens:x} prompt tokens"
        for place, times in enumerate(digits[:BLOCK]):
            if times:
                found[int(partition), int(block) * BLOCK + place] = times
    return found


_SUMS = ("account_id", "requests_sum", "prompt_tokens_sum")


def rejected(table: DeltaTable) -> Counter[str]:
    """How often each `topic[partition]@offset` is in the rejects."""
    positions: pa.ChunkedArray = read(table, REJECTS, table.file_uris(), ["position"])["position"]
    return Counter({c["values"]: c["counts"] for c in pc.value_counts(positions).to_pylist()})
