"""Suites as they are run: what blocks, what warns, and what a result may show."""

import json
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from dagster_project.defs.checks import as_result
from dagster_project.expectations import Examined, Rule, examine
from dagster_project.gatekeeper import Gatekeeper
from pipelines.errors import ScarecrowError
from schemas.mart import ACCOUNT_LINKS, SUSPECT_ACCOUNTS
from tests.small_mart import SmallMart

SUITES = sorted(Path(str(files("schemas").joinpath("expectations"))).glob("*.json"))


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    made = SmallMart()
    made.write(tmp_path_factory.mktemp("rows") / "mart.duckdb")
    return pa.Table.from_pylist(made.rows["suspect_accounts"], schema=SUSPECT_ACCOUNTS.arrow())


def changed(table: pa.Table, column: str, values: list[object]) -> pa.Table:
    at = table.schema.get_field_index(column)
    kept = table[column].to_pylist()
    field = pa.field(column, table.schema.field(column).type)
    return table.set_column(at, field, pa.array([*values, *kept[len(values) :]], field.type))


def test_every_suite_loads_in_the_library() -> None:
    import great_expectations as gx

    for path in SUITES:
        suite = gx.ExpectationSuite(**json.loads(path.read_text()))
        assert suite.name == path.stem
        assert path.stem == "account_activity" or suite.expectations


def test_sound_rows_pass(accounts: pa.Table) -> None:
    found = examine("suspect_accounts", accounts)
    assert found.failed == []
    assert as_result(found).passed
    assert found.rules > 10


def test_a_critical_rule_blocks_and_shows_ids_only(accounts: pa.Table) -> None:
    found = examine("suspect_accounts", changed(accounts, "p_value", [7.25, -1.5]))
    result = as_result(found)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert [(r.rule, r.column, r.unexpected) for r in found.failed] == [
        ("expect_column_values_to_be_between", "p_value", 2)
    ]
    assert found.failed[0].samples == accounts["account_id"].to_pylist()[:2]
    assert "7.25" not in str(result.metadata)
    assert "expect_column_values_to_be_between p_value fails for 2 of them" in (result.description or "")


def test_a_warning_fails_the_check_and_blocks_nothing(accounts: pa.Table) -> None:
    found = examine("suspect_accounts", changed(accounts, "state", ["haunted"]))
    result = as_result(found)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_no_rows_are_critical_where_there_must_be_some(accounts: pa.Table) -> None:
    assert examine("suspect_accounts", accounts.slice(0, 0)).is_critical


def test_repeated_keys_are_found(accounts: pa.Table) -> None:
    table = changed(accounts, "account_id", ["twice", "twice"])
    found = examine("suspect_accounts", table)
    assert [r.rule for r in found.failed] == ["expect_column_values_to_be_unique"]
    assert set(found.failed[0].samples) == {"twice"}


def test_rows_that_come_in_batches_are_held_against_the_same_rules(accounts: pa.Table) -> None:
    last = len(accounts) - 1
    broken = changed(accounts, "p_value", [7.25, *accounts["p_value"].to_pylist()[1:last], -1.5])
    broken = changed(broken, "account_id", ["twice", *broken["account_id"].to_pylist()[1:last], "twice"])
    whole = examine("suspect_accounts", broken)
    assert {rule.rule for rule in whole.failed} == {
        "expect_column_values_to_be_between", "expect_column_values_to_be_unique",
    }  # fmt: skip
    for most in (7, last):
        found = examine("suspect_accounts", broken.to_reader(3), most)
        assert (found.rows, found.rules) == (whole.rows, whole.rules)
        assert sorted(map(str, found.failed)) == sorted(map(str, whole.failed))
    assert examine("suspect_accounts", accounts.to_reader(5), 7).failed == []
    links = pa.table({name: ["a", "b", "c"] for name in ACCOUNT_LINKS.arrow().names})
    found = examine("account_links", links, 2)  # which has no rule of all rows
    assert (found.rows, found.failed) == (3, [])
    assert examine("suspect_accounts", accounts.slice(0, 0).to_reader()).is_critical


def test_the_gatekeeper_says_the_same_from_its_own_process(accounts: pa.Table) -> None:
    broken = changed(accounts, "p_value", [7.25])
    with Gatekeeper() as gatekeeper:
        assert gatekeeper.examine("suspect_accounts", broken) == examine("suspect_accounts", broken)
        assert gatekeeper.examine("suspect_accounts", accounts).failed == []
        gatekeeper._process.kill()
        gatekeeper._process.wait()
        with pytest.raises(ScarecrowError, match="ended without an answer"):
            gatekeeper.examine("suspect_accounts", accounts)


def test_the_worst_rule_is_named_first() -> None:
    warns = Rule("a", "x", "warning", 5, [])
    blocks = Rule("b", "y", "critical", 1, [])
    assert Examined(9, 3, [warns, blocks]).says == "1 of 3 rules hold over 9 rows; b y fails for 1 of them"
