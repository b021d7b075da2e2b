"""The work itself: ingest, lake, prompt map, detection, evaluation and the command line.

Nothing here imports Dagster; `dagster_project` is a thin skin over these functions.
"""
