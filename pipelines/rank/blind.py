"""Facts behind the relation blind_spots that only the lake knows; `sql/marts/blind_spots.sql` words them."""

import pyarrow as pa

from pipelines.rank.horizon import Horizon
from schemas.missing import EVIDENCE_OF_FIELD

_FACTS = pa.schema(
    [
        ("as_of", pa.timestamp("us", "UTC")),
        ("days", pa.int64()),
        ("silent_days", pa.int64()),
        ("requests", pa.int64()),
        ("unmapped_requests", pa.int64()),
    ]
)


def horizon_facts(horizon: Horizon) -> pa.Table:
    """One row: days of the horizon, those without a call, calls, and answered calls without a cell of the map in use.

    A day is 24 hours counted back from the end of the horizon. Days before the first call of the lake count too:
    the ranking was asked to look at them.
    """
    requests = int(horizon.profiles.sum("requests").sum())
    failed = int(horizon.profiles.sum("failures").sum() + horizon.profiles.sum("throttles").sum())
    mapped = int(horizon.profiles.sketches["cells"].counts.sum())
    days = max(1, round(horizon.days))
    row = {
        "as_of": horizon.as_of_ms * 1000,
        "days": days,
        "silent_days": days - min(days, int(horizon.daily.is_seen.sum())),
        "requests": requests,
        "unmapped_requests": max(0, requests - failed - mapped),
    }
    return pa.Table.from_pylist([row], schema=_FACTS)


def field_evidence() -> pa.Table:
    """Which evidence each field carries: columns field, evidence."""
    pairs = [(field, evidence) for field, found in EVIDENCE_OF_FIELD.items() for evidence in found]
    return pa.table(
        {
            "field": pa.array([field for field, _ in pairs], pa.string()),
            "evidence": pa.array([evidence for _, evidence in pairs], pa.string()),
        }
    )
