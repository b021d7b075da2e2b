"""Partitions: ingest by hour of event time, rankings as of the end of each day (UTC)."""

import dagster as dg

from pipelines.settings import load_settings

FIRST_DAY = load_settings().dagster.first_day

HOURS = dg.HourlyPartitionsDefinition(start_date=f"{FIRST_DAY}-00:00")
DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1)
"""Today is a partition too: it is ranked again every hour, as of the newest hour."""

HORIZON = dg.TimeWindowPartitionMapping(start_offset=-13, end_offset=0)
"""A ranking reads a fortnight of hours (another horizon is a setting; the graph shows the usual one)."""
