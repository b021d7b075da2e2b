"""The macros, `changed_since` against a plain Python account of the same rankings."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.mart.macros import MACROS, install_macros
from pipelines.mart.open import open_mart
from schemas.mart import MART, RANKING_HISTORY, RANKS_KEPT
from tests.small_mart import AS_OF, SmallMart

Standing = dict[tuple[str, str], tuple[int, float]]


def test_every_macro_has_a_comment(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        found = dict(
            mart.rows(
                "SELECT function_name, comment FROM duckdb_functions() WHERE function_type = 'table_macro'"
            )
        )
    assert all(len(found[name]) > 20 for name in MACROS)


def test_installing_twice_changes_nothing() -> None:
    with duckdb.connect() as connection:
        for relation in MART:
            connection.execute(relation.ddl())
        install_macros(connection)
        install_macros(connection)
        for call in ("top_suspects(3)", "explain_account('x')", "explain_campaign('x')", "ranking_snapshot()",
                     "changed_since('2026-11-12')"):  # fmt: skip
            assert connection.execute(f"FROM {call}").fetchall() == []


def test_top_suspects(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        rows = mart.rows("SELECT rank, account_id, strongest_reason FROM top_suspects(7)")
        first = mart.rows("SELECT account_id, reasons FROM suspect_accounts WHERE rank = 1")[0]
    assert [r[0] for r in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[0][1:] == (first[0], first[1][0])


def test_reasons_are_told_in_words(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        said = mart.rows(
            "SELECT says FROM explain_account('acct-0000') WHERE what = 'systematicity.first_turns'"
        )
        of_campaign = mart.rows(
            "SELECT says FROM explain_campaign((SELECT campaign_id FROM suspect_campaigns WHERE rank = 1)) "
            "WHERE what = 'group.load_spread'"
        )
        unknown = mart.rows("SELECT reason_in_words('no such reason'), reason_in_words('first_turns')")
    assert str(said[0][0]).startswith("Calls that open a conversation: seen 0.")
    assert str(of_campaign[0][0]).startswith(
        "How unevenly the members took from that list (0 = each as much): seen "
    )
    assert unknown == [(None, "Calls that open a conversation")]


def test_explain_account_holds_every_piece_of_evidence(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        rows = mart.rows("SELECT part, what, contribution FROM explain_account('acct-0000')")
        reasons = mart.rows(
            "SELECT family || '.' || reason, contribution FROM account_reasons WHERE id = 'acct-0000'"
        )
        score = mart.rows("SELECT score FROM suspect_accounts WHERE account_id = 'acct-0000'")[0][0]
    evidence = {
        what: c for part, what, c in rows if part in ("was seen", "argues against", "could not be seen")
    }
    assert evidence == dict(reasons)
    assert sum(evidence.values()) == pytest.approx(score)
    assert rows[0][0] == "standing"
    assert sum(part == "linked to" for part, _, _ in rows) == 6


def test_explain_campaign_holds_every_member(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        name = mart.rows("SELECT campaign_id FROM suspect_campaigns WHERE rank = 2")[0][0]
        rows = mart.rows("SELECT what FROM explain_campaign($1) WHERE part = 'member'", name)
        members = mart.rows("SELECT account_id FROM campaign_members WHERE campaign_id = $1", name)
    assert sorted(rows) == sorted(members)


def test_an_unknown_subject_has_no_lines(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        assert mart.rows("FROM explain_account('nobody')") == []
        assert mart.rows("FROM explain_campaign('acct-0000')") == []


def test_the_snapshot_fits_the_history(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        described = mart.rows("SELECT column_name, column_type FROM (DESCRIBE FROM ranking_snapshot())")
        wanted = mart.rows("SELECT column_name, column_type FROM (DESCRIBE FROM ranking_history)")
        rows = mart.rows("SELECT score, contributions FROM ranking_snapshot()")
        accounts = mart.rows("SELECT max(rank) FROM ranking_snapshot() WHERE subject_kind = 'account'")[0][0]
    assert described == wanted
    assert [name for name, _ in wanted] == [c.name for c in RANKING_HISTORY.columns]
    assert all(sum(contributions) == pytest.approx(score) for score, contributions in rows)
    assert accounts == min(160, RANKS_KEPT)


def standing(connection: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> Standing:
    rows = connection.execute(sql, list(parameters)).fetchall()
    return {(kind, subject): (rank, score) for kind, subject, rank, score in rows}


def changes(earlier: Standing, now: Standing, k: int, step: float) -> dict[tuple[str, str], str]:
    """What changed, the obvious way."""

    def inside(ranking: Standing) -> set[tuple[str, str]]:
        return {key for key, (rank, _) in ranking.items() if key[0] == "campaign" or rank <= k}

    before, after = inside(earlier), inside(now)
    found = dict.fromkeys(after - before, "entered") | dict.fromkeys(before - after, "left")
    for key in before & after:
        difference = now[key][1] - earlier[key][1]
        if difference >= step:
            found[key] = "rose"
        elif -difference >= step:
            found[key] = "fell"
    return found


@pytest.mark.parametrize(("back", "k", "step"), [(1, 100, 0.5), (2, 20, 1.5), (3, 500, 0.1), (9, 50, 1.0)])
def test_changes_are_those_of_the_plain_account(mart_file: Path, back: int, k: int, step: float) -> None:
    since = AS_OF - timedelta(days=min(back, 3))
    with open_mart(str(mart_file)) as mart:
        earlier = standing(
            mart.connection,
            "SELECT subject_kind, id, rank, score FROM ranking_history WHERE as_of = $1",
            since,
        )
        now = standing(mart.connection, "SELECT subject_kind, id, rank, score FROM ranking_snapshot()")
        rows = mart.rows(
            "SELECT subject_kind, id, change, since, why FROM changed_since($1, k := $2, step := $3)",
            AS_OF - timedelta(days=back, hours=-3 if back < 9 else 0),
            k,
            step,
        )
    assert {(kind, subject): change for kind, subject, change, _, _ in rows} == changes(earlier, now, k, step)
    assert {row[3] for row in rows} == {since}
    assert all(why for *_, why in rows)


def why(path: Path, subject: str, since: datetime = AS_OF - timedelta(days=1)) -> tuple[str, str]:
    with open_mart(str(path)) as mart:
        rows = mart.rows("SELECT change, why FROM changed_since($1) WHERE id = $2", since, subject)
    assert len(rows) == 1
    return rows[0][0], rows[0][1]


def test_why_names_the_families_that_moved_the_score(tmp_path: Path) -> None:
    path = SmallMart(accounts=30, campaign_sizes=(6,)).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM ranking_history")
        connection.execute("INSERT INTO ranking_history FROM ranking_snapshot()")
        connection.execute("UPDATE ranking_history SET as_of = as_of - INTERVAL 1 DAY")
        connection.execute(
            "UPDATE account_reasons SET contribution = contribution + 1.25 "
            "WHERE id = 'acct-0004' AND family = 'tempo'"
        )
        connection.execute("UPDATE suspect_accounts SET score = score + 1.25 WHERE account_id = 'acct-0004'")
    assert why(path, "acct-0004") == ("rose", "tempo +1.25")


def test_why_tells_labels_departures_and_arrivals(tmp_path: Path) -> None:
    path = SmallMart(accounts=30, campaign_sizes=(6,)).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM ranking_history")
        connection.execute("INSERT INTO ranking_history FROM ranking_snapshot()")
        connection.execute("UPDATE ranking_history SET as_of = as_of - INTERVAL 1 DAY")
        campaign = connection.execute("SELECT campaign_id FROM suspect_campaigns").fetchall()[0][0]
        connection.execute("DELETE FROM suspect_campaigns")
        connection.execute("DELETE FROM suspect_accounts WHERE account_id = 'acct-0001'")
        connection.execute(
            "UPDATE suspect_accounts SET rank = 900, label = 'false_positive' WHERE account_id = 'acct-0002'"
        )
        connection.execute(
            "UPDATE suspect_accounts SET account_id = 'acct-new' WHERE account_id = 'acct-0003'"
        )
        connection.execute("UPDATE suspect_accounts SET first_seen = as_of WHERE account_id = 'acct-new'")
    assert why(path, "acct-0001") == ("left", "no calls in the horizon any more")
    assert why(path, "acct-0002")[0] == "left"
    assert why(path, "acct-0002")[1].startswith("labelled false_positive")
    assert why(path, campaign) == ("left", "no longer found as a group")
    assert why(path, "acct-new")[0] == "entered"
    assert why(path, "acct-new")[1].startswith("first call after that ranking")


def test_without_an_earlier_ranking_nothing_changed(tmp_path: Path) -> None:
    path = SmallMart(accounts=30, campaign_sizes=(6,), history_days=0).write(tmp_path / "mart.duckdb")
    with open_mart(str(path)) as mart:
        assert mart.rows("FROM changed_since($1)", AS_OF) == []
