"""What account-level evidence looks like to the ranking, and the one function that gathers all of it.

Belongs here: the interface between the evidence families (`families`), their calibration (`calibrate`) and the
ranking (`score`). Not here: any statistic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Evidence:
    """One reason for all accounts; arrays are float64[accounts], in the order of the profiles.

    family: one of `schemas.mart.FAMILIES`. reason: a stable name in snake case. values: what was seen, NaN when
    a field is missing or there are too few requests. p_values: conformal within the account's stratum, NaN when
    unavailable. peer_median, peer_percentile: of the stratum, the latter in percent; NaN without peers.
    contribution: nats added to the score, 0 when unavailable; contributions of one family are bounded together
    by `calibrate.BOUNDS`. ordinary_cause: what would explain it innocently. words: a `str.format` template with
    the fields value and peer_median.
    """

    family: str
    reason: str
    values: NDArray[np.float64]
    p_values: NDArray[np.float64]
    peer_median: NDArray[np.float64]
    peer_percentile: NDArray[np.float64]
    contribution: NDArray[np.float64]
    ordinary_cause: str
    words: str
