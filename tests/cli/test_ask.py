"""The ten questions and an analyst's own SQL, as typed."""

import csv
import io
import json
from pathlib import Path

import pytest

from pipelines.cli.app import run
from pipelines.cli.ask import questions
from tests.cli.test_findings import dangerous
from tests.hostile import HOSTILE
from tests.small_mart import SmallMart

NUMBERS = sorted(questions())


@pytest.fixture(scope="module")
def hostile_mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SmallMart(ids=HOSTILE, campaign_ids=HOSTILE[:3], texts=HOSTILE).write(
        tmp_path_factory.mktemp("hostile") / "mart.duckdb"
    )


def test_without_a_question_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [str(n) for n in range(1, 11)]
    assert all(line.endswith("?") for line in lines[:-1])


@pytest.mark.parametrize("number", NUMBERS)
def test_every_question_is_answered(number: int, mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", str(number), "--mart", str(mart_file)]) == 0
    title, *_, last = capsys.readouterr().out.splitlines()
    assert title == questions()[number][0]
    assert int(last.split()[0].replace(",", "")) > 0


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=["table", "csv", "json"])
@pytest.mark.parametrize("number", NUMBERS)
def test_no_answer_steers_the_reader(
    number: int, form: list[str], hostile_mart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ask", str(number), "--mart", str(hostile_mart), *form]) == 0
    out = capsys.readouterr().out
    assert dangerous(out) == set()
    if form == ["--json"]:
        assert out.isascii()
        assert isinstance(json.loads(out), list)
    if form == ["--csv"]:
        for cell in (cell for row in csv.reader(io.StringIO(out)) for cell in row):
            is_formula = cell.lstrip(" '\"").startswith(("=", "+", "-", "@"))
            assert not is_formula or cell[0] == "'" or is_number(cell)


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_own_sql(mart_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "SELECT count(*) AS n FROM suspect_accounts", "--mart", str(mart_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 160}]
    assert run(["ask", "3", "--sql"]) == 0
    assert "explain_account(" in capsys.readouterr().out
    assert run(["ask", "FROM account_reasons", "--mart", str(mart_file), "--top", "2"]) == 0
    assert "the first 2 shown" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("11", "there is no question 11; choose 1 to 10"),
        ("SELECT * FROM nowhere", "the mart cannot answer that"),
        ("SELEC 1", "the mart cannot answer that"),
        ("DROP TABLE labels", "read-only"),
        ("COPY labels TO 'labels.csv'", "the mart cannot answer that"),
        ("FROM read_csv('/etc/passwd')", "the mart cannot answer that"),
        ("SET enable_external_access = true", "the mart cannot answer that"),
    ],
)
def test_what_it_does_not_answer(
    asked: str, said: str, mart_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = mart_file.read_bytes()
    assert run(["ask", asked, "--mart", str(mart_file)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert mart_file.read_bytes() == before
