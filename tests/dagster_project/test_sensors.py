"""Sensors by themselves: what is due, what is new, and that a failed run is told to a real receiver."""

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.definitions import defs
from dagster_project.defs.resources import Scarecrow
from dagster_project.defs.sensors import new_finding, new_lake_version, run_failed
from dagster_project.gatekeeper import Gatekeeper
from dagster_project.in_process import rank_in_process
from pipelines.alerts.channels.webhook import signature
from pipelines.rank.steps import Ranking
from pipelines.rank.workspace import Workspace
from pipelines.settings import load_settings, settings_hash
from tests.alerts.receivers import http_receiver
from tests.rank.world import DAY_MS, FIRST_MS, small_world

KEY = "k" * 24
END_OF_A_DAY_MS = FIRST_MS + 4 * DAY_MS


def test_a_new_lake_version_is_due_until_it_is_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, mart = small_world()[1], tmp_path / "mart.duckdb"
    monkeypatch.setenv("SCARECROW_LAKE__PATH", str(lake.path))
    monkeypatch.setenv("SCARECROW_MART__PATH", str(mart))
    monkeypatch.setenv("SCARECROW_ALERTS__OCSF", str(tmp_path / "findings.ndjson"))
    told = new_finding(dg.build_sensor_context(), scarecrow=Scarecrow())
    assert isinstance(told, dg.SkipReason)
    due = new_lake_version(dg.build_sensor_context(), scarecrow=Scarecrow())
    assert isinstance(due, dg.RunRequest)
    assert due.partition_key == "2026-01-10"
    assert due.tags["scarecrow/lake_version"] == str(lake.hours().version())
    again = new_lake_version(dg.build_sensor_context(), scarecrow=Scarecrow())
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == due.run_key  # one need, one run, whoever asks
    assert (
        int(due.tags["dagster/priority"]) > 0
    )  # a backfill of a month does not hold up the ranking of today

    settings = load_settings(None, {})
    ranking = Ranking(
        lake, mart, Workspace.beside(mart, "a run"), settings.rank.horizon_days, None, settings_hash(settings)
    )
    with Gatekeeper() as gatekeeper:
        rank_in_process(ranking, gatekeeper)
    skipped = new_lake_version(dg.build_sensor_context(), scarecrow=Scarecrow())
    assert isinstance(skipped, dg.SkipReason)
    assert f"lake version {lake.hours().version()}" in (skipped.skip_message or "")

    earlier = replace(ranking, workspace=Workspace.beside(mart, "a backfill"), as_of_ms=END_OF_A_DAY_MS)
    with Gatekeeper() as gatekeeper:
        rank_in_process(earlier, gatekeeper)
    skipped = new_lake_version(dg.build_sensor_context(), scarecrow=Scarecrow())
    assert isinstance(skipped, dg.SkipReason)  # a day of a backfill asks for no other ranking of today

    first = new_finding(dg.build_sensor_context(), scarecrow=Scarecrow())
    assert isinstance(first, dg.RunRequest)
    assert first.run_key == str(mart.stat().st_mtime_ns)
    second = new_finding(dg.build_sensor_context(cursor=first.run_key), scarecrow=Scarecrow())
    assert isinstance(second, dg.SkipReason)  # the cursor is the mart that was told of
    monkeypatch.delenv("SCARECROW_ALERTS__OCSF")
    unheard = dg.build_sensor_context()
    skipped = new_finding(unheard, scarecrow=Scarecrow())
    assert isinstance(skipped, dg.SkipReason)
    assert "no channel" in (skipped.skip_message or "")
    assert unheard.cursor is None  # a channel that is set later is told of this mart


def test_a_failed_run_is_told_with_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCARECROW_LAKE__PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("SCARECROW_MART__PATH", str(tmp_path / "mart.duckdb"))
    with http_receiver() as receiver, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("SCARECROW_ALERTS__WEBHOOK__URL", f"{receiver.url}/hook")
        monkeypatch.setenv("SCARECROW_ALERTS__WEBHOOK__KEY", KEY)
        monkeypatch.setenv("SCARECROW_ALERTS__SLACK__URL", f"{receiver.url}/slack")
        result = defs.resolve_job_def("rank_day").execute_in_process(
            instance=instance, partition_key="2026-01-09", raise_on_error=False
        )
        assert not result.success
        context = dg.build_run_status_sensor_context(
            "run_failed", result.get_run_failure_event(), instance, result.dagster_run
        ).for_run_failure()
        run_failed(context, scarecrow=Scarecrow())
    hook, slack = receiver.arrivals
    event = json.loads(hook.body)
    assert event["data"]["run_id"] == result.run_id
    assert event["data"]["partition"] == "2026-01-09"
    assert f"{tmp_path / 'nowhere'}" in event["data"]["says"]
    assert "\n" not in event["data"]["says"]
    at = int(hook.headers["webhook-timestamp"])
    assert hook.headers["webhook-signature"] == signature(
        KEY.encode(), hook.headers["webhook-id"], at, hook.body
    )
    assert event["data"]["says"] in json.loads(slack.body)["blocks"][0]["text"]["text"]
