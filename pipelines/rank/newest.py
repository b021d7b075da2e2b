"""How far the lake's hours go, from the transaction log alone.

Sensors and schedules ask this inside Dagster's code server: nothing heavy is imported here.
"""

from collections import defaultdict
from typing import Final

from pipelines.errors import ScarecrowError
from pipelines.lake.live import hour_files
from pipelines.lake.tables import Lake

_HOUR_MS: Final = 3_600_000


def newest_hour_end_ms(lake: Lake) -> int:
    """End of the newest hour with requests, epoch milliseconds. Raises ScarecrowError for an empty lake."""
    files = hour_files(lake.hours())
    if not files:
        raise ScarecrowError(
            f"lake {lake.path} holds no requests; ingest a log first with `scarecrow ingest`"
        )
    return (files[-1].epoch_hour + 1) * _HOUR_MS


def hour_rows(lake: Lake, first_hour: int, end_hour: int) -> dict[int, int]:
    """Rows of account_hours by epoch hour, of hours from first_hour until before end_hour."""
    found: dict[int, int] = defaultdict(int)
    for file in hour_files(lake.hours()):
        if first_hour <= file.epoch_hour < end_hour:
            found[file.epoch_hour] += file.rows
    return dict(found)
