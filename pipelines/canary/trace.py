"""Trace: which accounts received what stands in a suspect data set, and how likely each match is by accident.

A *unit* is what is looked for: with a registry, an answer; with a lake, a sampled shingle of an answer. A
unit of account a is found by accident with probability pi, which is estimated where the data set does not
come from a:

    pi_a = (1 + k_ref) / (1 + n_ref)            k_ref of n_ref reference units were found

The reference is the controls (answers given to nobody) when there are at least 20, else the units of all
other accounts (and controls), which is too high, never too low, when some of them leaked. With n_a units and
k_a found,

    p_a = P(Binomial(n_a, pi_a) >= k_a),        reported: min(1, A p_a) over A accounts (Bonferroni)

Only shingles that one owner alone received count, so that what all variants of an answer share says nothing.
A 63-bit hash collides with probability below S N / 2^63 for S and N hashes compared, which is reported too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from pipelines.canary.registry import Answer

MIN_SHINGLES: Final = 8
"""An answer with fewer shingles of its own cannot be told from its variants."""
MIN_HITS: Final = 3
MIN_SHARE: Final = 0.2
"""An answer is found when so many, and this share, of its own shingles are."""
MIN_CONTROLS: Final = 20


@dataclass(frozen=True)
class Match:
    """An account. units: what it received and can be told; found: in the data set. p_value: see the module."""

    account_id: str
    units: int
    found: int
    p_value: float


@dataclass(frozen=True)
class Trace:
    """matches: accounts with something found, the surest first. accounts: looked for. controls: reference
    answers, controls_found: of them. untold: answers that cannot be told from their variants. compared:
    hashes of the data set. collision_p: bound on any match by a hash collision.
    """

    matches: list[Match]
    accounts: int
    units: int
    controls: int
    controls_found: int
    untold: int
    compared: int
    collision_p: float


def trace_answers(answers: Sequence[Answer], suspect: Iterable[NDArray[np.int64]]) -> Trace:
    """Look for registered answers."""
    # Every control is an owner of its own: it was given to nobody.
    names = [a.account_id if a.account_id is not None else number for number, a in enumerate(answers)]
    hashes, starts = _joined([a.shingles for a in answers])
    owners = np.unique(np.array([str(type(n)) + str(n) for n in names], dtype=object), return_inverse=True)[1]
    answer_of = np.repeat(np.arange(len(answers)), np.diff(starts))
    own = _owned_once(hashes, owners[answer_of] if len(answers) else answer_of)
    seen, compared = _seen(hashes, suspect)
    units = np.bincount(answer_of[own], minlength=len(answers))
    hits = np.bincount(answer_of[own & seen], minlength=len(answers))
    can_tell = units >= MIN_SHINGLES
    found = can_tell & (hits >= MIN_HITS) & (hits >= MIN_SHARE * units)
    is_control = np.array([a.account_id is None for a in answers], dtype=np.bool_)
    accounts = sorted({a.account_id for a in answers if a.account_id is not None})
    place = {account: number for number, account in enumerate(accounts)}
    of_account = np.array(
        [-1 if a.account_id is None else place[a.account_id] for a in answers], dtype=np.int64
    )
    mine = can_tell & ~is_control
    n = np.bincount(of_account[mine], minlength=len(accounts))
    k = np.bincount(of_account[mine & found], minlength=len(accounts))
    controls, controls_found = int((can_tell & is_control).sum()), int((found & is_control).sum())
    return Trace(
        _matches(accounts, n, k, controls, controls_found),
        len(accounts),
        int(n.sum()),
        controls,
        controls_found,
        int((~can_tell).sum()),
        compared,
        _collision(int(own.sum()), compared),
    )


def trace_accounts(
    accounts: Sequence[str], received: Sequence[NDArray[np.int64]], suspect: Iterable[NDArray[np.int64]]
) -> Trace:
    """Look for the sampled shingles of all answers. received: int64[m] per account, without repeats."""
    hashes, starts = _joined(received)
    owner = np.repeat(np.arange(len(accounts)), np.diff(starts))
    own = _owned_once(hashes, owner)
    seen, compared = _seen(hashes, suspect)
    n = np.bincount(owner[own], minlength=len(accounts))
    k = np.bincount(owner[own & seen], minlength=len(accounts))
    return Trace(
        [m for m in _matches(accounts, n, k, 0, 0) if m.found >= MIN_HITS],
        int((n > 0).sum()),
        int(n.sum()),
        0,
        0,
        int((n == 0).sum()),
        compared,
        _collision(int(own.sum()), compared),
    )


def _matches(
    accounts: Sequence[str],
    n: NDArray[np.int64],
    k: NDArray[np.int64],
    controls: int,
    controls_found: int,
) -> list[Match]:
    tested = int((n > 0).sum())
    if controls >= MIN_CONTROLS:
        k_ref, n_ref = np.full(len(n), controls_found), np.full(len(n), controls)
    else:
        k_ref, n_ref = k.sum() - k + controls_found, n.sum() - n + controls
    pi = np.minimum(1.0, (1 + k_ref) / (1 + n_ref))
    p = np.minimum(1.0, binom.sf(k - 1, n, pi) * tested)
    found = [Match(accounts[i], int(n[i]), int(k[i]), float(p[i])) for i in np.flatnonzero(k).tolist()]
    return sorted(found, key=lambda m: (m.p_value, -m.found, m.account_id))


def _joined(parts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.concatenate(([0], np.cumsum([len(p) for p in parts], dtype=np.int64)))
    hashes = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return hashes.astype(np.int64, copy=False), starts.astype(np.int64)


def _owned_once(hashes: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[m]: the hash occurs with one owner only."""
    _, place = np.unique(hashes, return_inverse=True)
    size = int(place.max()) + 1 if len(place) else 0
    lowest, highest = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    np.minimum.at(lowest, place, owners)
    np.maximum.at(highest, place, owners)
    return np.asarray((lowest == highest)[place]) if size else np.zeros(0, dtype=np.bool_)


def _seen(hashes: NDArray[np.int64], suspect: Iterable[NDArray[np.int64]]) -> tuple[NDArray[np.bool_], int]:
    distinct, place = np.unique(hashes, return_inverse=True)
    seen = np.zeros(len(distinct), dtype=np.bool_)
    compared = 0
    for piece in suspect:
        compared += len(piece)
        at = np.minimum(np.searchsorted(distinct, piece), max(0, len(distinct) - 1))
        if len(distinct):
            seen[at[distinct[at] == piece]] = True
    return (seen[place] if len(distinct) else np.zeros(0, dtype=np.bool_)), compared


def _collision(hashes: int, compared: int) -> float:
    return min(1.0, hashes * compared / 2.0**63)
