"""Assets of the mart: every relation as `sql/` makes it in the draft, the mart in force, alerts, the shadow."""

import time
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_project.defs.describe import DRAFT, OWNERS, SAFETY, asset_of, lineage, schema_metadata
from dagster_project.defs.resources import Scarecrow
from dagster_project.sql_models import models
from dagster_project.steps import run_step
from schemas.mart import MART

MODELS = models()
_RELATIONS = {relation.name: relation for relation in MART}


def mart_assets(partitions: dg.PartitionsDefinition | None) -> list[dg.AssetsDefinition]:
    """The draft's relations and the mart in force."""
    shared: dict[str, Any] = {"group_name": "mart", "partitions_def": partitions}

    @dg.multi_asset(
        name="draft",
        specs=[
            dg.AssetSpec(
                [DRAFT, model.name],
                deps=sorted({key for table in model.reads if (key := asset_of(table)) is not None}),
                description=(
                    f"{_RELATIONS[model.name].meaning} One row per {model.grain}. Made by "
                    f"sql/marts/{model.name}.sql in the "
                    "draft of the next mart; analysts see it once every gate has passed."
                ),
                owners=[OWNERS[model.owner]],
                kinds={"duckdb", "sql"},
                metadata=schema_metadata(_RELATIONS[model.name]),
                **shared,
            )
            for model in MODELS
        ],
        pool="duckdb",
    )
    def draft(context: dg.AssetExecutionContext, scarecrow: Scarecrow) -> Any:
        facts = run_step("mart_draft", context, scarecrow)
        for model in MODELS:
            yield dg.MaterializeResult(
                asset_key=[DRAFT, model.name],
                metadata={
                    "dagster/row_count": facts["rows"][model.name],
                    "dagster/column_lineage": lineage(model),
                },
            )

    @dg.asset(
        deps=[dg.AssetKey([DRAFT, model.name]) for model in MODELS],
        owners=[SAFETY],
        kinds={"duckdb"},
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=6), warn_window=timedelta(hours=2)
        ),
        pool="duckdb",
        **shared,
    )
    def mart(context: dg.AssetExecutionContext, scarecrow: Scarecrow) -> dg.MaterializeResult[None]:
        """The mart in force: one DuckDB file, replaced atomically when every gate has passed, so that readers never
        wait and never see half a ranking. A ranking of an earlier day does not replace a later one; it only adds
        its places to ranking_history."""
        facts = run_step("mart", context, scarecrow)
        return dg.MaterializeResult(metadata={**facts, **_first_campaigns(facts)})

    return [draft, mart]


def _first_campaigns(facts: Any) -> dict[str, Any]:
    """The first campaigns as a table for people; ids come from the log and are made inert."""
    from pipelines.mart.open import open_mart
    from pipelines.mart.queries import campaigns, ranked
    from pipelines.report.inert import terminal

    if not facts["is_in_force"]:
        return {}
    with open_mart(facts["mart"]) as opened:
        first = campaigns(opened, 10)
        accounts, groups = ranked(opened)
    columns = [
        dg.TableColumn(name, kind)
        for name, kind in (
            ("rank", "int"), ("campaign", "string"), ("score", "float"), ("accounts", "int"), ("requests", "int"),
            ("state", "string"),
        )
    ]  # fmt: skip
    table = dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "rank": c.rank, "campaign": terminal(c.campaign_id), "score": round(c.score, 2),
                    "accounts": c.accounts, "requests": c.requests, "state": c.state,
                }
            )
            for c in first
        ],
        dg.TableSchema(columns),
    )  # fmt: skip
    return {
        "first_campaigns": table, "accounts": accounts, "campaigns": groups,
        "best_score": first[0].score if first else 0.0,
    }  # fmt: skip


@dg.asset(deps=["mart"], owners=[SAFETY], kinds={"slack"}, group_name="alerts", pool="alerts")
def alerts(scarecrow: Scarecrow) -> dg.MaterializeResult[None]:
    """Tells people and systems what the mart in force has new: every configured channel, each finding once, within a
    budget per day. Safe to repeat; deliveries that failed wait in the outbox for the next run."""
    from pipelines.alerts.run import send_alerts

    report = send_alerts(scarecrow.mart_path(), scarecrow.settings(), time.time_ns() // 1_000_000)
    return dg.MaterializeResult(
        metadata={
            "is_news": report.is_news,
            "told": len(report.told),
            "held_back": len(report.held),
            "waiting": report.waiting,
            "given_up": report.given_up,
            "without_channel": report.without_channel,
        }
    )


@dg.asset(deps=["account_hours", "mart"], owners=[SAFETY], kinds={"duckdb"}, group_name="mart", pool="duckdb")
def shadow_mart(scarecrow: Scarecrow) -> dg.MaterializeResult[None]:
    """The newest ranking once more under the settings file `dagster.shadow`, beside the mart in force, never alerted
    on: what would change if these settings were used."""
    from pipelines.mart.diff import compare
    from pipelines.rank.shadow import rank_shadow

    settings = scarecrow.settings()
    if settings.dagster.shadow is None:
        return dg.MaterializeResult(metadata={"is_set": False})
    made = rank_shadow(scarecrow.open_lake(), scarecrow.mart_path(), settings.dagster.shadow)
    found = compare(scarecrow.mart_path(), made)
    return dg.MaterializeResult(
        metadata={"mart": str(made), "entered": len(found.entered), "left": len(found.left), "is_set": True}
    )
