"""How long is a campaign's list of prompts, and how much of it is taken?

Belongs here: the estimate from what recurs between members, and its interval. Not here: whether there is a list
(`same_source`, `campaigns`).

Two ways of dealing out a list cannot be told apart for certain. Where every member draws for itself, without
replacement, two members with n_i and n_j prompts of a list of L share n_i n_j / L of them on average, and what recurs
gives L (capture-recapture: Petersen, Schnabel 1938). Where one hand deals the list out, nothing recurs at all, whatever
L, and all that is known is what was taken. Dealing can only make less recur than drawing does. So with M matches over
all pairs of members, L lies between the prompts taken and what the fewest matches that are compatible with M would
mean. A few matches are no proof of drawing: retries and cover traffic recur where lists are dealt out, too. So there is
an estimate only where more recurs than by accident. The scatter of the members' means (METHOD 3.2) adds nothing:
measured from the group's own mean it has the same expectation for every L when the list is dealt out, and when members
draw for themselves matches are far more exact.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from pipelines.detect.accounts import Accounts
from pipelines.detect.arrays import entries_of, owners_among
from schemas.account_hour import PROMPT_SAMPLE

LEVEL: Final = 0.95
ACCIDENT: Final = 0.05
"""Share of the prompts that recurs up to which a list may as well have been dealt out (METHOD section 4): no estimate,
only bounds."""
HASHES: Final = 2.0**63
"""Number of values of a prompt's hash."""


@dataclass(frozen=True)
class ListSize:
    """Prompts of a list. taken: distinct ones that the members asked. size: of the list, None when hardly anything
    recurs; low, high: interval at LEVEL, high None when nothing limits it. matches: prompts that two members share,
    summed over pairs of members."""

    taken: float
    size: float | None
    low: float
    high: float | None
    matches: int

    @property
    def share(self) -> tuple[float | None, float, float]:
        """Share of the list that is taken: estimate or None, low, high; 0 to 1."""
        if self.low <= 0:
            return None, 0.0, 1.0
        high = min(1.0, self.taken / self.low)
        low = 0.0 if self.high is None else min(high, self.taken / self.high)
        return (None if self.size is None else min(high, max(low, self.taken / self.size))), low, high


def list_size(accounts: Accounts, members: NDArray[np.int64], level: float = LEVEL) -> ListSize:
    """The size of the list behind a group. members: int64[k] account rows, ascending.

    Only telling prompts count: others recur by chance. Samples are the smallest hashes of each account and the hash is
    common to all, so below the smallest threshold of the full samples every member's prompts are known completely,
    which is what is compared; the rest is scaled up. Cover traffic counts as part of the list.
    """
    sample = accounts.sample
    begin, end = sample.offsets[members], sample.offsets[members + 1]
    full = end - begin >= PROMPT_SAMPLE
    limit = int(sample.hashes[end[full] - 1].min()) if full.any() else None
    places = entries_of(sample.offsets, members)
    kept = sample.telling[places]
    if limit is not None:
        kept &= sample.hashes[places] <= limit
    seen = 1.0 if limit is None else (limit + 1) / HASHES
    owner = owners_among(sample.offsets, members)[kept]
    return estimate(owner, sample.hashes[places[kept]], seen, level)


def estimate(
    owner: NDArray[np.int64], prompts: NDArray[np.int64], seen: float = 1.0, level: float = LEVEL
) -> ListSize:
    """The size of a list from who asked what. owner, prompts: int64[m], one entry for each member and distinct prompt
    of it. seen: share of all prompts that could appear here, by chance (a threshold on a hash).

    low is what was taken: certain but for sampling. high divides the pairs of prompts of different members by the lower
    limit of a Poisson mean at the matches seen (Garwood 1936); none without a match.
    """
    if len(prompts) == 0:
        return ListSize(0.0, None, 0.0, None, 0)
    _, times = np.unique(prompts, return_counts=True)
    _, sizes = np.unique(owner, return_counts=True)
    pairs = (float(len(prompts)) ** 2 - float((sizes.astype(np.float64) ** 2).sum())) / 2
    matches = int((times * (times - 1) // 2).sum())
    distinct = len(times)
    taken = distinct / seen
    # With a threshold the distinct prompts are a binomial share of the taken ones.
    spread = np.sqrt(distinct * (1 - seen)) / seen
    low = max(float(distinct), taken - 2 * spread)
    if matches == 0:
        return ListSize(taken, None, low, None, 0)
    # pairs / matches estimates the size of the part of the list below the threshold.
    fewest = float(chi2.ppf((1 - level) / 2, 2 * matches)) / 2
    high = max(low, pairs / fewest / seen)
    recurring = 1 - distinct / len(prompts)
    size = max(taken, pairs / matches / seen) if recurring > ACCIDENT else None
    return ListSize(taken, None if size is None else min(size, high), low, high, matches)
