"""Accumulated e-values in SQL against the functions that define them."""

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import sql
from pipelines.detect import calibrate

NOW = datetime(2026, 1, 15, tzinfo=UTC)
STAMP = pa.timestamp("us", "UTC")


def _e_values(
    now: dict[str, float],
    before: dict[str, float],
    elapsed: timedelta | None,
    campaigns: dict[str, float],
    tested: int,
) -> dict[tuple[str, str], tuple[float, float, float]]:
    then = [] if elapsed is None else [NOW - elapsed]
    history = [(at, "account", name, value) for at in then for name, value in before.items()]
    history += [(NOW, "account", name, 99.0) for name in now]  # this ranking, made before: it must not count
    history += [(at - timedelta(days=1), "account", name, 50.0) for at in then for name in now]
    staged = {
        "staged_runs": pa.table({"as_of": pa.array([NOW], STAMP), "horizon_days": [14.0]}),
        "staged_accounts": pa.table({"account_id": list(now), "log_e": list(now.values())}),
        "staged_campaigns": pa.table(
            {
                "campaign_id": pa.array(list(campaigns), pa.string()),
                "log_e": pa.array(list(campaigns.values()), pa.float64()),
                "tested": pa.array([tested] * len(campaigns), pa.int64()),
            }
        ),
        "staged_history": pa.table(
            {
                "as_of": pa.array([h[0] for h in history], STAMP),
                "subject_kind": [h[1] for h in history],
                "id": [h[2] for h in history],
                "log_e_accumulated": [h[3] for h in history],
            }
        ),
    }
    with duckdb.connect() as connection:
        for name, table in staged.items():
            connection.register(name, table)
        rows = connection.execute(sql.load("staging/e_values.sql")).fetchall()
    return {(kind, name): (log_e, held, rate) for kind, name, log_e, held, rate in rows}


@pytest.mark.parametrize("hours", [1, 24, 7 * 24, 30 * 24])
def test_sql_accumulates_as_the_functions_say(hours: int) -> None:
    rng = np.random.default_rng(hours)
    now = {f"a{i}": float(v) for i, v in enumerate(np.round(rng.normal(0, 2, 40), 1))}
    before = {f"a{i}": float(v) for i, v in enumerate(rng.normal(0, 3, 30))}
    found = _e_values(now, before, timedelta(hours=hours), {"c": 7.5, "d": 2.0}, 45)
    held = calibrate.accumulate(
        np.array([before.get(name, 0.0) for name in now]), np.array(list(now.values())), hours / 24, 14
    )
    total = calibrate.mean_log_e(np.array(list(now.values())), held)
    rates = calibrate.false_discovery_rate(total)
    for i, name in enumerate(now):
        assert found["account", name] == pytest.approx((total[i], held[i], rates[i]), rel=1e-9)
    both = calibrate.mean_log_e(np.array([7.5, 2.0]), np.array([7.5, 2.0]) * min(hours / 24 / 14, 1))
    rates = calibrate.false_discovery_rate(both, 45)
    assert found["campaign", "c"][2] == pytest.approx(rates[0], rel=1e-9)
    assert found["campaign", "d"][2] == pytest.approx(rates[1], rel=1e-9)


def test_the_first_ranking_accumulates_nothing() -> None:
    found = _e_values({"a": 3.0, "b": -1.0}, {}, None, {}, 0)
    assert found["account", "a"][:2] == pytest.approx((np.log((np.exp(3) + 1) / 2), 0.0))
    assert found["account", "b"][2] == 1.0
