"""Logs in, account_hours out: read, decode, measure, fold, write, commit."""

from pipelines.ingest.allocator import keep_memory

# Here, since it must come before numpy starts its threads.
keep_memory()
