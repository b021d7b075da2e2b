"""The two baselines on tables where the answer is plain."""

import numpy as np
import polars as pl

from pipelines.evaluate.ablation import ablate
from pipelines.evaluate.baselines import isolation_forest, volume


def test_volume_is_the_number_of_requests() -> None:
    profiles = pl.DataFrame({"account_id": ["a", "b"], "requests": [3, 9]})
    assert volume(profiles).rows() == [("a", 3.0), ("b", 9.0)]


def test_the_forest_sees_an_outlier_through_missing_values_and_text() -> None:
    rng = np.random.default_rng(1)
    profiles = pl.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(200)],
            "requests": rng.normal(30, 3, 200),
            "share": rng.normal(0.5, 0.05, 200),
            "empty": pl.Series([None] * 200, dtype=pl.Float64),
            "holes": [None if i % 3 else 1.0 for i in range(200)],
            "plan": ["free"] * 200,
        }
    ).with_columns(
        requests=pl.when(pl.col("account_id") == "a7").then(300.0).otherwise("requests"),
        share=pl.when(pl.col("account_id") == "a7").then(4.0).otherwise("share"),
    )
    scores = isolation_forest(profiles)
    assert scores.sort("score", descending=True)["account_id"][0] == "a7"
    assert scores["account_id"].to_list() == profiles["account_id"].to_list()
    assert isolation_forest(profiles).equals(scores)


def test_the_forest_without_features_ranks_nobody() -> None:
    assert isolation_forest(pl.DataFrame({"account_id": ["a", "b"]}))["score"].to_list() == [0.0, 0.0]


def test_a_family_is_worth_what_the_ranking_loses_without_it() -> None:
    accounts = pl.Series("account_id", ["a", "b", "c", "d"])
    harvesting = np.array([True, True, False, False])
    reasons = pl.DataFrame(
        {
            "account_id": ["a", "b", "c", "d", "a", "c"],
            "family": ["group", "group", "group", "group", "tempo", "tempo"],
            "contribution": [5.0, 4.0, 0.0, 1.0, 0.5, 0.5],
        }
    )
    scores = np.array([5.5, 4.0, 0.5, 1.0])
    group, tempo = ablate(accounts, scores, harvesting, reasons)
    assert (group.family, tempo.family) == ("group", "tempo")
    assert group.alone == 1.0
    assert group.without < 1.0
    assert group.worth == 1.0 - group.without
    assert tempo.worth == 0.0
