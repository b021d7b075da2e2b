"""Large worlds in bounded memory: how the accounts are cut into blocks that are built and written one by one.

Belongs here: arithmetic. The first block holds every campaign; the others are more of the same ordinary population.
"""

from __future__ import annotations

from pipelines.errors import UsageError
from pipelines.simulate.look_alikes import LOOK_ALIKES

BLOCK = 25_000
"""Accounts of a block; a fortnight of them takes some 700 MiB while it is built."""
MOST_ACCOUNTS = 5_000_000


def fewest_accounts() -> int:
    """Accounts that one group of every ordinary class needs, and some people."""
    return sum(look_alike.group[0] for look_alike in LOOK_ALIKES) + 20


def block_sizes(accounts: int, harvesting: int, background: float) -> list[int]:
    """Accounts of each block.

    accounts: of the world, `harvesting` of them in campaigns. background: how many times its ordinary accounts there
    are. Worlds of up to two blocks are one, as they are at home in memory. Raises UsageError out of range.
    """
    if not 1 <= background <= 1000:
        raise UsageError(
            f"A background of {background} is out of range; use 1 to 1000 times the ordinary accounts."
        )
    total = harvesting + round(background * (accounts - harvesting))
    if total > MOST_ACCOUNTS:
        raise UsageError(
            f"A world of {total:,} accounts is out of range; use at most {MOST_ACCOUNTS:,} with the background."
        )
    first = accounts if accounts <= 2 * BLOCK else max(BLOCK, 2 * (harvesting + fewest_accounts()))
    if total - first < fewest_accounts():
        return [total]
    left, sizes = total - first, [first]
    while left > 0:
        size = left if left < BLOCK + fewest_accounts() else BLOCK
        sizes.append(size)
        left -= size
    return sizes


def block_seed(seed: int, block: int) -> int:
    """Seed of a block; that of the first is the world's."""
    return seed + (block << 32)
