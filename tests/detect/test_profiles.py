"""Profiles: each column by hand on small accounts, and null where the source has no such field."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from pipelines.detect import profiles
from pipelines.ingest.fold import Rows
from pipelines.ingest.quantise import Quantiser
from pipelines.prompt_map.fit import FitStatistics, FittedMap
from schemas.mart import ACCOUNT_PROFILES
from tests.detect.worlds import DAY_MS, START_MS, at_minutes, rows_of, with_prompts

AS_OF_MS = START_MS + 14 * DAY_MS


def small_map(topics: int = 4, per_topic: int = 4) -> FittedMap:
    """A map of 16 cells whose centroids are unit vectors of their own."""
    size = topics * per_topic
    quantiser = Quantiser(
        np.zeros((1, size), np.float32), np.zeros((size, topics), np.float32), np.zeros(topics, np.float32),
        np.zeros((topics, size, per_topic), np.float32), np.zeros((topics, per_topic), np.float32),
    )  # fmt: skip
    about = FitStatistics(0, 0, 0.0, 0.0, size, 0.0)
    return FittedMap(quantiser, np.eye(size, dtype=np.float32), np.full(size, 1 / size, np.float32), about)


def table(rows: Rows) -> list[dict[str, Any]]:
    return profiles.table(profiles.profile(rows, small_map(), AS_OF_MS)).to_dicts()


def test_columns_are_those_of_the_mart() -> None:
    made = profiles.table(profiles.profile(rows_of({"account_id": "a"}), small_map(), AS_OF_MS))
    assert made.columns == [c.name for c in ACCOUNT_PROFILES.columns]
    assert made.to_arrow().schema.field("as_of").type == ACCOUNT_PROFILES.column("as_of").type
    for column in ACCOUNT_PROFILES.columns:
        kind = made.schema[column.name]
        assert not column.required or made[column.name].null_count() == 0, column.name
        assert (kind == pl.Int64) == (str(column.type) == "int64"), column.name


def test_each_column_by_hand() -> None:
    row = {
        "account_id": "a",
        **at_minutes(0, 60, 61, 1440 + 600),
        **with_prompts([0, 0, 1, 5], repeats=2),
        "minute_requests": [2, 2, 2, 2],
        "requests": 8, "with_turn_index": 8, "first_turns": 6,
        "with_status": 8, "failures": 1, "throttles": 2,
        "prompt_tokens": 400, "with_prompt_tokens": 8, "completion_tokens": 90, "with_completion_tokens": 6,
        "temperature_milli": 5600, "with_temperature": 8, "elicit_reasoning": 4, "elicit_tags": 2,
        "opening_hashes": [3, 9], "opening_requests": [6, 2], "network_hashes": [1, 2, 3],
        "network_requests": [4, 2, 2], "created_at_ms": AS_OF_MS - 20 * DAY_MS,
    }  # fmt: skip
    (got,) = table(rows_of(row))
    shares = [2 / 4, 1 / 4, 1 / 4]
    expected = {
        "requests": 8, "active_days": 2, "active_hours": 3, "requests_per_active_day": 4.0,
        "distinct_prompts": 4.0, "repeat_share": 0.5, "first_turn_share": 0.75, "failure_share": 1 / 8,
        "throttle_share": 0.25, "prompt_tokens_mean": 50.0, "completion_tokens_mean": 15.0,
        "completion_tokens": 90, "prompt_bytes_mean": 100.0, "temperature_mean": 0.7, "cells_distinct": 3,
        "cells_at_100": None, "cells_at_30": None, "hill_2_cells": 1 / sum(s * s for s in shares),
        "hill_1_cells": math.exp(-sum(s * math.log(s) for s in shares)), "topics_distinct": 2,
        "topic_entropy_nats": -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)),
        # |z| = 1 and orthogonal: mean |z|^2 - |m|^2 = 1 - sum of squared shares, times n/(n-1)
        "spread_trace": 4 / 3 * (1 - sum(s * s for s in shares)),
        "opening_top_share": 0.75, "networks_distinct": 3, "user_agents_distinct": 0,
        "system_prompts_distinct": 0,
        "models_distinct": 0, "elicitation_share": 0.5, "longest_idle_hours": 32.0, "account_age_days": 20.0,
    }  # fmt: skip
    for name, value in expected.items():
        assert got[name] == pytest.approx(value), name
    # the ordinary shares are the account's own, capped at .05 each: uniform over its three cells
    assert got["divergence_nats"] == pytest.approx(sum(s * math.log(3 * s) for s in shares))


def test_missing_fields_are_null() -> None:
    (got,) = table(rows_of({"account_id": "a", **at_minutes(0)}))
    for name in (
        "first_turn_share", "failure_share", "throttle_share", "prompt_tokens_mean", "completion_tokens_mean",
        "temperature_mean", "sample_coverage", "hill_1_cells", "hill_2_cells", "topic_entropy_nats",
        "spread_trace", "divergence_nats", "opening_top_share", "account_age_days",
    ):  # fmt: skip
        assert got[name] is None, name


def test_without_a_map_prompts_are_null_and_nothing_fails() -> None:
    made = profiles.table(profiles.profile(rows_of({"account_id": "a", **at_minutes(3)}), None, AS_OF_MS))
    assert made["cells_distinct"].to_list() == [0]
    assert made["sample_coverage"].to_list() == [None]


def test_ordinary_shares_give_no_account_more_than_its_cap() -> None:
    rows = rows_of(
        {"account_id": "heavy", **with_prompts([7] * 200)},
        *({"account_id": f"{i}", **with_prompts([i, i + 1], salt=i + 1)} for i in range(5)),
    )
    shares = profiles.profile(rows, small_map(), AS_OF_MS).ordinary
    assert shares.sum() == pytest.approx(1)
    assert shares[7] == pytest.approx(0.05 / (0.05 * 11))
