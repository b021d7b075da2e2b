"""Audits: silent on a sound mart, and each one loud about the fault that it is for."""

from pathlib import Path

import duckdb
import pytest

import sql
from pipelines.mart.build import audit
from tests.small_mart import SmallMart

FAULTS = {
    "every_account_is_profiled": "DELETE FROM account_profiles WHERE account_id = 'acct-0005'",
    "links_are_ordered": "UPDATE account_links SET account_a = account_b, account_b = account_a",
    "members_have_campaigns": "UPDATE suspect_accounts SET campaign_id = NULL WHERE account_id = 'acct-0001'",
    "ranks_without_gaps": "UPDATE suspect_accounts SET rank = rank + 1 WHERE rank > 10",
    "reasons_sum_to_score": "UPDATE account_reasons SET contribution = contribution + 1 WHERE id = 'acct-0009'",
    "suppressed_stay_down": "UPDATE suspect_accounts SET state = 'suppressed' WHERE rank = 1",
}


def test_there_is_a_fault_for_every_audit() -> None:
    assert {Path(name).stem for name in sql.listed("audits")} == set(FAULTS)


def test_a_sound_mart_is_silent(tmp_path: Path) -> None:
    assert audit(SmallMart().write(tmp_path / "mart.duckdb")) == dict.fromkeys(FAULTS, 0)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(tmp_path: Path, name: str) -> None:
    path = SmallMart().write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(FAULTS[name])
    assert audit(path)[name] > 0
