"""The asset graph below the lake in this process: what `scarecrow rank` runs."""

from pathlib import Path

import dagster as dg

from dagster_project.defs.assets import account_hours, ranking_assets
from dagster_project.defs.checks import CHECKS
from dagster_project.defs.resources import RankingResource
from pipelines.errors import ScarecrowError
from pipelines.mart.build import draft_path


def rank_in_process(
    lake: Path, mart: Path, horizon_days: float, as_of_ms: int | None, settings_hash: str
) -> None:
    """Materialise account_profiles to mart. Raises ScarecrowError when a step or a gate fails; the mart in force
    then stays as it is."""
    resource = RankingResource(
        lake=str(lake), mart=str(mart), horizon_days=horizon_days, as_of_ms=as_of_ms or 0, settings_hash=settings_hash
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [account_hours, *ranking_assets(None), *CHECKS],
            instance=instance,
            resources={"ranking": resource},
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    if result.success:
        return
    draft_path(mart).unlink(missing_ok=True)
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR]
    if failed:
        gate = failed[0]
        raise ScarecrowError(
            f"the gate {gate.check_name} on {gate.asset_key.to_user_string()} failed ({gate.description}); the mart "
            f"{mart} stays as it was: see the failing rules in Dagster, or ingest sound input and rank again"
        )
    raise _cause(result)


def _cause(result: dg.ExecuteInProcessResult) -> Exception:
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        inner = error.cause if error is not None and error.cause is not None else error
        if inner is not None and inner.cls_name in ("ScarecrowError", "UsageError"):
            return ScarecrowError(inner.message.partition(": ")[2].strip())
        if inner is not None:
            return ScarecrowError(f"step {event.step_key} of the ranking failed ({inner.message.strip()})")
    return ScarecrowError("the ranking failed before its first step")
