"""Clients that send a throttled or failed call again, as every SDK does.

Belongs here: which calls fail, which come again, and when. Does not belong here: what a failed call looks like in
the log (render).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.simulate.requests import Traffic, concatenate

STATUSES = np.array([200, 429, 400, 500, 529], dtype=np.int16)
STATUS_SHARES = np.array([0.968, 0.015, 0.009, 0.005, 0.003])
RETRYABLE = (429, 500, 529)
FAILS_AGAIN = 0.25
MOST_TRIES = 4


def with_retries(requests: Traffic, share: float, latest: int, rng: np.random.Generator) -> Traffic:
    """The requests with a status each, and further tries behind `share` (0..1) of those that failed for a while.

    Pauses double from about a second on, as the usual SDKs wait; what would come after `latest` (epoch ms) is not
    tried. The last try is answered, and only that one buys (`harvest`).
    """
    drawn = rng.choice(STATUSES, len(requests), p=STATUS_SHARES)
    status = np.where(requests.status > 0, requests.status, drawn).astype(np.int16)
    failed = (requests.status <= 0) & np.isin(status, RETRYABLE) & (rng.random(len(requests)) < share)
    tries = np.minimum(rng.geometric(1 - FAILS_AGAIN, len(requests)), MOST_TRIES - 1)
    pieces = [replace(requests, status=status, harvest=requests.harvest & ~failed)]
    time = requests.time
    for attempt in range(1, MOST_TRIES):
        time = time + ((0.5 + rng.random(len(requests))) * 1000 * 2**attempt).astype(np.int64)
        rows = np.flatnonzero(failed & (tries >= attempt) & (time < latest))
        last = tries[rows] == attempt
        again = replace(
            requests.take(rows), time=time[rows], status=np.where(last, 200, status[rows]).astype(np.int16)
        )
        pieces.append(replace(again, harvest=again.harvest & last))
    return concatenate(pieces)
