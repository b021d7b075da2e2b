"""The request table that every population of the simulator fills: one row per API call, columns only.

Belongs here: the columns, how pieces of traffic are made and joined, and how they are ordered by time.
Does not belong here: who asks what (people, look_alikes, campaigns), how an account looks from outside
(identities), and how a row becomes text (render).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

NONE = -1
"""Stands for "not set" in the integer columns."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests as columns of equal length n, in any order.

    account i32: number of the account in the world
    time i64: epoch milliseconds, UTC
    prompt i64: code of the prompt source
    turn i16: 0 = first turn
    conversation i32: world-wide number, NONE = no conversation id
    wrap i16: phrase of `wraps` around the prompt, 0 = none
    answer_of i64: code of the prompt whose answer the request quotes, NONE = none
    system i32: system prompt of the world's table, NONE = none
    tools i16: tool schema, NONE = none
    model i8: NONE = the account's own
    status i16: 0 = drawn from the usual rates
    harvest bool: truth only, the request buys a row of a campaign's list
    """

    account: npt.NDArray[np.int32]
    time: npt.NDArray[np.int64]
    prompt: npt.NDArray[np.int64]
    turn: npt.NDArray[np.int16]
    conversation: npt.NDArray[np.int32]
    wrap: npt.NDArray[np.int16]
    answer_of: npt.NDArray[np.int64]
    system: npt.NDArray[np.int32]
    tools: npt.NDArray[np.int16]
    model: npt.NDArray[np.int8]
    status: npt.NDArray[np.int16]
    harvest: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: npt.NDArray[np.integer]) -> Traffic:
        """The rows at `index`, in that order."""
        return Traffic(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


_DTYPES: dict[str, type[np.generic]] = {
    "account": np.int32,
    "time": np.int64,
    "prompt": np.int64,
    "turn": np.int16,
    "conversation": np.int32,
    "wrap": np.int16,
    "answer_of": np.int64,
    "system": np.int32,
    "tools": np.int16,
    "model": np.int8,
    "status": np.int16,
    "harvest": np.bool_,
}
_DEFAULTS: dict[str, int | bool] = {
    "turn": 0,
    "conversation": NONE,
    "wrap": 0,
    "answer_of": NONE,
    "system": NONE,
    "tools": NONE,
    "model": NONE,
    "status": 0,
    "harvest": False,
}


def traffic(
    account: npt.ArrayLike, time: npt.ArrayLike, prompt: npt.ArrayLike, **columns: npt.ArrayLike
) -> Traffic:
    """Requests of the given columns; a scalar is repeated, a missing optional column takes its default."""
    times = np.asarray(time, dtype=np.int64)
    given: dict[str, npt.ArrayLike] = {"account": account, "time": times, "prompt": prompt, **columns}
    filled = {
        name: np.ascontiguousarray(
            np.broadcast_to(np.asarray(given.get(name, _DEFAULTS.get(name, 0)), dtype=dtype), times.shape)
        )
        for name, dtype in _DTYPES.items()
    }
    return Traffic(**filled)


def concatenate(pieces: Sequence[Traffic]) -> Traffic:
    """All pieces, one after another."""
    if not pieces:
        empty = np.empty(0, dtype=np.int64)
        return traffic(empty, empty, empty)
    return Traffic(
        **{f.name: np.concatenate([getattr(piece, f.name) for piece in pieces]) for f in fields(Traffic)}
    )


def in_time_order(requests: Traffic) -> Traffic:
    """The same requests by time; calls of one millisecond keep their order, so a seed fixes every byte."""
    return requests.take(np.argsort(requests.time, kind="stable"))


class Conversations:
    """Hands out conversation numbers that are unique in one world."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, count: int) -> int:
        """Reserves `count` numbers and returns the first."""
        first = self._next
        self._next += count
        return first
