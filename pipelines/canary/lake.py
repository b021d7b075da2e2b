"""What every account was answered with, as the lake remembers it: sampled, keyed shingles of responses."""

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.arrays import run_starts
from pipelines.lake.tables import Lake
from pipelines.rank.horizon import span


def received_shingles(lake: Lake, days: float) -> tuple[list[str], list[NDArray[np.int64]]]:
    """Accounts of the horizon, and int64[m] each: one in 32 shingles, at most 64 per hour, without repeats.

    Raises ScarecrowError when the lake holds no requests.
    """
    accounts: list[str] = []
    received: list[NDArray[np.int64]] = []
    for rows in span(lake, days).parts():
        sketch = rows.sketches["response_shingles"]
        owner = np.repeat(rows.codes.astype(np.int64), np.diff(sketch.offsets))
        order = np.lexsort((sketch.keys, owner))
        owner, keys = owner[order], sketch.keys[order]
        first = run_starts(owner, keys)
        owner, keys = owner[first], keys[first]
        bounds = np.searchsorted(owner, np.arange(len(rows.accounts) + 1))
        received += [keys[bounds[i] : bounds[i + 1]] for i in range(len(rows.accounts))]
        accounts += rows.accounts.to_pylist()
    return accounts, received
