import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.inert import spreadsheet, terminal
from tests.hostile import HOSTILE

ANYTHING = st.one_of(st.text(), st.sampled_from(HOSTILE))


@given(ANYTHING)
def test_nothing_that_steers_or_hides_is_left(text: str) -> None:
    shown = terminal(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for c in shown)


@given(ANYTHING)
def test_making_it_inert_twice_changes_nothing_more(text: str) -> None:
    assert terminal(terminal(text)) == terminal(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_letters_of_every_script_stay(text: str) -> None:
    assert terminal(text) == text


@given(ANYTHING)
def test_no_cell_is_a_formula(text: str) -> None:
    cell = spreadsheet(text)
    assert terminal(cell) == cell
    assert not cell.lstrip(' "').startswith(("=", "+", "-", "@"))


def test_a_cell_that_is_no_formula_stays() -> None:
    assert spreadsheet("acct-0042") == "acct-0042"
    assert spreadsheet("=1+1") == "'=1+1"
    assert spreadsheet("\t=1+1") == "'\\x09=1+1"


def test_codes() -> None:
    assert terminal("\x1b[31m") == "\\x1b[31m"
    assert terminal("a\u202eb") == "a\\u202eb"
    assert terminal("\U000e0041") == "\\U000e0041"
    assert terminal("用户 é") == "用户 é"
