"""The asset graph below the lake in this process: what `scarecrow rank` runs."""

import dagster as dg

from dagster_project.defs.checks import ranking_checks
from dagster_project.defs.mart import mart_assets
from dagster_project.defs.ranking import ranking_assets
from dagster_project.defs.resources import InProcess, Tell
from dagster_project.failures import sentence_of
from dagster_project.gatekeeper import Gatekeeper
from pipelines.errors import ScarecrowError
from pipelines.rank.steps import Ranking


def rank_in_process(
    ranking: Ranking, gatekeeper: Gatekeeper, tell: Tell = lambda step, event, facts: None
) -> None:
    """Materialise labels to mart. Raises ScarecrowError when a step or a gate fails; the mart in force then stays
    as it is."""
    resource = InProcess.of(ranking, tell, gatekeeper)
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [*ranking_assets(None), *mart_assets(None), *ranking_checks()],
                instance=instance,
                resources={"scarecrow": dg.ResourceDefinition.hardcoded_resource(resource)},
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
    finally:
        ranking.workspace.clear()
    warned = []
    for gate in result.get_asset_check_evaluations():
        where = f"{gate.check_name} on {gate.asset_key.to_user_string()}"
        if gate.passed:
            continue
        if gate.severity == dg.AssetCheckSeverity.WARN:
            warned.append(f"{where}: {gate.description}")
            continue
        raise ScarecrowError(
            f"the gate {where} failed ({gate.description}); the mart {ranking.mart} stays as it was: see the failing "
            "rules in Dagster (`make ui`), or ingest sound input and rank again"
        )
    for text in warned:
        tell("warning", text, {})
    if not result.success:
        raise _cause(result)


def _cause(result: dg.ExecuteInProcessResult) -> ScarecrowError:
    for event in result.get_step_failure_events():
        return ScarecrowError(sentence_of(event))
    return ScarecrowError("the ranking failed before its first step")
