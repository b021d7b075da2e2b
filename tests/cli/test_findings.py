"""suspects, campaigns and explain on a terminal, as JSON and as CSV."""

import csv
import io
import json
import shutil
import unicodedata
from pathlib import Path

import duckdb
import pytest

from pipelines.cli.app import run
from tests.hostile import HOSTILE
from tests.small_mart import SmallMart


@pytest.fixture(scope="module")
def hostile_mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SmallMart(ids=HOSTILE, campaign_ids=HOSTILE[:3], texts=HOSTILE).write(
        tmp_path_factory.mktemp("hostile") / "mart.duckdb"
    )


def test_suspects_as_a_table(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["suspects", "--mart", str(mart_file), "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert lines[-1].startswith("3 of 160 accounts, as of 2026-11-14 00:00 UTC.")


def test_campaigns_as_a_table(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["campaigns", "--mart", str(mart_file)]) == 0
    assert "3 of 3 campaigns" in capsys.readouterr().out


def test_json_holds_the_rows_of_the_mart(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["suspects", "--mart", str(mart_file), "--top", "5", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    with duckdb.connect(str(mart_file), read_only=True) as connection:
        wanted = connection.execute(
            "SELECT account_id, score, requests, reasons FROM suspect_accounts ORDER BY rank LIMIT 5"
        ).fetchall()
    assert [(a["account_id"], a["score"], a["requests"], a["reasons"]) for a in shown["accounts"]] == wanted
    assert shown["accounts"][0]["as_of"] == "2026-11-14T00:00:00+00:00"
    assert run(["campaigns", "--mart", str(mart_file), "--json"]) == 0
    assert [c["rank"] for c in json.loads(capsys.readouterr().out)["campaigns"]] == [1, 2, 3]


def test_csv_and_json_exclude_each_other(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["suspects", "--mart", str(mart_file), "--csv", "--json"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_explain_tells_all_parts(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "acct-0000", "--mart", str(mart_file)]) == 0
    out = capsys.readouterr().out
    for heading in (
        "What was seen",
        "What argues against it",
        "With whom",
        "could not be seen",
        "would settle it",
    ):
        assert heading in out
    assert "client_ip" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_explain_a_campaign_shows_some_members_and_says_how_many_more(
    mart_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["campaigns", "--mart", str(mart_file), "--json"]) == 0
    largest = max(json.loads(capsys.readouterr().out)["campaigns"], key=lambda c: c["accounts"])
    assert run(["explain", largest["campaign_id"], "--mart", str(mart_file), "--top", "4"]) == 0
    assert (
        f"and {largest['accounts'] - 4} more (--top {largest['accounts']} lists all)"
        in capsys.readouterr().out
    )
    assert run(["explain", largest["campaign_id"], "--mart", str(mart_file), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["members"]) == largest["accounts"]


@pytest.mark.parametrize("command", ["suspects", "campaigns", "explain acct-0000", "report"])
def test_a_mart_that_is_not_there(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--mart", str(tmp_path / "none.duckdb")]) == 2
    err = capsys.readouterr().err
    assert "none.duckdb does not exist; make it with `scarecrow rank --mart" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["suspects", "campaigns", "explain acct-0000", "report"])
def test_a_mart_that_is_damaged(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mart.duckdb").write_bytes(b"damaged" * 1000)
    assert run([*command.split(), "--mart", str(tmp_path / "mart.duckdb")]) == 1
    err = capsys.readouterr().err
    assert "cannot be read" in err
    assert err.count("\n") == 1


def test_an_unknown_account(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "acct-9999", "--mart", str(mart_file)]) == 2
    assert "has no account or campaign acct-9999" in capsys.readouterr().err


def test_the_mart_may_come_from_settings(
    mart_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCARECROW_MART__PATH", str(mart_file))
    assert run(["suspects", "--top", "1"]) == 0
    assert "1 of 160 accounts" in capsys.readouterr().out


def dangerous(text: str) -> set[str]:
    """Characters that steer a terminal or hide in it; line ends are ours."""
    return {
        c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
    }


@pytest.mark.parametrize("form", ["table", "--json", "--csv"])
@pytest.mark.parametrize("command", ["suspects", "campaigns"])
def test_hostile_ids_are_inert_in_every_form(
    command: str, form: str, hostile_mart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [command, "--mart", str(hostile_mart), "--top", "200"]
    assert run(arguments if form == "table" else [*arguments, form]) == 0
    out = capsys.readouterr().out
    assert dangerous(out) == set()
    if form == "--json":
        assert out.isascii()
    if form == "--csv":
        for row in csv.DictReader(io.StringIO(out)):
            for name in ("campaign_id", "account_id", "reasons"):
                assert (
                    not row.get(name, "").lstrip(" '\"").startswith(("=", "+", "-", "@"))
                    or row[name][0] == "'"
                )
    elif form == "table" and command == "suspects":
        assert "[bold red]markup[/bold red]" in out
        assert "forged line" in out
        assert not any(line.startswith("forged line") for line in out.splitlines())


def test_hostile_ids_are_inert_when_explained(hostile_mart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        assert run(["explain", "--mart", str(hostile_mart), "--kind", "account", "--", text]) == 0
        assert dangerous(capsys.readouterr().out) == set()
    assert run(["explain", "--mart", str(hostile_mart), "nobody\x1b[2J\u202e"]) == 2
    assert dangerous(capsys.readouterr().err) == set()


def test_hostile_ids_changed_nothing(hostile_mart: Path) -> None:
    with duckdb.connect(str(hostile_mart), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM suspect_accounts").fetchall() == [(160,)]


def test_hostile_ids_are_inert_when_marts_are_compared(
    hostile_mart: Path, mart_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", str(mart_file), str(hostile_mart), "--top", "200"]) == 0
    out = capsys.readouterr().out
    assert "entered" in out
    assert dangerous(out) == set()
    assert run(["diff", str(hostile_mart), str(mart_file), "--top", "200", "--json"]) == 0
    assert capsys.readouterr().out.isascii()


def test_hostile_ids_are_inert_in_what_would_be_told_and_in_labels(
    hostile_mart: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mart = shutil.copyfile(hostile_mart, tmp_path / "mart.duckdb")
    with duckdb.connect(str(mart)) as connection:
        connection.execute("UPDATE suspect_accounts SET confidence = 'medium', score = 20 - rank / 1000")
        connection.execute("UPDATE account_reasons SET contribution = 0.5 WHERE contribution < 0.5")
    assert run(["alert", "--dry-run", "--mart", str(mart)]) == 0
    out = capsys.readouterr().out
    assert "would tell: " in out
    assert dangerous(out) == set()
    for text in HOSTILE:
        arguments = ["--by", text, "--reason", text, "--kind", "account", "--mart", str(mart)]
        assert run(["label", *arguments, "--", text, "suspicious"]) == 0
        assert dangerous(capsys.readouterr().out) == set()
