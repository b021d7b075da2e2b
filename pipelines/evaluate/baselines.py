"""Two rankings that need no method: request volume, and an isolation forest over the per-account features.

Both stand in the same table as the ranking under test, so that a figure can be read against something.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import polars.selectors as cs
from sklearn.ensemble import IsolationForest


def volume(profiles: pl.DataFrame) -> pl.DataFrame:
    """account_id, score: requests of the account."""
    return profiles.select("account_id", pl.col("requests").cast(pl.Float64).alias("score"))


def isolation_forest(profiles: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """account_id, score: anomaly by Liu, Ting and Zhou (2008) over every numeric column of the profiles.

    Missing values take the column's median; columns without any value are left out.
    """
    numeric = profiles.select(cs.numeric().cast(pl.Float64))
    kept = [name for name in numeric.columns if numeric[name].drop_nulls().drop_nans().len() > 0]
    if not kept or profiles.is_empty():
        return profiles.select("account_id", pl.lit(0.0).alias("score"))
    filled = numeric.select(
        pl.col(name).fill_nan(None).fill_null(pl.col(name).fill_nan(None).median()) for name in kept
    ).to_numpy()
    forest = IsolationForest(n_estimators=200, random_state=seed, n_jobs=1).fit(filled)
    score = -np.asarray(forest.score_samples(filled), dtype=np.float64)
    return profiles.select("account_id").with_columns(pl.Series("score", score))
