"""Which offset ranges come next: a fair share of a cycle's budget for every partition that has something new.

Here: arithmetic on offsets, without a broker. Not here: asking for bounds (admin.py), building slices
(source.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """One partition. log_start, end: readable offsets; committed: what the lake holds; first: where a new
    reader starts.
    """

    log_start: int
    end: int
    committed: int | None
    first: int

    @property
    def start(self) -> int:
        """Where the next slice starts: always where the lake stands, even if the broker has lost what comes
        next.
        """
        return self.first if self.committed is None else self.committed

    @property
    def lag(self) -> int:
        """Offsets still to read, without lost ones. An upper bound of records: offsets have gaps."""
        return max(0, self.end - max(self.start, self.log_start))

    @property
    def lost(self) -> tuple[tuple[int, int], ...]:
        """The half-open offset range that was deleted before it was read, if any."""
        if self.committed is None or self.committed >= self.log_start:
            return ()
        return ((self.committed, self.log_start),)


def fair_shares(wanted: Mapping[int, int], budget: int) -> dict[int, int]:
    """How much of `budget` each gets: nobody more than wanted, what some leave is shared by the rest (max-min
    fairness).

    Sums to min(budget, sum of wanted). Deterministic: ties go to the smaller key.
    """
    shares = {}
    left = budget
    order = sorted(wanted, key=lambda key: (wanted[key], key))
    for i, key in enumerate(order):
        shares[key] = min(wanted[key], -(-left // (len(order) - i)))
        left -= shares[key]
    return shares


def next_ranges(partitions: Mapping[int, Bounds], budget: int) -> dict[int, tuple[int, int]]:
    """Per partition with something new: start and end of the next range, about `budget` offsets together.

    A range starts where the lake stands, so that the lake accepts it; lost offsets in front of the log cost
    no budget. Every partition with something new gets at least one offset, so that none waits for ever.
    """
    new = {number: b for number, b in partitions.items() if b.end > b.start}
    shares = fair_shares({number: b.lag for number, b in new.items()}, max(budget, len(new)))
    ranges = {}
    for number, bounds in new.items():
        begin = min(max(bounds.start, bounds.log_start), bounds.end)
        end = begin + shares[number]
        if end > bounds.start:
            ranges[number] = (bounds.start, end)
    return ranges
