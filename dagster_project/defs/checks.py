"""Gates: Great Expectations suites and SQL audits. Critical failures block; the mart in force stays."""

import dagster as dg
import duckdb
import pyarrow as pa

from dagster_project.defs.resources import RankingResource
from dagster_project.expectations import validate
from pipelines.lake.tables import read
from pipelines.mart import build
from pipelines.rank.horizon import hour_files
from schemas.account_hour import ACCOUNT_HOURS
from schemas.expectations_of import checked

CHECKED_ROWS = 200_000
"""The newest account-hours that the gate looks at."""


@dg.asset_check(asset="account_hours", name="expectations", blocking=True)
def account_hours_expectations(context: dg.AssetCheckExecutionContext, ranking: RankingResource) -> dg.AssetCheckResult:
    """The newest rows of account_hours against the suite derived from schemas/account_hour.py."""
    asked = ranking.of(context)
    files: list[str] = []
    rows = 0
    for file in reversed(hour_files(asked.lake.hours())):
        if rows >= CHECKED_ROWS:
            break
        files.append(f"{asked.lake.path}/account_hours/{file.path}")
        rows += file.rows
    columns = [column.name for column in checked(ACCOUNT_HOURS)]
    table = read(asked.lake.hours(), ACCOUNT_HOURS, files, columns)
    return validate("account_hours", table)


def _relation_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset="mart_draft", name=f"{name}_expectations", blocking=True)
    def check(context: dg.AssetCheckExecutionContext, ranking: RankingResource) -> dg.AssetCheckResult:
        draft = build.draft_path(ranking.of(context).mart)
        with duckdb.connect(str(draft), read_only=True) as connection:
            table: pa.Table = connection.table(name).to_arrow_table()
        return validate(name, table)

    return check


@dg.asset_check(asset="mart_draft", name="audits", blocking=True)
def audits(context: dg.AssetCheckExecutionContext, ranking: RankingResource) -> dg.AssetCheckResult:
    """Every query of sql/audits returns no row."""
    found = build.audit(build.draft_path(ranking.of(context).mart))
    failed = {name: rows for name, rows in found.items() if rows}
    said = ", ".join(f"{name}: {rows} rows" for name, rows in failed.items()) or f"{len(found)} audits hold"
    return dg.AssetCheckResult(passed=not failed, description=said, metadata={"audits": found})


CHECKS = [
    account_hours_expectations,
    *(
        _relation_check(name)
        for name in ("suspect_accounts", "suspect_campaigns", "campaign_members", "account_profiles", "account_reasons")
    ),
    audits,
]
