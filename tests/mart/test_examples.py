"""The example questions run as an analyst would run them: read-only, on a mart with its macros."""

from pathlib import Path

import pytest

import sql
from pipelines.mart.open import open_mart

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


def test_an_unknown_file_is_said() -> None:
    with pytest.raises(FileNotFoundError):
        sql.load("examples/nothing.sql")
