"""Jobs: what people and schedules start as one run."""

import dagster as dg

# draft/sources is made with the other relations, though it comes from the lake alone.
_BELOW_LAKE = dg.AssetSelection.assets(
    "labels"
).downstream().required_multi_asset_neighbors() - dg.AssetSelection.assets("alerts", "shadow_mart")
_RETRIES = {"dagster/max_retries": "2"}

INGEST = dg.define_asset_job(
    "ingest_hour", dg.AssetSelection.assets("account_hours", "rejects"),
    description="Take in what the source has new.", tags={**_RETRIES, "scarecrow/layer": "lake"},
)  # fmt: skip
RANK = dg.define_asset_job(
    "rank_day", _BELOW_LAKE,
    description="Rank as of the end of a day, or of the newest hour if earlier; publish if every gate passes.",
    tags={**_RETRIES, "scarecrow/layer": "mart"},
)  # fmt: skip
COMPACT = dg.define_asset_job(
    "compact_lake", dg.AssetSelection.assets("account_days"),
    description="Fold closed hours and days, drop old files.", tags={**_RETRIES, "scarecrow/layer": "lake"},
)  # fmt: skip
MAP_REPORT = dg.define_asset_job(
    "map_report", dg.AssetSelection.assets("prompt_map"),
    description="Does the prompt map still describe the traffic? A refit is a deliberate act.",
    tags={"scarecrow/layer": "lake"},
)  # fmt: skip
ALERT = dg.define_asset_job(
    "send_alerts", dg.AssetSelection.assets("alerts"), description="Tell what the mart in force has new.",
    tags={"dagster/max_retries": "0", "scarecrow/layer": "alerts"},
)  # fmt: skip
SHADOW = dg.define_asset_job(
    "rank_shadow", dg.AssetSelection.assets("shadow_mart"),
    description="Rank once more under other settings, beside the mart in force.", tags={"scarecrow/layer": "mart"},
)  # fmt: skip

JOBS = [INGEST, RANK, COMPACT, MAP_REPORT, ALERT, SHADOW]
