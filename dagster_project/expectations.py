"""Great Expectations as Dagster check results: the bridge, and nothing else.

The suites are in `schemas/expectations`, derived from the descriptions. The library is imported inside the
check body only, since that takes seconds.
"""

import json
import os
from importlib.resources import files
from typing import Any

import dagster as dg
import pyarrow as pa


def load_suite(name: str) -> dict[str, Any]:
    """The JSON of a suite."""
    suite: dict[str, Any] = json.loads(files("schemas").joinpath(f"expectations/{name}.json").read_text())
    return suite


def validate(name: str, table: pa.Table) -> dg.AssetCheckResult:
    """Validate a table against the suite of its relation.

    Failed rules with severity critical fail the check; if only others failed it passes with a warning. Metadata
    carries the failing rules with counts, and never a value from the log but ids.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    suite = load_suite(name)
    columns = {rule["kwargs"]["column"] for rule in suite["expectations"] if "column" in rule["kwargs"]}
    columns |= {c for rule in suite["expectations"] for c in rule["kwargs"].get("column_list", ())}
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("scarecrow").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe(name).get_batch(
        {"dataframe": table.select([c for c in table.column_names if c in columns]).to_pandas()}
    )
    results = batch.validate(gx.ExpectationSuite(**suite)).results
    failed = [result for result in results if not result.success]
    critical = [result for result in failed if str(result.expectation_config.severity.value) == "critical"]
    rows = [
        {
            "rule": result.expectation_config.type,
            "column": str(result.expectation_config.kwargs.get("column", "")),
            "severity": str(result.expectation_config.severity.value),
            "unexpected": int(result.result.get("unexpected_count", 1)),
        }
        for result in failed
    ]
    return dg.AssetCheckResult(
        passed=not critical if critical or not failed else False,
        severity=dg.AssetCheckSeverity.ERROR if critical else dg.AssetCheckSeverity.WARN,
        description=f"{len(results) - len(failed)} of {len(results)} rules hold over {table.num_rows} rows",
        metadata={"rows": table.num_rows, "rules": len(results), "failed": dg.MetadataValue.json(rows)},
    )
