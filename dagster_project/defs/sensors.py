"""Sensors: a new lake version is ranked, a new ranking is told, a failed run is told."""

import json
import time
from contextlib import ExitStack

import dagster as dg

from dagster_project.defs.jobs import ALERT, RANK
from dagster_project.defs.requests import due_ranking
from dagster_project.defs.resources import Scarecrow

_RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.sensor(
    job=RANK, minimum_interval_seconds=300, default_status=_RUNNING,
    description="Ranks when the lake has a new version, or labels or settings have changed since the mart was made.",
)  # fmt: skip
def new_lake_version(
    context: dg.SensorEvaluationContext, scarecrow: Scarecrow
) -> dg.RunRequest | dg.SkipReason:
    return due_ranking(scarecrow)


@dg.sensor(
    job=ALERT, minimum_interval_seconds=60, default_status=_RUNNING,
    description="Tells what a newly published mart has new; runs again while deliveries wait in the outbox.",
)  # fmt: skip
def new_finding(context: dg.SensorEvaluationContext, scarecrow: Scarecrow) -> dg.RunRequest | dg.SkipReason:
    from pipelines.alerts.channels.build import build_channels
    from pipelines.alerts.run import preview
    from pipelines.errors import ScarecrowError

    mart = scarecrow.mart_path()
    if not mart.exists():
        return dg.SkipReason(f"there is no mart {mart} yet")
    stamp = str(mart.stat().st_mtime_ns)
    if context.cursor == stamp:
        return dg.SkipReason("the mart is the one that was told of")
    with ExitStack() as stack:
        if not build_channels(scarecrow.settings(), stack):
            return dg.SkipReason("nobody is told, for no channel of alerts is set (docs/ALERTS.md)")
    try:
        found = preview(mart, scarecrow.settings(), time.time_ns() // 1_000_000)
    except ScarecrowError as error:
        return dg.SkipReason(str(error))
    context.update_cursor(stamp)
    if not found.is_news:
        return dg.SkipReason("this ranking was told of before")
    return dg.RunRequest(run_key=stamp, tags={"scarecrow/findings": str(len(found.told))})


@dg.run_failure_sensor(
    default_status=_RUNNING, minimum_interval_seconds=60,
    description="Tells that a run failed: on the alert webhook, if one is set, and always in the daemon's log.",
)  # fmt: skip
def run_failed(context: dg.RunFailureSensorContext, scarecrow: Scarecrow) -> None:
    from dagster_project.failures import sentence_of, tell_failure

    run = context.dagster_run
    said = [sentence_of(event) for event in context.get_step_failure_events()]
    message = {
        "job": run.job_name,
        "run_id": run.run_id,
        "partition": run.tags.get("dagster/partition"),
        "says": first_sentence(said[0] if said else context.failure_event.message or ""),
    }
    context.log.error(json.dumps(message))
    tell_failure(message, scarecrow.settings(), time.time_ns() // 1_000_000)


def first_sentence(text: str) -> str:
    """The first line of what an error says, bounded: it may quote an input."""
    return text.strip().partition("\n")[0][:300]


SENSORS = [new_lake_version, new_finding, run_failed]
