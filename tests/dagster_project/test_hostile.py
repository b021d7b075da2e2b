"""Text from the log in what Dagster shows: metadata of the mart, samples of a gate, the sentence of a failed run."""

import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from dagster_project.defs.checks import as_result
from dagster_project.defs.mart import _first_campaigns
from dagster_project.expectations import examine
from dagster_project.failures import tell_failure
from pipelines.settings import load_settings
from schemas.mart import SUSPECT_ACCOUNTS
from tests.alerts.receivers import http_receiver
from tests.hostile import HOSTILE
from tests.small_mart import SmallMart


def dangerous(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}}


def test_the_first_campaigns_are_inert(tmp_path: Path) -> None:
    names = HOSTILE[:10]
    mart = SmallMart(campaign_ids=names, campaign_sizes=(3,) * len(names), ids=HOSTILE).write(
        tmp_path / "mart.duckdb"
    )
    shown = _first_campaigns({"is_in_force": True, "mart": str(mart)})
    records = [record.data for record in shown["first_campaigns"].value.records]
    assert len(records) == len(names)
    assert any("<script>" in str(r["campaign"]) for r in records)  # as text, and Dagster's page escapes it
    assert dangerous("".join(str(v) for r in records for v in r.values())) == set()


def test_samples_of_a_gate_are_inert(tmp_path: Path) -> None:
    made = SmallMart(ids=HOSTILE)
    made.write(tmp_path / "mart.duckdb")
    table = pa.Table.from_pylist(made.rows["suspect_accounts"], schema=SUSPECT_ACCOUNTS.arrow())
    at = table.schema.get_field_index("p_value")
    field = table.schema.field("p_value")
    found = examine("suspect_accounts", table.set_column(at, field, pa.array([7.0] * len(table), field.type)))
    samples = found.failed[0].samples
    assert len(samples) == 10
    result = as_result(found)
    shown = json.dumps(result.metadata["failed"].value, ensure_ascii=False)
    assert dangerous(shown) == set()
    assert dangerous(result.description or "") == set()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_failed_run_is_told_inert(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as receiver:
        monkeypatch.setenv("SCARECROW_ALERTS__WEBHOOK__URL", f"{receiver.url}/hook")
        monkeypatch.setenv("SCARECROW_ALERTS__SLACK__URL", f"{receiver.url}/slack")
        message = {"job": "rank_day", "run_id": "run", "partition": "2026-01-09", "says": text}
        tell_failure(message, load_settings(None, {}), 1_800_000_000_000)
    hook, slack = receiver.arrivals
    assert hook.body.isascii()
    assert json.loads(hook.body)["data"]["says"] == text  # exact for machines
    block = json.loads(slack.body)["blocks"][0]["text"]
    assert block["type"] == "plain_text"  # no markup of Slack
    assert dangerous(block["text"]) == set()
