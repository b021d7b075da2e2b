"""The feed as file, exports and command, with hostile ids."""

import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.alerts.findings import read_ranking
from pipelines.cli.app import run
from pipelines.enforce.run import enforce
from pipelines.enforce.subjects import read_subjects
from pipelines.errors import UsageError
from pipelines.mart.labels import Verdict, labels_file
from pipelines.mart.open import open_mart
from pipelines.settings import load_settings
from tests.cli.test_findings import dangerous
from tests.hostile import HOSTILE
from tests.small_mart import SmallMart

NOW_MS = 1_795_000_000_000
DAY = 86_400_000

# kafka-python reads its own files through a deprecated function when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")


@pytest.fixture
def mart(tmp_path: Path) -> Path:
    """Hostile accounts fill the first campaign and a bit of the second."""
    return SmallMart(ids=HOSTILE, campaign_ids=HOSTILE[:3], texts=HOSTILE).write(tmp_path / "mart.duckdb")


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def verdict(mart: Path, kind: str, subject: str, said: str) -> None:
    row = Verdict(kind, subject, said, "ana", "seen", NOW_MS, None)
    with labels_file(mart).open("a") as file:
        file.write(json.dumps(row.__dict__) + "\n")


def test_json_lines_and_parquet_hold_the_same_rows(mart: Path, tmp_path: Path) -> None:
    settings = load_settings()
    first = enforce(mart, tmp_path / "a.jsonl", "jsonl", settings, NOW_MS)
    again = enforce(mart, tmp_path / "a.parquet", "parquet", settings, NOW_MS + 1)
    assert (first.version, again.version, again.changes) == (1, 1, 0)
    found = rows(tmp_path / "a.jsonl")
    assert found == pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert len(found) == len(first.entries) > 40
    assert all(r["is_dry_run"] for r in found)  # unless the operator says otherwise
    text = (tmp_path / "a.jsonl").read_text()
    assert text.isascii()
    assert dangerous(text) == set()
    assert set(HOSTILE) <= {r["subject_id"] for r in found if r["subject_kind"] == "account"}  # exact
    assert not any(dangerous(str(r["reason"])) for r in found)
    assert {r["action"] for r in found} <= {
        "watch", "verify_identity", "rate_limit", "vary_outputs", "review",
    }  # fmt: skip


def test_a_persons_verdict_counts_at_once(mart: Path, tmp_path: Path) -> None:
    settings = load_settings()
    out = tmp_path / "a.jsonl"
    enforce(mart, out, "jsonl", settings, NOW_MS)
    verdict(mart, "account", HOSTILE[0], "true_positive")
    verdict(mart, "account", HOSTILE[1], "false_positive")
    report = enforce(mart, out, "jsonl", settings, NOW_MS + 1)
    found = {(r["subject_kind"], r["subject_id"]): r for r in rows(out)}
    assert found["account", HOSTILE[0]]["action"] == "suspend"
    assert found["account", HOSTILE[0]]["version"] == report.version == 2
    assert ("account", HOSTILE[1]) not in found
    assert report.changes == 2


def test_a_feed_without_new_rankings_lets_go(mart: Path, tmp_path: Path) -> None:
    settings = load_settings()
    enforce(mart, tmp_path / "a.jsonl", "jsonl", settings, NOW_MS)
    with duckdb.connect(str(mart)) as connection:
        connection.execute("UPDATE runs SET as_of = as_of - INTERVAL 1 DAY")
    assert enforce(mart, tmp_path / "a.jsonl", "jsonl", settings, NOW_MS + DAY).changes == 0
    report = enforce(mart, tmp_path / "a.jsonl", "jsonl", settings, NOW_MS + 4 * DAY)
    assert report.entries == []
    assert (tmp_path / "a.jsonl").read_text() == ""


