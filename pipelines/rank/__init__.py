"""From the lake to a published ranking: read the horizon, detect, build the mart, swap it in.

Each step is a plain function; `dagster_project` shows them as assets.
"""

from pipelines.ingest.allocator import return_memory

return_memory()
