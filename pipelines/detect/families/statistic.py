"""What an evidence family yields before calibration: values, the side that is suspect, and words."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.calibrate import Tail

Floats = NDArray[np.float64]

MIN_CALLS: Final = 12
"""Calls below which a statistic of one account is insufficient (METHOD section 3)."""


@dataclass(frozen=True)
class Statistic:
    """One statistic of n accounts. values: float64[n], NaN when a field is missing or there are too few
    calls.

    tail: which side is suspect. ordinary_cause, words: as in `evidence.Evidence`. weight: in its
    family's combination, more for what is specific to one hand, less for what varies by itself.
    """

    reason: str
    values: Floats
    tail: Tail
    ordinary_cause: str
    words: str
    weight: float = 1.0


def enough(values: Floats, count: NDArray[np.int64] | Floats, least: int = MIN_CALLS) -> Floats:
    """values where count is at least `least`, NaN elsewhere."""
    return np.where(count >= least, values, np.nan)