def test_metadata_alone_is_neither_told_nor_graded(mart: Path) -> None:
    """An account whose only anchor are first turns, beside tempo: what a log without prompts can show."""
    with open_mart(str(mart)) as opened:
        account = opened.rows(
            "SELECT account_id FROM suspect_accounts WHERE campaign_id IS NULL ORDER BY rank"
        )[0][0]
    for reason in ("first_turns", "templates"):
        with duckdb.connect(str(mart)) as connection:
            as_of = connection.execute("SELECT max(as_of) FROM runs").fetchall()[0][0]
            connection.execute("DELETE FROM account_reasons WHERE id = ?", [account])
            connection.execute(
                "UPDATE suspect_accounts SET score = 9, p_value = 0.01 WHERE account_id = ?", [account]
            )
            for family, name in (("tempo", "longest_gap_hours"), ("systematicity", reason)):
                connection.execute(
                    "INSERT INTO account_reasons VALUES (?, ?, ?, ?, 1.0, 0.5, 99.0, 1.2, 'x')",
                    [as_of, account, family, name],
                )
        with open_mart(str(mart)) as opened:
            (finding,) = (f for f in read_ranking(opened, 0, 999).findings if f.id == account)
            (subject,) = (s for s in read_subjects(opened, 0.0, 0.05, 0.1).accounts if s.id == account)
        assert finding.has_two_families(0.1) == subject.has_two_families == (reason == "templates")


def test_gateways(mart: Path, tmp_path: Path) -> None:
    proposal, real = load_settings(), load_settings(flags={"enforce.is_dry_run": False})
    enforce(mart, tmp_path / "p.yaml", "envoy", proposal, NOW_MS)
    enforce(mart, tmp_path / "p.jsonl", "litellm", proposal, NOW_MS)
    verdict(mart, "account", HOSTILE[0], "true_positive")
    enforce(mart, tmp_path / "r.yaml", "envoy", real, NOW_MS)
    enforce(mart, tmp_path / "r.jsonl", "litellm", real, NOW_MS)
    shadow = yaml.safe_load((tmp_path / "p.yaml").read_text())
    live = yaml.safe_load((tmp_path / "r.yaml").read_text())
    assert shadow["domain"] == live["domain"] == "scarecrow"
    assert all(d["shadow_mode"] for d in shadow["descriptors"])
    assert not any("shadow_mode" in d for d in live["descriptors"])
    assert (tmp_path / "r.yaml").read_text().isascii()
    assert dangerous((tmp_path / "r.yaml").read_text()) == set()
    limits = {d["value"]: d["rate_limit"]["requests_per_unit"] for d in live["descriptors"]}
    assert limits[HOSTILE[0]] == 0
    assert set(HOSTILE) & set(limits)
    assert not any("max_budget" in r for r in rows(tmp_path / "p.jsonl"))
    budgets = {r["user_id"]: r["max_budget"] for r in rows(tmp_path / "r.jsonl") if "max_budget" in r}
    assert budgets == {account: round(calls * 0.01, 4) for account, calls in limits.items()}


def test_the_command_and_appeals(mart: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.jsonl"
    assert run(["enforce", "--mart", str(mart), "--out", str(out)]) == 0
    assert "proposals" in capsys.readouterr().out
    arguments = ["--by", "ana", "--reason", "a class", "--mart", str(mart)]
    assert run(["enforce", "appeal", *arguments, "--", HOSTILE[8], "granted"]) == 0
    assert dangerous(capsys.readouterr().out) == set()
    assert run(["enforce", "appeal", *arguments, "nobody-at-all", "open"]) == 2
    capsys.readouterr()
    assert run(["enforce", "--mart", str(mart), "--out", str(out), "--apply"]) == 0
    assert "actions" in capsys.readouterr().out
    found = rows(out)
    assert HOSTILE[8] not in {r["subject_id"] for r in found if r["subject_kind"] == "account"}
    assert not any(r["is_dry_run"] for r in found)


def test_scores_out_of_order(mart: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must rise"):
        enforce(mart, tmp_path / "a", "jsonl", load_settings(flags={"enforce.watch": 9}), NOW_MS)


def test_an_out_that_cannot_be_written(mart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["enforce", "--mart", str(mart), "--out", "/proc/actions.jsonl"]) == 1
    assert "cannot be written" in capsys.readouterr().err
