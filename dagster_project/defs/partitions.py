"""Partitions: a ranking as of the end of each day."""

import dagster as dg

DAYS = dg.DailyPartitionsDefinition(start_date="2025-01-01", end_offset=1)
