"""Linkage: what accounts share outside their prompts, weighted so that what is popular counts for nothing.

Belongs here: one account's evidence. The pairs themselves are in `pipelines.detect.links`. Metadata only:
together with `tempo` it never suffices for an alert (METHOD section 6).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.links import KINDS, Pairs, Shared, birth_after, ties, togetherness
from pipelines.detect.profiles import Profiled
from schemas.account_hour import UNKNOWN_TIME

Floats = NDArray[np.float64]

_HOUR_MS: Final = 3_600_000
_WEEK_HOURS: Final = 168

_CAUSES: Final = {
    "network": "one office, university, carrier or VPN",
    "payment": "one company or family that pays for several accounts",
    "api_key": "a key that a team shares",
    "tool_schema": "one program or its customers",
    "system_prompt": "one program or its customers",
    "tls": "one client library",
}

_WEIGHTS: Final = {
    "network": 1.0,
    "payment": 4.0,
    "api_key": 4.0,
    "tool_schema": 2.0,
    "system_prompt": 1.0,
    "tls": 0.5,
}


def birth_burst(p: Profiled) -> Floats:
    """Accounts created within an hour of this one beyond what the week around it leads to expect, in standard
    errors.

    float64[n]; only accounts that called within the horizon are known. NaN when the creation time is unknown.
    """
    created = p.rows.created
    known = created != UNKNOWN_TIME
    times = np.sort(created[known])

    def within(hours: float) -> Floats:
        reach = int(hours * _HOUR_MS)
        return np.asarray(
            np.searchsorted(times, created[known] + reach, side="right")
            - np.searchsorted(times, created[known] - reach, side="left")
            - 1,
            dtype=np.float64,
        )

    out = np.full(len(p), np.nan)
    near, week = within(1.0), within(_WEEK_HOURS / 2)
    expected = np.maximum(week - near, 0) / (_WEEK_HOURS / 2 - 1)
    out[known] = (near - expected) / np.sqrt(expected + 1)
    return out


def statistics(p: Profiled, shared: dict[str, Shared], pairs: Pairs) -> list[Statistic]:
    """All statistics. shared: by kind, from `links.shared`. pairs: the expanded pairs."""
    by_kind = [
        Statistic(
            kind,
            ties(shared[kind]),
            "high",
            _CAUSES[kind],
            f"{kind.replace('_', ' ')} shared with {{value:.1f}} other customers; peers {{peer_median:.1f}}",
            weight=_WEIGHTS[kind],
        )
        for kind in KINDS
    ]
    apart = togetherness(p.rows, pairs)
    return [
        *by_kind,
        Statistic(
            "birth",
            birth_burst(p),
            "high",
            "an event, a course or a campaign of the provider's marketing",
            "created in a burst of sign-ups ({value:.1f} standard errors); peers {peer_median:.1f}",
            weight=0.5,
        ),
        Statistic(
            "respawn",
            birth_after(p.rows, pairs, p.as_of_ms),
            "high",
            "a customer who moved to a new account",
            "created within two days of the silence of {value:.0f} accounts that it shares something with",
            weight=0.5,
        ),
        Statistic(
            "synchronous",
            enough(np.abs(apart), p.requests),
            "high",
            "colleagues in one meeting, one scheduler",
            "calls in a linked account's minutes, or avoids them ({value:.1f} standard errors)",
            weight=0.5,
        ),
    ]
