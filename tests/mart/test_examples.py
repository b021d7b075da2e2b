"""The example questions run as an analyst would run them: read-only, on a mart with its macros."""

from pathlib import Path

import duckdb
import pytest

import sql
from pipelines.mart.open import open_mart
from tests.small_mart import SmallMart

QUESTIONS = Path(__file__).parents[2] / "docs" / "QUESTIONS.md"
EXAMPLES = sql.listed("examples")


def test_there_are_ten_questions() -> None:
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_question_has_an_answer(mart_file: Path, name: str) -> None:
    text = sql.load(name)
    assert text.startswith("-- Question: ")
    assert "\n-- Answer: " in text
    with open_mart(str(mart_file)) as mart:
        assert len(mart.rows(text)) > 0


def test_the_first_question_skips_what_is_decided(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        rows = mart.rows(sql.load("examples/01_whom_to_look_at_first.sql"))
        labelled = {row[0] for row in mart.rows("SELECT subject_id FROM labels")}
    assert labelled
    assert not labelled & {row[1] for row in rows}


def test_shares_of_calls_add_up(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        rows = mart.rows(sql.load("examples/04_who_belongs_to_this_campaign.sql"))
    assert sum(row[-1] for row in rows) == pytest.approx(100, abs=1)


def more_questions() -> list[str]:
    """The statements of docs/QUESTIONS.md, with an account of the small mart and its days."""
    block = QUESTIONS.read_text().partition("```sql\n")[2].partition("```")[0]
    asked = block.replace("'ID'", "'acct-0000'").replace("2026-01-18", "2026-11-13")
    return [statement for part in asked.split(";") if (statement := part.strip())]


@pytest.mark.parametrize("statement", more_questions(), ids=lambda text: text.splitlines()[0][3:60])
def test_the_questions_of_the_document_have_answers(tmp_path: Path, statement: str) -> None:
    path = SmallMart(missing=()).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE account_links SET kind = 'network' WHERE account_a = 'acct-0000'")
    with open_mart(str(path)) as mart:
        assert len(mart.rows(statement)) > 0


def test_an_unknown_file_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        sql.load("examples/nothing.sql")
