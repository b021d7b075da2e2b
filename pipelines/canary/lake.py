"""What every account was answered with, as the lake remembers it: sampled, keyed shingles of responses."""

import numpy as np
from numpy.typing import NDArray

from pipelines.lake.tables import Lake
from pipelines.rank.horizon import read_horizon


def received_shingles(lake: Lake, days: float) -> tuple[list[str], list[NDArray[np.int64]]]:
    """Accounts of the horizon, and int64[m] each: one in 32 shingles, at most 64 per hour, without repeats.

    Raises ScarecrowError when the lake holds no requests.
    """
    rows = read_horizon(lake, days).hours
    sketch = rows.sketches["response_shingles"]
    owner = np.repeat(rows.codes.astype(np.int64), np.diff(sketch.offsets))
    order = np.lexsort((sketch.keys, owner))
    owner, keys = owner[order], sketch.keys[order]
    first = np.ones(len(keys), dtype=np.bool_)
    first[1:] = (owner[1:] != owner[:-1]) | (keys[1:] != keys[:-1])
    owner, keys = owner[first], keys[first]
    bounds = np.searchsorted(owner, np.arange(len(rows.accounts) + 1))
    parts = [keys[bounds[i] : bounds[i + 1]] for i in range(len(rows.accounts))]
    return rows.accounts.to_pylist(), parts
