"""Disjointness: do they share the list without sharing a prompt (METHOD section 4)?

Belongs here: duplicates within and across the members of a group. Not here: repeats of a single account.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.accounts import Accounts
from pipelines.detect.arrays import entries_of, owners_among


@dataclass(frozen=True)
class Overlap:
    """distinct: longer prompts, one for each member that asked it. duplicated: share of them that another member
    asked too. repeated: share of them that a member asked more than once. list_size: estimated size of the list that
    a group without duplicates draws on (capture-recapture over pairs; infinite when nothing recurs)."""

    distinct: int
    duplicated: float
    repeated: float
    list_size: float


def overlap(accounts: Accounts, members: NDArray[np.int64]) -> Overlap:
    """Duplicates among the members' longer prompts. The samples are coordinated (the same keyed hash everywhere), so
    a prompt is seen in two accounts only below the threshold hash of both. Nothing corrects for that here, so
    duplicates of accounts over 256 prompts are understated; `list_size` cuts at the smallest threshold of the full
    samples."""
    sample = accounts.sample
    places = entries_of(sample.offsets, members)
    telling = sample.telling[places]
    places = places[telling]
    hashes = sample.hashes[places]
    if len(hashes) == 0:
        return Overlap(0, 0.0, 0.0, np.inf)
    _, inverse, times = np.unique(hashes, return_inverse=True, return_counts=True)
    recurs = times[inverse] > 1
    total = len(hashes)
    owner = owners_among(sample.offsets, members)[telling]
    owner_size = np.bincount(owner, minlength=len(members)).astype(float)
    across = (total**2 - float((owner_size**2).sum())) / 2
    matches = float((times * (times - 1) / 2).sum())
    return Overlap(
        total,
        float(recurs.mean()),
        float((sample.counts[places] > 1).mean()),
        across / matches if matches else np.inf,
    )
