"""The tables that an evaluation works on, and how they are read from a mart and from a truth file.

Belongs here: shapes and reading. Does not belong here: figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from pipelines.errors import ScarecrowError, UsageError
from pipelines.mart.open import Mart, open_mart

TRUTH_ACCOUNTS = {
    "account_id": pl.String,
    "class": pl.String,
    "is_harvesting": pl.Boolean,
    "campaign_id": pl.String,
    "strategy": pl.String,
}
TRUTH_CAMPAIGNS = pl.Schema(
    {
        "campaign_id": pl.String(),
        "strategy": pl.String(),
        "accounts": pl.Int64(),
        "harvest_requests": pl.Int64(),
        "harvest_requests_by_day": pl.List(pl.Int64()),
    }
)


@dataclass(frozen=True)
class Truth:
    """What a world really is.

    accounts: TRUTH_ACCOUNTS, one row per account; `class` is the strategy for those that harvest.
    campaigns: TRUTH_CAMPAIGNS, one row per planted campaign; no harvest figures where they are not known.
    start: first moment of the world (RFC 3339), or None.
    """

    accounts: pl.DataFrame
    campaigns: pl.DataFrame
    start: str | None


@dataclass(frozen=True)
class Found:
    """What a mart says.

    accounts: account_id, rank (1 = most suspect), score.
    campaigns: campaign_id, rank.
    members: campaign_id, account_id.
    profiles: account_id and numeric features.
    history: as_of, account_id, rank of earlier rankings (may be empty).
    shown: as_of, campaign_id, account_id, members of the campaigns of these rankings.
    reasons: account_id, family, contribution (may be empty).
    """

    accounts: pl.DataFrame
    campaigns: pl.DataFrame
    members: pl.DataFrame
    profiles: pl.DataFrame
    history: pl.DataFrame
    shown: pl.DataFrame
    reasons: pl.DataFrame


def read_truth(path: Path) -> Truth:
    """Reads `truth.json` of the simulator, or a Parquet file with at least account_id and is_harvesting.

    Raises UsageError when the file is missing or is no truth file.
    """
    if not path.is_file():
        raise UsageError(
            f"The truth file {path} does not exist; give the truth.json that the simulator wrote."
        )
    if path.suffix == ".parquet":
        return _from_rows(path, pl.read_parquet(path), [], None)
    try:
        content = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"The truth file {path} is not JSON ({error}); simulate the world again.") from error
    if not isinstance(content, dict) or not isinstance(content.get("accounts"), list):
        raise UsageError(f"The truth file {path} has no list 'accounts'; give the simulator's truth.json.")
    rows = pl.DataFrame(content["accounts"], infer_schema_length=None)
    return _from_rows(path, rows, content.get("campaigns", []), content.get("world", {}).get("start"))


def _from_rows(path: Path, rows: pl.DataFrame, campaigns: list[dict[str, Any]], start: str | None) -> Truth:
    missing = {"account_id", "is_harvesting"} - set(rows.columns)
    if missing:
        raise UsageError(
            f"The truth file {path} has no column {', '.join(sorted(missing))}; every account needs both."
        )
    accounts = rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in TRUTH_ACCOUNTS.items()
    ).with_columns(
        pl.when("is_harvesting")
        .then(pl.coalesce("strategy", pl.lit("harvesting")))
        .otherwise(pl.coalesce("class", pl.lit("ordinary")))
        .alias("class")
    )
    planted = pl.DataFrame(campaigns, schema=TRUTH_CAMPAIGNS, strict=False)
    if planted.is_empty():
        planted = (
            accounts.filter(pl.col("is_harvesting") & pl.col("campaign_id").is_not_null())
            .group_by("campaign_id", maintain_order=True)
            .agg(pl.col("class").first().alias("strategy"), pl.len().cast(pl.Int64).alias("accounts"))
            .with_columns(
                harvest_requests=pl.lit(None, dtype=pl.Int64),
                harvest_requests_by_day=pl.lit(None, dtype=pl.List(pl.Int64)),
            )
        )
    return Truth(accounts, planted, start)


def read_found(path: Path) -> Found:
    """Reads a mart. Raises UsageError or ScarecrowError as `open_mart` does."""
    with open_mart(str(path)) as mart:
        return Found(
            accounts=_frame(mart, "SELECT account_id, rank, score FROM suspect_accounts ORDER BY rank"),
            campaigns=_frame(mart, "SELECT campaign_id, rank FROM suspect_campaigns ORDER BY rank"),
            members=_frame(mart, "SELECT campaign_id, account_id FROM campaign_members ORDER BY ALL"),
            profiles=_frame(mart, "SELECT * EXCLUDE (as_of) FROM account_profiles ORDER BY account_id"),
            history=_frame(
                mart,
                "SELECT as_of, id AS account_id, rank FROM ranking_history WHERE subject_kind = 'account' "
                "UNION SELECT as_of, account_id, rank FROM suspect_accounts ORDER BY ALL",
            ),
            shown=_frame(
                mart,
                "SELECT as_of, id AS campaign_id, unnest(members) AS account_id FROM ranking_history "
                "WHERE subject_kind = 'campaign' ORDER BY ALL",
            ),
            reasons=_frame(
                mart, "SELECT id AS account_id, family, contribution FROM account_reasons ORDER BY ALL"
            ),
        )


def _frame(mart: Mart, sql: str) -> pl.DataFrame:
    frame: pl.DataFrame = mart.connection.sql(sql).pl()
    return frame


def check_match(found: pl.DataFrame, truth: Truth, what: str) -> None:
    """Raises ScarecrowError when not one ranked account is in the truth: they belong to different worlds."""
    if found.join(truth.accounts, on="account_id", how="semi").is_empty():
        raise ScarecrowError(
            f"None of the {found.height} accounts of {what} is in the truth file; "
            "give the truth of the log that was ingested."
        )
