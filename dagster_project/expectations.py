"""Great Expectations: a table against the suite of its relation, as plain findings.

The suites are in `schemas/expectations`, derived from the descriptions. The library takes seconds to import, so
that happens inside `examine` only. Not here: which tables are checked, and Dagster (`defs.checks`).
"""

import json
import logging
import os
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from pipelines.report.inert import terminal

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

ID_COLUMNS: Final = ("account_id", "campaign_id", "id", "subject_id")
"""Columns whose values may be shown as samples. Nothing else of a row is: it may come from a log."""
SAMPLES: Final = 10


@dataclass(frozen=True)
class Rule:
    """A rule that does not hold. unexpected: rows that break it. samples: ids of some of them."""

    rule: str
    column: str
    severity: str
    unexpected: int
    samples: list[str]


@dataclass(frozen=True)
class Examined:
    """What a suite says of a table."""

    rows: int
    rules: int
    failed: list[Rule]

    @property
    def is_critical(self) -> bool:
        """Whether a rule is broken that must hold before anything is published."""
        return any(rule.severity == "critical" for rule in self.failed)

    @property
    def says(self) -> str:
        """In words, the worst failure named."""
        said = f"{self.rules - len(self.failed)} of {self.rules} rules hold over {self.rows} rows"
        if not self.failed:
            return said
        worst = sorted(self.failed, key=lambda rule: rule.severity != "critical")[0]
        return f"{said}; {worst.rule} {worst.column}".rstrip() + f" fails for {worst.unexpected} of them"


def load_suite(name: str) -> dict[str, Any]:
    """The JSON of a suite."""
    suite: dict[str, Any] = json.loads(files("schemas").joinpath(f"expectations/{name}.json").read_text())
    return suite


def examine(name: str, table: pa.Table) -> Examined:
    """Validate a table against the suite of its relation."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _examine(name, table)


def _examine(name: str, table: pa.Table) -> Examined:
    import great_expectations as gx

    suite = load_suite(name)
    columns = {rule["kwargs"]["column"] for rule in suite["expectations"] if "column" in rule["kwargs"]}
    columns |= {c for rule in suite["expectations"] for c in rule["kwargs"].get("column_list", ())}
    shown = next((c for c in ID_COLUMNS if c in table.column_names), None)
    asset = _context().data_sources.add_or_update_pandas("scarecrow").add_dataframe_asset(name)
    frame = table.select([c for c in table.column_names if c in columns or c == shown]).to_pandas()
    batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": frame})
    results = batch.validate(gx.ExpectationSuite(**suite), result_format="BOOLEAN_ONLY").results
    broken = [result.expectation_config for result in results if not result.success]
    if not broken:
        return Examined(table.num_rows, len(results), [])
    # Counts and samples cost as much again, so they are asked for only of the rules that do not hold.
    again = gx.ExpectationSuite(name, [rule.to_domain_obj() for rule in broken if rule is not None])
    details = batch.validate(
        again,
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": [shown] if shown else []},
    ).results
    return Examined(table.num_rows, len(results), [_rule(result, shown) for result in details])


@cache
def _context() -> "EphemeralDataContext":
    """One per process: each makes a folder of its own."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _rule(result: "ExpectationValidationResult", shown: str | None) -> Rule:
    rule = result.expectation_config
    assert rule is not None
    return Rule(
        rule.type,
        str(rule.kwargs.get("column", "")),
        str(rule.severity.value),
        int(result.result.get("unexpected_count", 1)),
        _samples(result.result.get("partial_unexpected_index_list") or [], shown),
    )


def _samples(rows: list[Any], shown: str | None) -> list[str]:
    if shown is None:
        return []
    found = [str(row[shown]) for row in rows if isinstance(row, dict) and shown in row]
    return [terminal(text)[:120] for text in found[:SAMPLES]]
