"""The one description of what goes in, what is kept and what comes out.

Everything that states a column (Arrow schemas, the JSON Schema file, DuckDB comments, documentation
tables, Great Expectations suites) derives from here. Imports neither `pipelines` nor `dagster_project`.
"""
