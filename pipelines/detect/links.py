"""Links of shared metadata: which accounts have a network, payment means, key or prompt in common.

Belongs here: the shared values with their weights, the pairs that the mart's account_links shows, and what is
computed over pairs. Links by prompts are in `same_source`; what links say about an account in
`families.linkage`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from pipelines.detect.arrays import owners_of, run_lengths, run_starts
from pipelines.ingest.fold import Rows
from schemas.account_hour import UNKNOWN_TIME

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS: Final = ("network", "payment", "api_key", "tool_schema", "system_prompt", "tls")
_SKETCH: Final = {
    "network": "networks",
    "payment": "payments",
    "api_key": "api_keys",
    "tool_schema": "tool_schemas",
    "system_prompt": "system_prompts",
    "tls": "tls",
}
SKETCHES: Final = (*_SKETCH.values(), "orgs")
"""What links are read off."""
POPULAR: Final = 0.05
"""Share of the accounts from which a shared value says nothing."""
CLIQUE: Final = 12
"""Accounts up to which all pairs of a shared value are listed; of more, each is paired with the next NEXT
ones.
"""
NEXT: Final = 4
SLICE: Final = 500_000
"""Links that are rows at a time."""
_DAY_MS: Final = 86_400_000
_SILENT_MS: Final = 2 * _DAY_MS


@dataclass(frozen=True)
class Shared:
    """Values of one kind that at least two accounts share.

    n: number of accounts. known: bool[n], whether an account has any value of the kind. account, value:
    int64[m], ordered by value and account; values are numbered from 0. users: int64[m], accounts with the
    value. others: int64[m], those of them in other organisations. weight: float64[m] nats, ln(N / users) less
    ln(1 / POPULAR).
    """

    kind: str
    n: int
    known: NDArray[np.bool_]
    account: Ints
    value: Ints
    users: Ints
    others: Ints
    weight: Floats


@dataclass(frozen=True)
class Pairs:
    """Linked pairs a < b, ordered by a, b, kind. a, b, kind: int64[m]. users: int64[m]. weight: float64[m]
    nats.
    """

    a: Ints
    b: Ints
    kind: Ints
    users: Ints
    weight: Floats


def organisations(rows: Rows) -> Ints:
    """A number for each account's organisation, int64[n]; an account without one, or with a popular one,
    is its own.
    """
    orgs = rows.sketches["orgs"]
    n = len(rows)
    out = -1 - np.arange(n, dtype=np.int64)
    some = np.diff(orgs.offsets) > 0
    first = orgs.keys[orgs.offsets[:-1][some]]
    _, code, users = np.unique(first, return_inverse=True, return_counts=True)
    out[np.flatnonzero(some)] = np.where(users[code] <= max(2.0, POPULAR * n), code, out[some])
    return out


def shared(rows: Rows, kind: str, orgs: Ints) -> Shared:
    """The shared values of a kind. rows: one per account; orgs: from `organisations`."""
    entries = rows.sketches[_SKETCH[kind]]
    n = len(rows)
    known = np.diff(entries.offsets) > 0
    account = owners_of(entries.offsets)
    order = np.lexsort((account, entries.keys))
    keys, account = entries.keys[order], account[order]
    start = run_starts(keys)
    users = run_lengths(start, len(keys))
    value = np.repeat(np.arange(len(start)), users)
    both = np.lexsort((orgs[account], value))
    runs = run_starts(value[both], orgs[account][both])
    size = run_lengths(runs, len(both))
    same = np.empty(len(both), dtype=np.int64)
    same[both] = np.repeat(size, size)
    kept = users[value] >= 2
    account, value, same, df = account[kept], value[kept], same[kept], users[value][kept]
    total = max(int(known.sum()), 1)
    weight = np.maximum(np.log(total / np.maximum(df, 1)) + np.log(POPULAR), 0.0)
    return Shared(
        kind,
        n,
        known,
        account,
        np.unique(value, return_inverse=True)[1].astype(np.int64),
        df,
        df - same,
        weight,
    )


def ties(s: Shared) -> Floats:
    """How many accounts of other organisations each account shares values with, discounted by popularity:
    float64[n].

    A value shared by two accounts counts its other user whole, one that POPULAR of the accounts share counts
    nothing. NaN for accounts without the kind.
    """
    total = max(int(s.known.sum()), 1)
    most = max(np.log(total / 2) + np.log(POPULAR), 1e-9)
    out = np.bincount(s.account, weights=s.others * s.weight / most, minlength=s.n)
    return np.where(s.known, out, np.nan)


def expand(kinds: dict[str, Shared]) -> Pairs:
    """Pairs of accounts with a value in common that is not popular; linear in the number of (account, value)
    entries.

    Values of at most CLIQUE accounts give all their pairs; of larger ones each account is paired with the
    NEXT following it, in a ring, so that the group stays connected.
    """
    parts = [_expand(s, KINDS.index(kind)) for kind, s in kinds.items()]
    a, b, kind, users, weight = (np.concatenate([part[k] for part in parts]) for k in range(5))
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((-weight, kind, high, low))
    low, high, kind, users, weight = low[order], high[order], kind[order], users[order], weight[order]
    new = run_starts(low, high, kind)
    return Pairs(low[new], high[new], kind[new], users[new], weight[new])


def _expand(s: Shared, kind: int) -> tuple[Ints, Ints, Ints, Ints, Floats]:
    start = run_starts(s.value)
    size = run_lengths(start, len(s.value))
    begin, count = np.repeat(start, size), np.repeat(size, size)
    place = np.arange(len(s.value)) - begin
    a, b = [], []
    rows = np.arange(len(s.value))
    for step in range(1, CLIQUE):
        small = (s.weight > 0) & (count <= CLIQUE) & (place + step < count)
        large = (s.weight > 0) & (count > CLIQUE) & (step <= NEXT)
        chosen = np.flatnonzero(small | large)
        a.append(rows[chosen])
        b.append(begin[chosen] + (place[chosen] + step) % count[chosen])
    first, second = np.concatenate(a), np.concatenate(b)
    return (
        s.account[first],
        s.account[second],
        np.full(len(first), kind),
        s.users[first],
        s.weight[first],
    )


def shared_values(rows: Rows) -> dict[str, Shared]:
    """The shared values of every kind. rows: one per account."""
    orgs = organisations(rows)
    return {kind: shared(rows, kind, orgs) for kind in KINDS}


def account_links(ids: pa.Array, pairs: Pairs, most: int = SLICE) -> Iterator[pl.DataFrame]:
    """account_a, account_b, kind, weight, evidence, ordered: the mart's account_links without as_of, `most` at a time.

    ids: of the accounts, ascending. Links of shared metadata only.
    """
    names, kinds = pl.Series("id", ids), pl.Series("kind", list(KINDS))
    thing = pl.col("kind").str.replace_all("_", " ")
    evidence = pl.format("one {} of {} accounts", thing, "users").alias("evidence")
    for begin in range(0, max(len(pairs.a), 1), most):
        some = slice(begin, begin + most)
        found = pl.DataFrame(
            {
                "account_a": names.gather(pairs.a[some]),
                "account_b": names.gather(pairs.b[some]),
                "kind": kinds.gather(pairs.kind[some]),
                "weight": pairs.weight[some],
                "users": pairs.users[some],
            }
        )
        yield found.select("account_a", "account_b", "kind", "weight", evidence)


def birth_after(rows: Rows, pairs: Pairs, as_of_ms: int) -> Floats:
    """How many linked accounts fell silent within the two days before an account's creation: float64[n].

    Silent: no call in the last two days of the horizon. NaN when the creation time is unknown or before the
    horizon.
    """
    n = len(rows)
    created = rows.created
    begin = int(rows.first.min(initial=UNKNOWN_TIME))
    young = (created != UNKNOWN_TIME) & (created >= begin)
    born = np.where(young, created, 0)
    kept = run_starts(pairs.a, pairs.b)
    first, second = pairs.a[kept], pairs.b[kept]
    out = np.zeros(n)
    for child, parent in ((first, second), (second, first)):
        wait = born[child] - rows.last[parent]
        replaced = (
            young[child] & (wait >= 0) & (wait <= _SILENT_MS) & (as_of_ms - rows.last[parent] > _SILENT_MS)
        )
        out += np.bincount(child[replaced], minlength=n)
    return np.where(young, out, np.nan)


@njit(cache=True, nogil=True)
def _together(offsets: Ints, minutes: Ints, a: Ints, b: Ints, out: Floats) -> None:
    """Shared minutes beyond what shared hours lead to expect, in standard errors, for each pair."""
    for k in range(len(a)):
        i, j = offsets[a[k]], offsets[b[k]]
        end_i, end_j = offsets[a[k] + 1], offsets[b[k] + 1]
        expected = 0.0
        same = 0.0
        while i < end_i and j < end_j:
            hour_i, hour_j = minutes[i] // 60, minutes[j] // 60
            if hour_i < hour_j:
                i += 1
            elif hour_j < hour_i:
                j += 1
            else:
                top_i, top_j = i, j
                while top_i < end_i and minutes[top_i] // 60 == hour_i:
                    top_i += 1
                while top_j < end_j and minutes[top_j] // 60 == hour_i:
                    top_j += 1
                expected += (top_i - i) * (top_j - j) / 60.0
                while i < top_i and j < top_j:
                    if minutes[i] == minutes[j]:
                        same += 1
                        i += 1
                        j += 1
                    elif minutes[i] < minutes[j]:
                        i += 1
                    else:
                        j += 1
                i, j = top_i, top_j
        out[k] = (same - expected) / np.sqrt(expected + 1)


def togetherness(rows: Rows, pairs: Pairs) -> Floats:
    """The most extreme synchrony of an account with one it is linked to, in standard errors: float64[n].

    Positive: calls in the same minutes; negative: complementary minutes of the same hours. NaN without links.
    """
    n = len(rows)
    minutes = rows.sketches["minutes"]
    kept = run_starts(pairs.a, pairs.b)
    a, b = pairs.a[kept], pairs.b[kept]
    score = np.empty(len(kept))
    _together(minutes.offsets, minutes.keys.astype(np.int64, copy=False), a, b, score)
    high, low = np.full(n, -np.inf), np.full(n, np.inf)
    for side in (a, b):
        np.maximum.at(high, side, score)
        np.minimum.at(low, side, score)
    extreme = np.where(high >= -low, high, low)
    return np.where(np.isfinite(extreme), extreme, np.nan)
