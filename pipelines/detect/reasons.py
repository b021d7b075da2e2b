"""Why accounts stand where they stand, as rows and in words, some accounts at a time.

A million accounts have tens of millions of reasons: they stay what evidence is, arrays by reason, until somebody writes
them. Belongs here: the rows of account_reasons and the words of suspect_accounts. Not here: what a reason is worth.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.detect.evidence import Evidence

TIME: Final = pa.timestamp("us", "UTC")
SCHEMA: Final = pa.schema(
    [
        ("as_of", TIME), ("id", pa.string()), ("family", pa.string()), ("reason", pa.string()), ("value", pa.float64()),
        ("peer_median", pa.float64()), ("peer_percentile", pa.float64()), ("contribution", pa.float64()),
        ("ordinary_cause", pa.string()),
    ]
)  # fmt: skip
WORDS: Final = 5
"""Reasons told per account."""
_LEAST_NATS: Final = 0.05
_ACCOUNTS: Final = 20_000
"""Accounts whose reasons are rows, or words, at a time."""


@dataclass(frozen=True)
class AccountReasons:
    """Reasons of all accounts. ids: string[A], ascending. evidence: what they are made of, in the order in which they
    are summed. weights: factors of families, 1 where none is given."""

    ids: pa.Array
    evidence: tuple[Evidence, ...]
    as_of_ms: int
    weights: Mapping[str, float] = field(default_factory=dict)

    def scores(self) -> NDArray[np.float64]:
        """What the reasons of each account add up to, float64[A] nats; always in one order, so the same bit for bit."""
        score = np.zeros(len(self.ids))
        for e in self.evidence:
            score += e.contribution * self._weight(e)
        return score

    def tables(self, is_told: NDArray[np.bool_] | None = None) -> Iterator[pa.Table]:
        """Rows of SCHEMA, one per account and reason that counts, or is unavailable to an account of is_told (bool[A];
        all when None). By account ranges, ascending."""
        for begin in range(0, len(self.ids), _ACCOUNTS):
            some = slice(begin, min(begin + _ACCOUNTS, len(self.ids)))
            yield pa.concat_tables(
                self._rows(e, some, None if is_told is None else is_told[some]) for e in self.evidence
            )

    def table(self) -> pa.Table:
        """All rows at once."""
        return pa.concat_tables([SCHEMA.empty_table(), *self.tables()])

    def _weight(self, e: Evidence) -> float:
        return self.weights.get(e.family, 1.0)

    def _rows(self, e: Evidence, some: slice, is_told: NDArray[np.bool_] | None) -> pa.Table:
        nats = e.contribution[some] * self._weight(e)
        told = (e.contribution[some] != 0) | np.isnan(e.values[some])
        rows = np.flatnonzero(told if is_told is None else (nats != 0) | (told & is_told))
        places = rows + some.start
        return pa.table(
            [
                stamps(self.as_of_ms, len(rows)),
                self.ids.take(pa.array(places)),
                _repeated(e.family, len(rows)),
                _repeated(e.reason, len(rows)),
                *(
                    pa.array(column, pa.float64(), from_pandas=True)
                    for column in (e.values[places], e.medians_at(places), e.peer_percentile[places])
                ),
                pa.array(nats[rows], pa.float64()),
                _repeated(e.ordinary_cause, len(rows)),
            ],
            schema=SCHEMA,
        )


def stamps(as_of_ms: int, rows: int) -> pa.Array:
    """One time for every row. as_of_ms: epoch milliseconds."""
    return pa.array(np.full(rows, as_of_ms * 1000, dtype=np.int64)).cast(TIME)


def _repeated(text: str, times: int) -> pa.Array:
    return pa.array([text], pa.string()).take(pa.array(np.zeros(times, dtype=np.int32)))


def words(evidence: Sequence[Evidence], size: int, said: Mapping[int, str]) -> pa.Array:
    """The strongest reasons of every account in words, list<string>[size]. said: by account, what is said before all
    and in the place of its own list."""
    parts = [
        pa.array(_words(evidence, begin, min(begin + _ACCOUNTS, size), said), pa.list_(pa.string()))
        for begin in range(0, size, _ACCOUNTS)
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.list_(pa.string()))


def _words(evidence: Sequence[Evidence], begin: int, end: int, said: Mapping[int, str]) -> list[list[str]]:
    told: list[list[tuple[float, str]]] = [[] for _ in range(end - begin)]
    nats = np.stack([e.contribution[begin:end] for e in evidence])
    # Only what may be among the first is put into words; ties are told apart by them.
    least = np.partition(nats, -WORDS, axis=0)[-WORDS] if len(nats) > WORDS else np.full(end - begin, -np.inf)
    least[[account - begin for account in said if begin <= account < end]] = -np.inf
    for e, own in zip(evidence, nats, strict=True):
        rows = np.flatnonzero((own > _LEAST_NATS) & (own >= least))
        values, medians = e.values[rows + begin].tolist(), e.medians_at(rows + begin).tolist()
        for i, value, peers, worth in zip(rows.tolist(), values, medians, own[rows].tolist(), strict=True):
            told[i].append((-worth, e.words.format(value=value, peer_median=peers)))
    for account, text in said.items():
        if begin <= account < end:
            others = [t for t in told[account - begin] if not t[1].startswith("draws on a list")]
            told[account - begin] = [(-np.inf, text), *others]
    return [[text for _, text in sorted(entries)[:WORDS]] for entries in told]
