"""The ranking as assets, from account_hours to the published mart. Each calls one step of `pipelines.rank`."""

from collections.abc import Callable

import dagster as dg

from dagster_project.defs.resources import RankingResource
from pipelines.rank import steps

DATA, SAFETY = "team:data-engineering", "team:trust-and-safety"


def ranking_assets(partitions: dg.PartitionsDefinition | None) -> list[dg.AssetsDefinition]:
    """The assets of a ranking, by partition or for one ranking at a time."""

    def step(
        name: str, deps: list[str], owner: str, kinds: set[str], run: Callable[[steps.Ranking], steps.Facts], says: str
    ) -> dg.AssetsDefinition:
        @dg.asset(
            name=name, deps=deps, owners=[owner], kinds=kinds, group_name="ranking", description=says,
            partitions_def=partitions,
        )  # fmt: skip
        def compute(context: dg.AssetExecutionContext, ranking: RankingResource) -> dg.MaterializeResult:
            return dg.MaterializeResult(metadata=dict(run(ranking.of(context))))

        return compute

    return [
        step("account_profiles", ["account_hours"], SAFETY, {"python", "parquet"}, steps.profile_accounts,
             "One row per account: the hours of the horizon, folded."),
        step("evidence", ["account_profiles"], SAFETY, {"numpy"}, steps.weigh_evidence,
             "What each account does, against its peers, family by family."),
        step("links", ["account_profiles"], SAFETY, {"numpy"}, steps.link_accounts,
             "Pairs of accounts that draw on one list of prompts, or share metadata."),
        step("campaigns", ["links"], SAFETY, {"numpy"}, steps.group_campaigns,
             "Groups that one hand seems to drive, with ids that survive re-ranking."),
        step("suspects", ["evidence", "campaigns"], SAFETY, {"numpy"}, steps.rank_suspects,
             "Every account and campaign, scored, with reasons that add up to the score."),
        step("mart_draft", ["suspects"], SAFETY, {"duckdb", "sql"}, steps.draft_mart,
             "The next mart, built by `sql/` beside the one in force; checks decide whether it is published."),
        step("mart", ["mart_draft"], SAFETY, {"duckdb"}, steps.publish_mart,
             "The mart in force: one DuckDB file, replaced atomically."),
    ]  # fmt: skip


@dg.asset(
    owners=[DATA], kinds={"delta", "parquet"}, group_name="lake",
    description="What each account asked in each hour, as integers that merge. Written by `scarecrow ingest`.",
)  # fmt: skip
def account_hours(context: dg.AssetExecutionContext, ranking: RankingResource) -> dg.MaterializeResult:
    table = ranking.of(context).lake.hours()
    return dg.MaterializeResult(metadata={"lake_version": int(table.version()), "files": len(table.file_uris())})
