"""Schedules, all in UTC."""

import dagster as dg

from dagster_project.defs.jobs import COMPACT, INGEST, MAP_REPORT, RANK, SHADOW
from dagster_project.defs.requests import due_ranking
from dagster_project.defs.resources import Scarecrow

_RUNNING, _STOPPED = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED


@dg.schedule(
    cron_schedule="3 * * * *", job=INGEST, default_status=_STOPPED,
    description="Take in the hour that just ended. Only where no `scarecrow ingest --follow` runs.",
)  # fmt: skip
def hourly_ingest(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    from datetime import timedelta

    hour = context.scheduled_execution_time - timedelta(hours=1)
    return dg.RunRequest(partition_key=hour.strftime("%Y-%m-%d-%H:00"))


@dg.schedule(
    cron_schedule="15 * * * *", job=RANK, default_status=_RUNNING,
    description="Rank every hour, if anything has changed. The sensor new_lake_version usually was quicker.",
)  # fmt: skip
def hourly_rank(context: dg.ScheduleEvaluationContext, scarecrow: Scarecrow) -> dg.RunRequest | dg.SkipReason:
    return due_ranking(scarecrow)


nightly_compaction = dg.ScheduleDefinition(
    name="nightly_compaction", job=COMPACT, cron_schedule="10 3 * * *", default_status=_RUNNING,
    description="Fold closed hours and days when there is little traffic.",
)  # fmt: skip
weekly_map_report = dg.ScheduleDefinition(
    name="weekly_map_report", job=MAP_REPORT, cron_schedule="30 6 * * 1", default_status=_RUNNING,
    description="Every Monday: does the prompt map still describe the traffic?",
)  # fmt: skip
nightly_shadow = dg.ScheduleDefinition(
    name="nightly_shadow", job=SHADOW, cron_schedule="40 4 * * *", default_status=_STOPPED,
    description="Rank under the settings file dagster.shadow, beside the mart in force.",
)  # fmt: skip

SCHEDULES = [hourly_ingest, hourly_rank, nightly_compaction, weekly_map_report, nightly_shadow]
