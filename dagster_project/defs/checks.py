"""Gates and warnings. Gates block: the mart in force stays. Warnings are seen and block nothing.

Belongs here: which table is looked at by which suite, audit or drift check. Not here: the rules (`schemas`), the
audits (`sql/audits`), the looks (`pipelines.rank.drift`).
"""

from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from dagster_project.defs.describe import DRAFT
from dagster_project.defs.mart import MODELS
from dagster_project.defs.resources import Scarecrow

if TYPE_CHECKING:
    import pyarrow as pa

    from dagster_project.expectations import Examined
    from pipelines.lake.tables import Lake
    from pipelines.rank.drift import Drift

CHECKED_ROWS: Final = 200_000
"""The newest account-hours that a gate looks at."""
_BATCH: Final = 100_000
"""Rows of a relation that are read at a time."""
_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def as_result(found: "Examined") -> dg.AssetCheckResult:
    """As a check result. Failed critical rules are errors and block; others fail the check as a warning."""
    return dg.AssetCheckResult(
        passed=not found.failed,
        severity=_ERROR if found.is_critical else _WARN,
        description=found.says,
        metadata={
            "rows": found.rows,
            "rules": found.rules,
            "failed": dg.MetadataValue.json([vars(rule) for rule in found.failed]),
        },
    )


def newest_hours(lake: "Lake", end_ms: int | None = None) -> "pa.Table":
    """The newest CHECKED_ROWS rows or so of account_hours before end_ms, columns that a suite looks at."""
    from pipelines.lake.live import hour_files
    from pipelines.lake.tables import read
    from pipelines.rank.horizon import HOUR_MS
    from schemas.account_hour import ACCOUNT_HOURS
    from schemas.expectations_of import checked

    table = lake.hours()
    files: list[str] = []
    rows = 0
    for file in reversed(hour_files(table)):
        if rows >= CHECKED_ROWS:
            break
        if end_ms is None or file.epoch_hour * HOUR_MS < end_ms:
            files.append(f"{lake.path}/account_hours/{file.path}")
            rows += file.rows
    return read(table, ACCOUNT_HOURS, files, [column.name for column in checked(ACCOUNT_HOURS)])


@dg.asset_check(asset="account_hours", name="expectations", blocking=True)
def account_hours_expectations(scarecrow: Scarecrow) -> dg.AssetCheckResult:
    """The newest rows of account_hours against the suite derived from schemas/account_hour.py."""
    return as_result(scarecrow.examine("account_hours", newest_hours(scarecrow.open_lake())))


@dg.asset_check(asset="account_hours", name="rejects")
def rejects(scarecrow: Scarecrow) -> dg.AssetCheckResult:
    """The share of records that are no requests, of the worst source."""
    from pipelines.rank.drift import rejects as look
    from pipelines.rank.sources import source_notes

    return _as_warning(look(source_notes(scarecrow.open_lake())))


@dg.asset_check(asset="prompt_map", name="map_drift")
def map_drift(scarecrow: Scarecrow) -> dg.AssetCheckResult:
    """Whether the map still describes the last week's traffic (population stability index over its topics)."""
    from pipelines.prompt_map.store import load
    from pipelines.rank.daily import WEEK
    from pipelines.rank.drift import map_drift as look
    from pipelines.rank.horizon import read_horizon

    lake = scarecrow.open_lake()
    horizon = read_horizon(lake, WEEK)
    return _as_warning(look(horizon.daily, load(lake.path, horizon.map_version)))


def ranking_checks() -> list[dg.AssetChecksDefinition]:
    """The gates and warnings of a ranking."""

    @dg.asset_check(asset="account_profiles", name="input_expectations", blocking=True)
    def input_expectations(
        context: dg.AssetCheckExecutionContext, scarecrow: Scarecrow
    ) -> dg.AssetCheckResult:
        """The newest account-hours that this ranking read, against their suite."""
        ranking = scarecrow.ranking(context)
        return as_result(scarecrow.examine("account_hours", newest_hours(ranking.lake, ranking.as_of_ms)))

    @dg.multi_asset_check(
        name="drift",
        specs=[
            dg.AssetCheckSpec(name, asset="account_profiles", description=says)
            for name, says in (
                ("volume", "Calls of the newest day against the days before."),
                ("missing_fields", "Fields that used to come and no longer do."),
                ("rejects", "Share of records that are no requests, of the worst source."),
                ("map_drift", "Whether the prompt map still describes the traffic."),
            )
        ],
    )
    def drift(context: dg.AssetCheckExecutionContext, scarecrow: Scarecrow) -> Any:
        for found in scarecrow.ranking(context).workspace.get("drift"):
            yield _as_warning(found)._replace(
                check_name=found.name, asset_key=dg.AssetKey("account_profiles")
            )

    @dg.asset_check(
        asset=dg.AssetKey([DRAFT, "suspect_accounts"]),
        name="audits",
        blocking=True,
        additional_deps=[
            dg.AssetKey([DRAFT, model.name]) for model in MODELS if model.name != "suspect_accounts"
        ],
    )
    def audits(context: dg.AssetCheckExecutionContext, scarecrow: Scarecrow) -> dg.AssetCheckResult:
        """Every query of sql/audits returns no row."""
        from pipelines.mart import build

        found = build.audit(scarecrow.ranking(context).workspace.draft)
        failed = {name: rows for name, rows in found.items() if rows}
        said = (
            ", ".join(f"{name}: {rows} rows" for name, rows in failed.items()) or f"{len(found)} audits hold"
        )
        return dg.AssetCheckResult(passed=not failed, description=said, metadata={"audits": found})

    return [input_expectations, drift, _relation_checks(), audits]


def _relation_checks() -> dg.AssetChecksDefinition:
    """One step for all relations of the draft: a step of its own for each costs more than what it looks at."""

    @dg.multi_asset_check(
        name="draft_expectations",
        specs=[
            dg.AssetCheckSpec(
                "expectations", asset=dg.AssetKey([DRAFT, model.name]), blocking=True,
                description=f"Every row against the suite schemas/expectations/{model.name}.json.",
            )
            for model in MODELS
        ],
    )  # fmt: skip
    def check(context: dg.AssetCheckExecutionContext, scarecrow: Scarecrow) -> Any:
        import duckdb

        from pipelines.mart.build import open_draft
        from schemas.expectations_of import checked
        from schemas.mart import MART

        relations = {relation.name: relation for relation in MART}
        with open_draft(scarecrow.ranking(context).workspace.draft, read_only=True) as connection:
            for model in MODELS:
                columns = [duckdb.ColumnExpression(c.name) for c in checked(relations[model.name])]
                rows = connection.table(model.name).select(*columns).to_arrow_reader(_BATCH)
                found = as_result(scarecrow.examine(model.name, rows))
                yield found._replace(check_name="expectations", asset_key=dg.AssetKey([DRAFT, model.name]))

    return check


def _as_warning(found: "Drift") -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"limit": found.limit}
    if found.value is not None:
        metadata["value"] = found.value
    return dg.AssetCheckResult(
        passed=found.is_sound, severity=_WARN, description=found.says, metadata=metadata
    )


LAKE_CHECKS = [account_hours_expectations, rejects, map_drift]
