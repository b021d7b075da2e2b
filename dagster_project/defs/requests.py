"""Which ranking is due: shared by the schedule and the sensor, so that neither repeats the other's work."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.defs.partitions import FIRST_DAY
from dagster_project.defs.resources import Scarecrow


def due_ranking(scarecrow: Scarecrow) -> dg.RunRequest | dg.SkipReason:
    """A run of the newest day with requests, unless the mart in force is already made of this lake, these settings
    and these labels. Its key names all of that: the same need is met once, whoever asks."""
    from pipelines.errors import ScarecrowError
    from pipelines.mart.build import last_run
    from pipelines.mart.inbox import inbox_file
    from pipelines.mart.labels import labels_file
    from pipelines.mart.weights import weights_file
    from pipelines.rank.newest import newest_hour_end_ms
    from pipelines.settings import settings_hash

    # Whether a ranking is due is read from the lake's log, the mart and the files beside it; no step is run.
    settings, lake, mart = scarecrow.settings(), scarecrow.open_lake(), scarecrow.mart_path()
    try:
        version = int(lake.hours().version())
        end_ms = newest_hour_end_ms(lake)
        made = last_run(mart)
    except ScarecrowError as error:
        return dg.SkipReason(str(error))
    wanted = (version, settings_hash(settings))
    decided = [path for path in (labels_file(mart), inbox_file(mart), weights_file(mart)) if path.exists()]
    labelled_ms = max((path.stat().st_mtime_ns // 1_000_000 for path in decided), default=0)
    if made is not None and made.basis == wanted and made.published_ms >= labelled_ms:
        return dg.SkipReason(f"the mart in force is made of lake version {version}")
    day = datetime.fromtimestamp((end_ms - 1) / 1000, UTC).strftime("%Y-%m-%d")
    if day < FIRST_DAY:
        return dg.SkipReason(
            f"the newest requests are of {day}, before the first partition {FIRST_DAY} (dagster.first_day)"
        )
    return dg.RunRequest(
        run_key=f"{day}:{version}:{wanted[1]}:{labelled_ms}",
        partition_key=day,
        tags={
            "scarecrow/lake_version": str(version),
            "scarecrow/settings": wanted[1],
            "dagster/priority": "1",  # before the days of a backfill that wait
        },
    )
