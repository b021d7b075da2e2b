"""Great Expectations: rows against the suite of their relation, as plain findings.

The suites are in `schemas/expectations`, derived from the descriptions. Rules of single rows are held against so many
rows at a time, those of all rows together against their own columns, so that tens of millions of rows fit. The library
takes seconds to import, so that happens inside `examine` only. Not here: which tables are checked, and Dagster
(`defs.checks`).
"""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

from pipelines.report.inert import terminal

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

ID_COLUMNS: Final = ("account_id", "campaign_id", "id", "subject_id")
"""Columns whose values may be shown as samples. Nothing else of a row is: it may come from a log."""
SAMPLES: Final = 10
MOST_ROWS: Final = 500_000
"""Rows that are looked at at a time."""
_OF_ALL_ROWS: Final = (
    "expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique", "expect_table_row_count_to_be_between",
)  # fmt: skip

Rows: TypeAlias = pa.Table | pa.RecordBatchReader


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


def examine(name: str, rows: Rows, most: int = MOST_ROWS) -> Examined:
    """Validate rows against the suite of their relation, `most` at a time."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _examine(name, rows, most)


def _examine(name: str, rows: Rows, most: int) -> Examined:
    suite = load_suite(name)
    rules: list[dict[str, Any]] = suite["expectations"]
    shown = next((c for c in ID_COLUMNS if c in rows.schema.names), None)
    tables = _tables(rows, most)
    first = next(tables)
    second = next(tables, None)
    if second is None:
        return Examined(len(first), len(rules), _broken(name, rules, first, shown))
    of_all = [rule for rule in rules if rule["type"] in _OF_ALL_ROWS]
    keys = [*dict.fromkeys([*_columns(of_all), *([shown] if shown else [])])] if of_all else []
    found: dict[tuple[str, str], Rule] = {}
    kept = []
    count = 0
    for table in chain((first, second), tables):
        for rule in _broken(name, [rule for rule in rules if rule not in of_all], table, shown):
            before = found.get((rule.rule, rule.column))
            found[rule.rule, rule.column] = rule if before is None else _both(before, rule)
        count += len(table)
        kept.append(table.select(keys))
    of_keys = _broken(name, of_all, pa.concat_tables(kept), shown) if keys else []
    return Examined(count, len(rules), [*found.values(), *of_keys])


def _tables(rows: Rows, most: int) -> Iterator[pa.Table]:
    """All rows, so many at a time; one table without rows where there are none."""
    held: list[pa.RecordBatch] = []
    size = 0
    count = 0
    batches = rows.to_batches(max_chunksize=most) if isinstance(rows, pa.Table) else rows
    for batch in batches:
        if held and size + len(batch) > most:
            yield pa.Table.from_batches(held)
            count, held, size = count + 1, [], 0
        held.append(batch)
        size += len(batch)
    if held or not count:
        yield pa.Table.from_batches(held, rows.schema)


def _columns(rules: Sequence[dict[str, Any]]) -> list[str]:
    """Columns that rules are about."""
    named = [rule["kwargs"]["column"] for rule in rules if "column" in rule["kwargs"]]
    return [*named, *(column for rule in rules for column in rule["kwargs"].get("column_list", ()))]


def _both(one: Rule, other: Rule) -> Rule:
    """The same rule broken in two places."""
    samples = [*one.samples, *other.samples][:SAMPLES]
    return replace(one, unexpected=one.unexpected + other.unexpected, samples=samples)


def _broken(name: str, rules: Sequence[dict[str, Any]], table: pa.Table, shown: str | None) -> list[Rule]:
    """Those of the rules that do not hold for the rows of a table."""
    if not rules:
        return []
    import great_expectations as gx

    columns = {*_columns(rules), shown}
    asset = _context().data_sources.add_or_update_pandas("scarecrow").add_dataframe_asset(name)
    frame = table.select([c for c in table.column_names if c in columns]).to_pandas()
    batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": frame})
    results = batch.validate(gx.ExpectationSuite(name, list(rules)), result_format="BOOLEAN_ONLY").results
    broken = [result.expectation_config for result in results if not result.success]
    if not broken:
        return []
    # Counts and samples cost as much again, so they are asked for only of the rules that do not hold.
    again = gx.ExpectationSuite(name, [rule.to_domain_obj() for rule in broken if rule is not None])
    details = batch.validate(
        again,
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": [shown] if shown else []},
    ).results
    return [_rule(result, shown) for result in details]


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
