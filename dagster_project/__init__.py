"""The assets in Dagster: a thin skin that calls `pipelines` and runs `sql`. No measure and no rule lives here."""
