"""A mart file and a truth file, end to end; and the sentences for what does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import orjson
import polars as pl
import pytest

from pipelines.cli.app import run
from pipelines.errors import ScarecrowError, UsageError
from pipelines.evaluate import evaluate, evaluate_mart
from pipelines.evaluate.tables import read_found, read_truth
from pipelines.mart.open import open_mart
from tests.small_mart import SmallMart

CAMPAIGNS = ("c-one", "c-two")


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mart") / "mart.duckdb"
    return SmallMart(accounts=60, campaign_sizes=(8, 5), campaign_ids=CAMPAIGNS).write(path)


@pytest.fixture(scope="module")
def truth(mart: Path) -> Path:
    """c-one is planted just as found; c-two is a class of pupils; one account never showed up."""
    with open_mart(str(mart)) as opened:
        members = dict(opened.rows("SELECT account_id, campaign_id FROM campaign_members"))
        ids = [row[0] for row in opened.rows("SELECT account_id FROM suspect_accounts ORDER BY account_id")]
        day = opened.rows("SELECT min(as_of) - INTERVAL 14 DAY FROM suspect_accounts")[0][0]
    accounts = [
        {
            "account_id": name,
            "class": {"c-one": "relay", "c-two": "classroom"}.get(members.get(name, ""), "person"),
            "is_harvesting": members.get(name) == "c-one",
            "campaign_id": "planted-01" if members.get(name) == "c-one" else None,
            "strategy": "relay" if members.get(name) == "c-one" else None,
        }
        for name in [*ids, "never-seen"]
    ]
    campaign = {
        "campaign_id": "planted-01", "strategy": "relay", "accounts": 8, "harvest_requests": 140,
        "harvest_requests_by_day": [10] * 14,
    }  # fmt: skip
    path = mart.parent / "truth.json"
    content = {"world": {"start": day.isoformat()}, "campaigns": [campaign], "accounts": accounts}
    path.write_bytes(orjson.dumps(content))
    return path


def test_figures_of_a_mart(mart: Path, truth: Path) -> None:
    evaluation = evaluate_mart(mart, truth, with_ablation=True)
    assert (evaluation.accounts, evaluation.harvesting, evaluation.unranked) == (61, 8, 1)
    assert [ranking.name for ranking in evaluation.rankings] == [
        "scarecrow",
        "request volume",
        "isolation forest",
    ]
    (planted,) = evaluation.campaigns
    assert (planted.found, planted.recall, planted.purity, planted.pieces) == ("c-one", 1.0, 1.0, 1)
    assert evaluation.campaigns_found == 1
    assert evaluation.benign_share_of_first == 0.5
    assert [
        (row.kind, row.is_benign) for row in sorted(evaluation.first_campaigns, key=lambda r: r.campaign_id)
    ] == [
        ("relay", False),
        ("classroom", True),
    ]
    pupils = next(row for row in evaluation.classes if row.name == "classroom")
    assert (pupils.accounts, pupils.in_first_campaigns) == (5, 5)
    assert evaluation.classes[0].name == "classroom"  # the only ordinary class with alarms stands first
    assert pupils.alarms > 0
    assert evaluation.families
    (alert,) = evaluation.first_alerts
    assert alert.at is not None
    assert 0 < alert.share_gone <= 1


def test_average_precision_follows_the_ranks_of_the_mart(mart: Path, truth: Path) -> None:
    guilty = set(
        pl.DataFrame(orjson.loads(truth.read_bytes())["accounts"]).filter("is_harvesting")["account_id"]
    )
    with open_mart(str(mart)) as opened:
        order = [row[0] for row in opened.rows("SELECT account_id FROM suspect_accounts ORDER BY rank")]
    hits = [i + 1 for i, name in enumerate(order) if name in guilty]
    expected = sum((n + 1) / i for n, i in enumerate(hits)) / len(hits)
    assert evaluate_mart(mart, truth).rankings[0].average_precision == pytest.approx(expected)


def test_the_command_prints_tables_and_json(
    mart: Path, truth: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--mart", str(mart), "--truth", str(truth)]
    assert run([*arguments, "--ablate"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "request volume",
        "isolation forest",
        "planted-01",
        "classroom",
        "without family",
        "1 of 1 planted",
    ):
        assert words in shown
    assert run([*arguments, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rankings"][0]["name"] == "scarecrow"
    assert content["campaigns"][0]["purity"] == 1.0


def test_a_truth_in_parquet_needs_two_columns_only(mart: Path, truth: Path, tmp_path: Path) -> None:
    rows = pl.DataFrame(orjson.loads(truth.read_bytes())["accounts"])
    path = tmp_path / "truth.parquet"
    rows.select("account_id", "is_harvesting").write_parquet(path)
    slim = evaluate_mart(mart, path)
    assert slim.rankings[0].average_precision == evaluate_mart(mart, truth).rankings[0].average_precision
    assert slim.campaigns == []
    rows.select("account_id", "is_harvesting", "campaign_id").write_parquet(path)
    assert evaluate_mart(mart, path).campaigns[0].recall == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"{", "is not JSON"),
        (b"[]", "has no list 'accounts'"),
        (b'{"accounts": [{"account_id": "a"}]}', "has no column is_harvesting"),
    ],
)
def test_what_is_no_truth_is_said(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_truth(path)


def test_the_truth_of_another_world_is_refused(mart: Path, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_bytes(orjson.dumps({"accounts": [{"account_id": "z", "is_harvesting": True}]}))
    with pytest.raises(ScarecrowError, match="None of the 60 accounts"):
        evaluate_mart(mart, path)


def test_one_ranking_alone_tells_no_first_alert(mart: Path, truth: Path) -> None:
    found = read_found(mart)
    latest = found.history.filter(pl.col("as_of") == pl.col("as_of").max())
    assert evaluate(replace(found, history=latest), read_truth(truth)).first_alerts == []
