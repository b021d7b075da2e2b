"""Rows in, rows out: every case of tests/cases against the model that it names, by the text in `sql/`.

A case gives tables (staged ones freely, mart relations by their description) and the rows that must come out, in
order; only the columns that a case names are compared.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

import sql
from pipelines.mart.macros import install_macros
from pipelines.mart.models import MODELS, STAGING
from schemas.mart import MART

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
]
_RELATIONS = {relation.name: relation for relation in MART}


def aware(value: Any) -> Any:
    """YAML gives times without a zone; all of ours are UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for relation in MART:
            connection.execute(relation.ddl().replace(" NOT NULL", ""))
        install_macros(connection)
        for name, rows in case["given"].items():
            cleaned = [{key: aware(value) for key, value in row.items()} for row in rows]
            if name in _RELATIONS:
                schema = pa.schema([f.with_nullable(True) for f in _RELATIONS[name].arrow()])
                connection.register("given", pa.Table.from_pylist(cleaned, schema=schema))
                connection.execute(f"INSERT INTO {name} SELECT * FROM given")
            else:
                connection.register(name, pa.Table.from_pylist(cleaned))
        for name in case.get("staging", []):
            text = sql.load(f"staging/{name}.sql")
            connection.execute(f"CREATE TEMP TABLE {name} AS {text}")
        result = connection.execute(sql.load(case["model"])).fetchall()
        names = [column[0] for column in connection.description or ()]
    wanted = [{key: aware(value) for key, value in row.items()} for row in case["expect"]]
    columns = list(wanted[0]) if wanted else []
    found = [{key: value for key, value in zip(names, row, strict=True) if key in columns} for row in result]
    assert [{k: plain(v) for k, v in row.items()} for row in found] == wanted


def plain(value: Any) -> Any:
    """Rounded, so that a case can be written by hand."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return value


def test_every_model_and_staging_model_has_a_case() -> None:
    cased = {case.values[0]["model"] for case in CASES}  # type: ignore[index]
    trivial = {"account_profiles", "account_links", "account_reasons", "campaign_reasons", "labels", "sources", "runs",
               "family_weights", "audit_log"}  # fmt: skip
    """These pass their input through; tests/rank holds them to the ranking that fills them."""
    assert {f"marts/{name}.sql" for name in MODELS if name not in trivial} <= cased
    assert {f"staging/{name}.sql" for name in STAGING} <= cased
