"""The page in a real browser: charts are drawn, nothing complains or is too wide, nothing hostile runs."""

from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.mart.open import open_mart
from pipelines.report.page import write_report
from tests.report.browser import Seen, look


@pytest.fixture(scope="module")
def report(mart_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "report.html"
    with open_mart(str(mart_file)) as mart:
        write_report(mart, out)
    return out


@pytest.fixture(scope="module")
def hostile_report(hostile_mart_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile-report") / "report.html"
    with open_mart(str(hostile_mart_file)) as mart:
        write_report(mart, out, 60)
    return out


def check_views(seen: Seen) -> None:
    assert seen.console == []
    for name, view in seen.found["views"].items():
        assert view["shown"] == name
        assert view["views_shown"] == 1
        assert view["charts"] == view["drawn"] == 2, name
        assert all(bars > 0 for bars in view["bars"]), name
        assert view["scroll_width"] <= view["width"], f"{name} scrolls sideways: {view['wider']}"
        assert view["wider"] == [], name
        assert view["cut"] == [], name


@pytest.mark.parametrize(
    ("width", "is_dark"), [(1280, False), (390, True)], ids=["desktop, light", "phone, dark"]
)
def test_charts_are_drawn_and_nothing_is_too_wide(
    report: Path, tmp_path: Path, width: int, is_dark: bool
) -> None:
    views = ["overview", "account-1", "account-2", "account-50", "campaign-1", "campaign-3"]
    seen = look(report, tmp_path, width, is_dark, views, "acct-0010")
    check_views(seen)
    assert all(view["width"] == width for view in seen.found["views"].values())
    told = " ".join(seen.found["views"]["account-1"]["texts"][0])
    assert "median of peers" in told
    assert "+" in told

    once, twice = seen.found["sorted_once"], seen.found["sorted_twice"]
    assert len(once) == 50
    assert seen.found["sort_once"] == "descending"
    assert all(a >= b for a, b in pairwise(once))
    assert twice == sorted(once)
    assert seen.found["filtered"] == ["acct-0010"]
    assert seen.found["focusable"] == 0


def lightness(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_the_colour_scheme_is_followed(report: Path, tmp_path: Path) -> None:
    light = look(report, tmp_path / "light", 800, False, ["overview"], "").found
    dark = look(report, tmp_path / "dark", 800, True, ["overview"], "").found
    assert lightness(light["background"]) > lightness(light["ink"]) + 300
    assert lightness(dark["ink"]) > lightness(dark["background"]) + 300


def test_hostile_text_runs_nothing_and_breaks_no_layout(hostile_report: Path, tmp_path: Path) -> None:
    views = ["overview", *(f"account-{i}" for i in range(1, 25)), "campaign-1", "campaign-2", "campaign-3"]
    seen = look(hostile_report, tmp_path, 390, False, views, "owned")
    check_views(seen)
    assert seen.found["title"].startswith("Scarecrow report")
