"""The page as text: what is in it, and that nothing in it comes alive."""

import base64
import hashlib
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
import vl_convert

from pipelines.cli.app import run
from pipelines.errors import ScarecrowError
from pipelines.mart.open import open_mart
from pipelines.report.charts import specs
from pipelines.report.data import gather
from pipelines.report.page import render, write_report
from tests.hostile import HOSTILE
from tests.small_mart import SmallMart

ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "script", "noscript", "header", "nav", "main"),
    *("article", "section", "div", "p", "h1", "h2", "h3", "dl", "dt", "dd", "ul", "li", "details", "summary"),
    *("a", "bdi", "span", "code", "label", "input", "output", "button"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


class Page(HTMLParser):
    """Tags, attributes, links, ids, visible text and scripts of a page, as a browser's parser splits them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._in_script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        (self.scripts if self._in_script else self.text).append(data)


@pytest.fixture(scope="module")
def page(mart_file: Path) -> str:
    with open_mart(str(mart_file)) as mart:
        return render(gather(mart, 50))


@pytest.fixture(scope="module")
def hostile_page(hostile_mart_file: Path) -> str:
    with open_mart(str(hostile_mart_file)) as mart:
        return render(gather(mart, 60))


def test_the_page_is_small_and_asks_for_nothing(page: str) -> None:
    parsed = Page(page)
    assert len(page.encode()) < 3_000_000
    assert parsed.tags <= ALLOWED_TAGS
    assert all(address.startswith("#") for address in parsed.addresses)
    assert "url(" not in page.partition("</style>")[0]
    assert "@import" not in page.partition("</style>")[0]


def test_every_link_has_a_target_and_every_id_is_unique(page: str) -> None:
    parsed = Page(page)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert {a.removeprefix("#") for a in parsed.addresses} <= set(parsed.ids)


def test_the_policy_names_the_scripts_and_forbids_the_rest(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'")
    assert "unsafe-eval" not in policy[1]
    assert not re.search(r"script-src[^;]*unsafe", policy[1])


def test_the_page_tells_what_was_asked_of_it(page: str, mart_file: Path) -> None:
    text = " ".join(" ".join(Page(page).text).split())
    with open_mart(str(mart_file)) as mart:
        accounts = [
            row[0] for row in mart.rows("SELECT account_id FROM suspect_accounts ORDER BY rank LIMIT 50")
        ]
        campaigns = [row[0] for row in mart.rows("SELECT campaign_id FROM suspect_campaigns")]
    assert "3 suspected harvesting campaigns" in text
    assert "as of 2026-11-14 00:00 UTC over 14 days" in text
    for subject in [*accounts, *campaigns]:
        assert subject in text
    for heading in ("Why it stands here", "Calls by day", "What argues against it", "What would settle it",
                    "Links to other accounts", "Members", "Blind spots", "Runs"):  # fmt: skip
        assert heading in text
    assert "client_ip" in text


def charts_of(page: str) -> dict[str, dict[str, object]]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])["charts"]  # type: ignore[no-any-return]


def test_every_chart_has_its_data(page: str) -> None:
    wanted = re.findall(r'data-chart="([^"]+)"', page)
    charts = charts_of(page)
    assert sorted(wanted) == sorted(charts)
    assert {str(chart["spec"]) for chart in charts.values()} <= set(specs())


def test_every_day_of_the_horizon_is_drawn(page: str) -> None:
    values = charts_of(page)["account-1-days"]["values"]
    days = [value["day"] for value in values]  # type: ignore[attr-defined]
    assert (days[0], days[-1], len(days)) == ("2026-10-31", "2026-11-13", 14)


def test_bars_add_up_to_the_score(page: str, mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        scores = mart.rows("SELECT rank, score FROM suspect_accounts WHERE rank <= 50")
    for rank, score in scores:
        bars = charts_of(page)[f"account-{rank}-why"]["values"]
        assert sum(bar["contribution"] for bar in bars) == pytest.approx(score, abs=0.001)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(specs()))
def test_specifications_are_valid_vega_lite(name: str) -> None:
    compiled = vl_convert.vegalite_to_vega({**specs()[name], "width": 300})
    assert compiled["marks"]


def test_the_same_mart_gives_the_same_page(mart_file: Path, page: str) -> None:
    with open_mart(str(mart_file)) as mart:
        assert render(gather(mart, 50)) == page


def test_hostile_text_adds_no_element_attribute_address_or_script(hostile_page: str, page: str) -> None:
    hostile, plain = Page(hostile_page), Page(page)
    assert hostile.tags <= ALLOWED_TAGS
    assert hostile.attributes <= plain.attributes
    assert all(address.startswith("#") for address in hostile.addresses)
    assert len(set(hostile.ids)) == len(hostile.ids)
    assert hostile_page.count("<script") == page.count("<script") == 3
    # The library holds control characters of its own in strings; the rest of the page holds none.
    outside = re.sub(r"<script>.*?</script>", "", hostile_page, flags=re.DOTALL)
    for character in "\x00\x07\x08\x1b\u202e\u2066\u200f\u200b\ufeff\u2028":
        assert character not in outside
    assert "{{ 7*7 }}" in outside
    drawn = json.dumps(charts_of(hostile_page), ensure_ascii=False)
    assert not {c for c in drawn if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}}


def test_hostile_text_is_shown_as_text(hostile_page: str) -> None:
    text = "".join(Page(hostile_page).text)
    assert HOSTILE[0] in text
    assert "abc\\u202efdp.exe" in text
    assert "\\x1b[2J" in text


def test_a_mart_without_campaigns(tmp_path: Path) -> None:
    path = SmallMart(accounts=12, campaign_sizes=()).write(tmp_path / "mart.duckdb")
    with open_mart(str(path)) as mart:
        text = render(gather(mart, 50))
    assert "No suspected harvesting campaign" in text
    assert "No group of accounts looks driven by one hand." in text


def test_a_mart_without_a_ranking(tmp_path: Path) -> None:
    path = SmallMart(accounts=12, campaign_sizes=()).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM runs")
    with open_mart(str(path)) as mart, pytest.raises(ScarecrowError, match="holds no ranking"):
        gather(mart, 50)


def test_a_file_that_cannot_be_written_leaves_nothing(mart_file: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with open_mart(str(mart_file)) as mart:
        with pytest.raises(ScarecrowError, match=r"cannot be written .*name another --out"):
            write_report(mart, tmp_path / "no" / "folder" / "report.html")
        with pytest.raises(ScarecrowError, match="cannot be written"):
            write_report(mart, tmp_path / "there")
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


def test_the_command_says_what_it_wrote(
    mart_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    assert run(["report", "--mart", str(mart_file), "--out", str(out), "--top", "5"]) == 0
    assert "3 campaigns, 5 accounts in detail" in capsys.readouterr().out
    assert 'id="account-5"' in out.read_text()
    assert 'id="account-6"' not in out.read_text()
