"""Great Expectations suites derived from the relations: nulls, bounds, allowed values, keys, size.

A suite is plain JSON (`schemas/expectations/*.json`), so it can be read without the library. Rules of columns
that are not critical have severity `warning` and do not block publication.
"""

from typing import Any

import pyarrow as pa

from schemas.describe import Column, Relation


def _rule(kind: str, column: Column | None, **kwargs: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "kwargs": kwargs if column is None else {"column": column.name, **kwargs},
        "severity": "critical" if column is None or column.critical else "warning",
    }


def _column_rules(column: Column) -> list[dict[str, Any]]:
    rules = []
    if column.required:
        rules.append(_rule("expect_column_values_to_not_be_null", column))
    if column.minimum is not None or column.maximum is not None:
        rules.append(
            _rule(
                "expect_column_values_to_be_between",
                column,
                min_value=column.minimum,
                max_value=column.maximum,
            )
        )
    if column.values:
        rules.append(_rule("expect_column_values_to_be_in_set", column, value_set=list(column.values)))
    if column.unique:
        rules.append(_rule("expect_column_values_to_be_unique", column))
    return rules


def checked(relation: Relation) -> list[Column]:
    """Columns that a suite looks at: lists are checked by SQL audits instead."""
    return [column for column in relation.columns if not pa.types.is_list(column.type)]


def suite(relation: Relation, minimum_rows: int = 0) -> dict[str, Any]:
    """The suite of a relation as JSON data. minimum_rows: an emptier table is a critical failure."""
    rules = [rule for column in checked(relation) for rule in _column_rules(column)]
    if relation.unique:
        rules.append(_rule("expect_compound_columns_to_be_unique", None, column_list=list(relation.unique)))
    if minimum_rows:
        rules.append(_rule("expect_table_row_count_to_be_between", None, min_value=minimum_rows))
    return {
        "name": relation.name,
        "expectations": rules,
        "meta": {"owner": relation.owner, "grain": relation.grain},
    }
