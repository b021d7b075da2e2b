"""diff, backtest, shadow and recalibration on small marts and a small real lake."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from pipelines.cli.app import run as scarecrow
from pipelines.errors import ScarecrowError
from pipelines.mart import weights
from pipelines.mart.diff import compare
from pipelines.mart.labels import Verdict
from pipelines.mart.open import open_mart
from pipelines.rank.backtest import Standing, backtest, differences, ends
from pipelines.rank.recalibrate import LEAST, MOST, fit, propose
from pipelines.rank.run import run
from pipelines.rank.shadow import rank_shadow
from pipelines.rank.steps import Ranking
from pipelines.rank.workspace import Workspace
from pipelines.settings import load_settings
from schemas.mart import FAMILIES
from tests.rank.world import DAY_MS, FIRST_MS, as_of, ranking, small_world
from tests.small_mart import AS_OF, SmallMart


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two marts of the same small ranking."""
    made = SmallMart().write(tmp_path / "a.duckdb")
    (tmp_path / "b.duckdb").write_bytes(made.read_bytes())
    return made, tmp_path / "b.duckdb"


def change(mart: Path, *statements: str) -> None:
    with duckdb.connect(str(mart)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_same_mart_twice_moves_nothing(pair: tuple[Path, Path]) -> None:
    found = compare(*pair)
    assert (found.entered, found.left, found.rose, found.fell, found.made_of, found.matched) == (
        [],
        [],
        [],
        [],
        {},
        {},
    )


def test_what_moved_and_why(pair: tuple[Path, Path]) -> None:
    a, b = pair
    change(
        b,
        "UPDATE account_reasons SET contribution = contribution - 2 WHERE id = 'acct-0003' AND family = 'tempo'",
        "UPDATE suspect_accounts SET score = score - 2 WHERE account_id = 'acct-0003'",
        "UPDATE suspect_accounts SET rank = 999 WHERE account_id = 'acct-0004'",
        "UPDATE runs SET settings_hash = 'other'",
        "DELETE FROM suspect_campaigns WHERE rank = 3",
    )
    found = compare(a, b)
    assert [(m.id, m.why) for m in found.fell] == [("acct-0003", {"tempo": -2.0})]
    assert {m.kind for m in found.left} == {"account", "campaign"}
    assert [m.id for m in found.left if m.kind == "account"] == ["acct-0004"]
    assert found.made_of == {"settings_hash": ("c1bac6585ee17c24", "other")}


def test_a_campaign_under_another_name_is_the_same(pair: tuple[Path, Path]) -> None:
    a, b = pair
    with open_mart(str(a)) as opened:
        name = opened.rows("SELECT campaign_id FROM suspect_campaigns WHERE rank = 1")[0][0]
    change(b, *(f"UPDATE {r} SET campaign_id = 'renamed' WHERE campaign_id = '{name}'"
                for r in ("suspect_campaigns", "campaign_members", "suspect_accounts")),
           f"UPDATE campaign_reasons SET id = 'renamed' WHERE id = '{name}'")  # fmt: skip
    found = compare(a, b)
    assert found.matched == {"renamed": name}
    assert (found.entered, found.left) == ([], [])


def test_diff_on_the_command_line(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pair
    assert scarecrow(["diff", str(a), str(b)]) == 0
    assert "Nothing moved" in capsys.readouterr().out
    change(b, "UPDATE suspect_accounts SET score = score + 3 WHERE account_id = 'acct-0001'")
    assert scarecrow(["diff", str(a), str(b), "--json"]) == 0
    assert [m["id"] for m in json.loads(capsys.readouterr().out)["rose"]] == ["acct-0001"]
    assert scarecrow(["diff", str(a), str(a.with_name("none"))]) == 2


def test_ends_of_days() -> None:
    assert list(ends(0, 3 * DAY_MS)) == [DAY_MS, 2 * DAY_MS, 3 * DAY_MS]
    assert list(ends(1, 2 * DAY_MS - 1)) == [DAY_MS]
    assert list(ends(5 * DAY_MS, DAY_MS)) == []


def test_campaigns_are_the_same_by_their_members() -> None:
    a = Standing({("campaign", "x"): 1, ("account", "lone"): 1}, {"x": {"1", "2", "3"}})
    b = Standing({("campaign", "y"): 1, ("account", "3"): 1, ("account", "new"): 2}, {"y": {"1", "2"}})
    assert differences(a, b) == ([("account", "new")], [("account", "lone")])
    assert differences(a, a) == ([], [])


def test_a_backtest_tells_what_settings_change(tmp_path: Path) -> None:
    lake = small_world()[1]
    new = tmp_path / "new.toml"
    new.write_text("[rank.weights]\ntempo = 0.0\nsystematicity = 0.0\n")
    mart = tmp_path / "mart.duckdb"
    run(ranking(lake, mart))
    with open_mart(str(mart)) as opened:
        members = [m for (m,) in opened.rows("SELECT account_id FROM campaign_members")]
    verdicts = [Verdict("account", m, "true_positive", "x", "y", 1, None) for m in members[:3]]
    since, until = FIRST_MS + 4 * DAY_MS, FIRST_MS + 6 * DAY_MS
    found = backtest(lake, since, until, load_settings(), load_settings(new), verdicts, 5)
    assert [day.as_of_ms for day in found.days] == [since + DAY_MS, until]
    assert found.precision("today") == 1.0
    assert found.settings[0] != found.settings[1]
    assert found.changed == {"rank.weights": ({}, {"tempo": 0.0, "systematicity": 0.0})}
    assert any(day.entered or day.left for day in found.days)
    same = backtest(lake, until - DAY_MS, until, load_settings(), load_settings(), verdicts, 5)
    assert [(day.entered, day.left) for day in same.days] == [([], [])]


def test_a_backtest_tells_whom_the_alert_rules_tell(tmp_path: Path) -> None:
    lake = small_world()[1]
    since, until = FIRST_MS + 3 * DAY_MS, FIRST_MS + 6 * DAY_MS
    told = load_settings(
        flags={"alerts.false_discovery_rate": 1.0, "alerts.min_score": -100.0, "alerts.worse_nats": 100.0}
    )
    silent = load_settings(flags={"alerts.per_day": 0, "alerts.false_discovery_rate": 1.0})
    found = backtest(lake, since, until, told, silent, [], 5)
    assert found.days[0].today.opened > 0
    assert (found.load("new"), [day.new.opened for day in found.days]) == (0.0, [0, 0, 0])
    assert all(day.new.held > 0 for day in found.days)
    # What is open is not told again, and an account that is told has places of its own beside the first campaigns.
    load = found.load("today")
    assert load is not None
    assert load < found.days[0].today.opened
    assert not any(day.entered or day.left for day in found.days)
    assert set(found.changed) == {"alerts.min_score", "alerts.worse_nats", "alerts.per_day"}


def test_a_backtest_without_a_change_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.toml").write_text("[ingest]\nworkers = 3\n")
    arguments = ["backtest", "--since", "2026-01-08", "--until", "2026-01-10"]
    assert scarecrow([*arguments, "--settings", str(tmp_path / "new.toml")]) == 2
    assert "no setting of rank or alerts" in capsys.readouterr().err


def ranked(mart: Path, flags: dict[str, object]) -> tuple[dict[str, set[str]], int, int]:
    """Members by campaign, accounts without enough to tell, and those with a p-value."""
    settings = load_settings(flags=flags)
    run(Ranking.under(settings, small_world()[1], mart, Workspace.beside(mart, "test", {})))
    with open_mart(str(mart)) as opened:
        pairs = opened.rows("SELECT campaign_id, account_id FROM campaign_members")
        few, with_p = opened.rows(
            "SELECT count(*) FILTER (confidence = 'insufficient'), count(p_value) FROM suspect_accounts"
        )[0]
    members: dict[str, set[str]] = {}
    for campaign, account in pairs:
        members.setdefault(campaign, set()).add(account)
    return members, few, with_p


def test_every_setting_of_detection_does_what_it_says(tmp_path: Path) -> None:
    usual, few, with_p = ranked(tmp_path / "usual.duckdb", {})
    largest = max(map(len, usual.values()))
    stricter, fewer, more = ranked(
        tmp_path / "few.duckdb", {"rank.detect.min_prompts": 20, "rank.detect.membership": 0.99999}
    )
    assert few < fewer
    assert with_p > more
    assert few + with_p == fewer + more == 200
    assert max(map(len, stricter.values()), default=0) < largest
    with open_mart(str(tmp_path / "few.duckdb")) as opened:
        assert opened.rows("SELECT count(*) FROM campaign_members WHERE membership < 0.99999")[0][0] == 0
    none, *_ = ranked(tmp_path / "large.duckdb", {"rank.detect.smallest_campaign": largest + 1})
    assert none == {}
    with open_mart(str(tmp_path / "usual.duckdb")) as opened:
        best = opened.rows("SELECT max(score) FROM suspect_campaigns")[0][0]
    shown, *_ = ranked(tmp_path / "sure.duckdb", {"rank.detect.shown_score": best + 0.01})
    assert shown == {}


def test_a_shadow_stands_beside_and_touches_nothing(tmp_path: Path) -> None:
    lake, mart = small_world()[1], tmp_path / "mart.duckdb"
    run(ranking(lake, mart))
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    (tmp_path / "new.toml").write_text("[rank]\nhorizon_days = 3\n")
    made = rank_shadow(lake, mart, str(tmp_path / "new.toml"))
    assert made.name == "mart.shadow.duckdb"
    assert as_of(made) == as_of(mart)
    fresh = {p.name for p in tmp_path.iterdir() if p.is_file()} - set(files)
    assert fresh <= {"new.toml", made.name, ".mart.shadow.duckdb.lock"}
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert compare(mart, made).made_of["horizon_days"] == ("14.0", "3.0")


def test_the_fit_follows_labels_within_bounds() -> None:
    rng = np.random.default_rng(5)
    start = np.ones(len(FAMILIES))
    is_harvest = np.arange(400) % 2 == 0
    nats = rng.normal(0, 0.3, (400, len(FAMILIES)))
    nats[:, 0] += np.where(is_harvest, 0.6, -0.6)  # this family tells
    nats[:, 1] += np.where(is_harvest, -0.6, 0.6)  # this one misleads
    free = np.ones(len(FAMILIES), dtype=bool)
    free[2] = False
    found = fit(nats, is_harvest, start, free)
    assert found[0] > 1.2
    assert found[1] < 0.6
    assert found[2] == 1.0
    assert ((found >= LEAST) & (found <= MOST)).all()
    assert np.allclose(fit(nats[:0], is_harvest[:0], start, free), 1)


def label(mart: Path, count: int) -> None:
    with duckdb.connect(str(mart)) as connection:
        connection.execute("DELETE FROM labels")
        connection.execute(
            """
            INSERT INTO labels
            SELECT 'account', account_id, CASE WHEN campaign_id IS NULL THEN 'false_positive' ELSE 'true_positive' END,
                   'ana', 'x', ?::TIMESTAMPTZ, NULL
            FROM suspect_accounts
            QUALIFY row_number() OVER (PARTITION BY campaign_id IS NULL ORDER BY rank) <= ?""",
            [AS_OF, count],
        )
        connection.execute("DELETE FROM family_weights")
        connection.executemany(
            "INSERT INTO family_weights VALUES (?, ?, 1, 'default')", [[AS_OF, family] for family in FAMILIES]
        )


def test_few_labels_move_nothing(tmp_path: Path) -> None:
    mart = SmallMart().write(tmp_path / "mart.duckdb")
    label(mart, 19)
    with open_mart(str(mart)) as opened:
        found = propose(opened)
    assert found.labels == 38
    assert not found.changes
    assert all("needs 20 labels" in p.says for p in found.families)


def test_weights_are_shown_applied_and_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mart = SmallMart().write(tmp_path / "mart.duckdb")
    label(mart, 40)
    given = ["recalibrate", "--mart", str(mart)]
    assert scarecrow(given) == 0
    assert "ranks that would change most" in capsys.readouterr().out
    assert weights.in_force(mart) == weights.NONE
    assert scarecrow([*given, "--apply"]) == 2
    assert scarecrow([*given, "--apply", "--by", "ana"]) == 0
    first = weights.in_force(mart)
    assert first.weights
    assert first.labels == 80
    weights.apply(mart, weights.Calibration(first.at_ms + 1, "bo", "by hand", 80, {"tempo": 0.5}))
    assert scarecrow([*given, "--undo", "--by", "ana"]) == 0
    assert weights.in_force(mart).weights == first.weights
    assert scarecrow([*given, "--undo", "--by", "ana"]) == 0
    assert weights.in_force(mart).weights == {}
    with pytest.raises(ScarecrowError, match="none to take back"):
        weights.undo(mart, "ana", "x", 1)


def test_weights_count_in_the_next_ranking_and_scores_stay_sums(tmp_path: Path) -> None:
    lake, mart = small_world()[1], tmp_path / "mart.duckdb"
    run(ranking(lake, mart))
    query = "SELECT id, sum(contribution) FROM account_reasons WHERE family = 'tempo' GROUP BY id"
    with open_mart(str(mart)) as opened:
        before = dict(opened.rows(query))
    weights.apply(mart, weights.Calibration(1, "ana", "labels", 50, {"tempo": 0.5}))
    run(ranking(lake, mart))  # its audits hold scores to their reasons
    with open_mart(str(mart)) as opened:
        after = dict(opened.rows(query))
        stated = opened.rows("SELECT weight, origin FROM family_weights WHERE family = 'tempo'")
        trail = opened.rows("SELECT before, after, author FROM audit_log WHERE event = 'weights'")
    assert stated == [(0.5, "labels")]
    assert trail == [("1", "0.5", "ana")]
    assert {k: pytest.approx(v / 2) for k, v in before.items()} == after
