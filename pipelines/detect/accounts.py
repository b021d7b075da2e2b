"""Accounts as arrays: what the group measures read from folded profiles.

Belongs here: the view of `Rows` (one row per account) as counts, cell histograms and prompt samples. Not here: any
statistic that compares accounts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from pipelines.detect.arrays import owners_of, per_row
from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import Entries, Rows
from schemas.account_hour import PROMPT_SAMPLE

LONG_PROMPT: Final = 25
"""Bytes above which two equal prompts are no coincidence ("yes" and "thank you" are; METHOD 3.2)."""
POPULAR: Final = 0.01
LEAST_POPULAR: Final = 20
"""Share of the accounts, and their number, above which a prompt that they all ask ("make it shorter") tells nothing of
where an account's prompts come from."""
_ROWS: Final = 100_000
"""Accounts whose prompts are counted by cell at a time."""


@dataclass(frozen=True)
class Sample:
    """The prompt samples of all accounts, one entry per account and distinct prompt, in order of account and hash.

    hashes: int64[m]. cells: int32[m], -1 without a cell. telling: bool[m], longer prompts that few accounts ask.
    counts: int64[m] requests. offsets: int64[accounts + 1].
    """

    hashes: NDArray[np.int64]
    cells: NDArray[np.int32]
    telling: NDArray[np.bool_]
    counts: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def owner(self) -> NDArray[np.int64]:
        """Account row of each entry, int64[m], made when it is asked for."""
        return owners_of(self.offsets)


@dataclass(frozen=True)
class Accounts:
    """A accounts, ascending by the bytes of their id.

    ids: string[A]. requests, completion_tokens, first_ms, last_ms: int64[A]. histogram: csr float64[A, cells], the
    distinct prompts of the sample by cell, without popular ones. prompts: float64[A], the sums of its rows. distinct:
    float64[A], estimate of all distinct prompts. repeats: float64[A], share of requests that repeat a prompt of the
    account. first_turns: float64[A], share of requests that open a conversation; 1 where turn_index is missing.
    has_turns: bool[A]. org: int64[A], commonest organisation (keyed hash), 0 when unknown.
    """

    ids: pa.Array
    requests: NDArray[np.int64]
    completion_tokens: NDArray[np.int64]
    first_ms: NDArray[np.int64]
    last_ms: NDArray[np.int64]
    histogram: csr_matrix
    prompts: NDArray[np.float64]
    distinct: NDArray[np.float64]
    repeats: NDArray[np.float64]
    first_turns: NDArray[np.float64]
    has_turns: NDArray[np.bool_]
    org: NDArray[np.int64]
    sample: Sample

    def one_org_share(self, members: NDArray[np.int64]) -> float:
        """Share of members whose organisation is the group's commonest; 0 when none is known."""
        known = self.org[members]
        _, count = np.unique(known[known != 0], return_counts=True)
        return float(count.max(initial=0)) / max(len(members), 1)

    def __len__(self) -> int:
        return len(self.requests)


def view(profiles: Rows, cells: int) -> Accounts:
    """The view of profiles folded to one row per account; cells: size of the prompt map.

    Raises ScarecrowError when an account has several rows or a cell lies outside the map.
    """
    size = len(profiles)
    ids = profiles.accounts.take(pa.array(profiles.codes))
    if size > 1 and bool(np.any(np.diff(profiles.codes) <= 0)):
        raise ScarecrowError(
            f"profiles hold {size} rows for {pc.count_distinct(ids).as_py()} accounts or are out of order; "
            "fold them over the whole horizon first"
        )
    entries = profiles.sketches["prompts"]
    where = np.asarray(entries.payloads["prompt_cells"], dtype=np.int32)
    if len(where) and int(where.max()) >= cells:
        raise ScarecrowError(
            f"profiles name cell {int(where.max())} and the prompt map has {cells}; use the map they were measured with"
        )
    popular = _popular(entries.keys, size)
    telling = (np.asarray(entries.payloads["prompt_lengths"]) > LONG_PROMPT) & ~popular
    sample = Sample(
        entries.keys.astype(np.int64, copy=False), where, telling, entries.counts, entries.offsets
    )
    histogram = _histogram(entries.offsets, where, (where >= 0) & ~popular, cells)
    sampled = np.diff(entries.offsets).astype(np.float64)
    seen = per_row(entries.offsets, entries.counts)
    repeats = np.where(seen > 0, 1 - sampled / np.maximum(seen, 1), 0.0)
    requests = profiles.sum("requests")
    turns = profiles.sum("with_turn_index")
    distinct = np.where(sampled < PROMPT_SAMPLE, sampled, requests * (1 - repeats))
    first_turns = np.where(turns > 0, profiles.sum("first_turns") / np.maximum(turns, 1), 1.0)
    return Accounts(
        ids=ids,
        requests=requests,
        completion_tokens=profiles.sum("completion_tokens"),
        first_ms=profiles.first,
        last_ms=profiles.last,
        histogram=histogram,
        prompts=np.asarray(histogram.sum(axis=1)).ravel(),
        distinct=distinct,
        repeats=repeats,
        first_turns=first_turns,
        has_turns=turns > 0,
        org=commonest(profiles.sketches["orgs"], 0),
        sample=sample,
    )


def _histogram(
    offsets: NDArray[np.int64], where: NDArray[np.int32], known: NDArray[np.bool_], cells: int
) -> csr_matrix:
    """Entries by cell, csr float64[rows, cells], in slices of the rows. where: the cell of each entry; known: bool[m],
    those that count."""
    parts = []
    for begin in range(0, len(offsets) - 1, _ROWS):
        bounds = offsets[begin : begin + _ROWS + 1]
        inside = slice(int(bounds[0]), int(bounds[-1]))
        kept = known[inside]
        pairs = (owners_of(bounds)[kept], where[inside][kept])
        part = csr_matrix((np.ones(len(pairs[0])), pairs), shape=(len(bounds) - 1, cells))
        part.sum_duplicates()
        parts.append(part)
    return vstack(parts, format="csr") if parts else csr_matrix((0, cells))


def _popular(prompts: NDArray[np.int64], accounts: int) -> NDArray[np.bool_]:
    """Which entries are prompts that very many accounts ask, bool[m]. prompts: [m], one entry for each account and
    prompt of it."""
    ordered = np.sort(prompts)
    most = int(max(LEAST_POPULAR, POPULAR * accounts))
    found = np.unique(ordered[most:][ordered[most:] == ordered[: max(len(ordered) - most, 0)]])
    if len(found) == 0:
        return np.zeros(len(prompts), dtype=np.bool_)
    place = np.minimum(np.searchsorted(found, prompts), len(found) - 1)
    return np.asarray(found[place] == prompts)


def commonest(entries: Entries, missing: int) -> NDArray[np.int64]:
    """The key with most requests of every row (the smaller one on a tie), int64[rows]; `missing` without any."""
    owner = owners_of(entries.offsets)
    order = np.lexsort((entries.keys, -entries.counts, owner))
    first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    out = np.full(len(entries.offsets) - 1, missing, dtype=np.int64)
    out[owner[first]] = entries.keys[first]
    return out
