"""What derives from the descriptions is what is in the repository, and works."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.ingest.fold import SUMS
from pipelines.lake.tables import table_schema
from schemas import generate
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS, MEASURES, REJECTS, SKETCHES
from schemas.mart import MART
from schemas.request import FIELDS, json_schema

SUITES = sorted((Path(generate.__file__).parent / "expectations").glob("*.json"))


def test_generated_files_are_up_to_date() -> None:
    root = Path(generate.__file__).parent
    for name, content in generate.generated().items():
        assert (root / name).read_text() == content, f"{name} is stale: run `python -m schemas.generate`"
    assert {f"expectations/{p.name}" for p in SUITES} <= set(generate.generated())


@pytest.mark.parametrize("path", SUITES, ids=[p.stem for p in SUITES])
def test_suites_load_in_great_expectations(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, on import
        import great_expectations as gx

        suite = gx.ExpectationSuite(**json.loads(path.read_text()))
    assert len(suite.expectations) > 0


def test_days_have_the_columns_of_hours() -> None:
    assert ACCOUNT_DAYS.columns == ACCOUNT_HOURS.columns


def test_every_measure_says_how_it_merges() -> None:
    assert all(column.merge in ("sum", "min", "max", "sketch") for column in MEASURES)
    assert [c.name for c in MEASURES if c.merge == "sum"] == list(SUMS)
    names = [column.name for sketch in SKETCHES for column in sketch.columns]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("relation", [ACCOUNT_HOURS, ACCOUNT_DAYS, REJECTS, *MART], ids=lambda r: r.name)
def test_relations_are_complete(relation: object) -> None:
    names = [column.name for column in relation.columns]  # type: ignore[attr-defined]
    assert len(names) == len(set(names))
    assert all(column.meaning for column in relation.columns)  # type: ignore[attr-defined]
    assert relation.meaning  # type: ignore[attr-defined]
    assert relation.grain  # type: ignore[attr-defined]


def test_the_lake_keeps_to_types_that_every_reader_has() -> None:
    for relation in (ACCOUNT_HOURS, ACCOUNT_DAYS, REJECTS):
        for field in table_schema(relation):
            kind = field.type.value_type if pa.types.is_list(field.type) else field.type
            assert kind in (pa.int32(), pa.int64(), pa.string(), pa.date32()), field


def test_the_json_schema_names_every_field() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {field.name for field in FIELDS}
    assert schema["required"] == ["event_id", "event_time", "account_id"]
