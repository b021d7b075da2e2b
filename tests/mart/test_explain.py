from dataclasses import asdict
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import UsageError
from pipelines.mart.explain import Explanation, explain, standing
from pipelines.mart.open import open_mart
from pipelines.mart.queries import campaigns, suspects
from pipelines.report.inert import terminal
from tests.hostile import HOSTILE
from tests.small_mart import AS_OF, SmallMart


def explained(path: Path, subject: str, **options: object) -> Explanation:
    with open_mart(str(path)) as mart:
        return explain(mart, subject, **options)  # type: ignore[arg-type]


def test_contributions_add_up_to_the_score(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        for account in [*suspects(mart, 5), *suspects(mart, 160)[-5:]]:
            e = explain(mart, account.account_id)
            assert sum(f.contribution for f in [*e.found, *e.against]) == pytest.approx(account.score)
        for campaign in campaigns(mart, 9):
            e = explain(mart, campaign.campaign_id)
            assert sum(f.contribution for f in [*e.found, *e.against]) == pytest.approx(campaign.score)


def test_evidence_is_split_by_its_sign_and_the_strongest_comes_first(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        ordinary = suspects(mart, 160)[100].account_id
    e = explained(mart_file, ordinary)
    assert e.against
    assert [f.contribution for f in e.against] == sorted(f.contribution for f in e.against)
    assert all(f.contribution > 0 for f in e.found)
    assert {c.cause for c in e.ordinary_causes} == {f.ordinary_cause for f in e.found}


def test_an_account_is_told_with_its_campaign_peers_and_links(mart_file: Path) -> None:
    e = explained(mart_file, "acct-0000", links=3)
    assert e.kind == "account"
    assert e.campaign_id is not None
    assert e.campaign_rank is not None
    assert len(e.links) == 3
    assert e.links[0].weight >= e.links[-1].weight
    assert e.linked_accounts == 6
    seen = next(f for f in e.found if f.reason == "first_turns")
    assert seen.seen.endswith(" %")
    assert seen.peers.startswith("median of peers 55 %, 9")
    assert standing(e)[0] == f"Account acct-0000 is number {e.rank} of 160, as of 2026-11-14 00:00 UTC."


def test_a_campaign_is_told_with_all_its_members(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        first = campaigns(mart, 1)[0]
    e = explained(mart_file, first.campaign_id)
    assert len(e.members) == e.accounts == first.accounts
    assert [m.rank for m in e.members] == sorted(m.rank for m in e.members)
    assert any("common list" in step for step in e.settle)


def test_what_could_not_be_seen_names_field_and_source(mart_file: Path) -> None:
    e = explained(mart_file, "acct-0000")
    networks = [u for u in e.unavailable if u.startswith("Other customers on its networks")]
    assert networks == [
        "Other customers on its networks: the field client_ip is missing in logs/gateway-0.ndjson"
    ]
    assert all(f.reason != "network" for f in [*e.found, *e.against])


def test_evidence_without_data_is_told_once_and_never_as_zero(tmp_path: Path) -> None:
    path = SmallMart(missing=()).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "UPDATE account_reasons SET value = NULL, contribution = 0 WHERE reason = 'cells_at_50'"
        )
    e = explained(path, "acct-0000")
    assert [u for u in e.unavailable if "50 distinct prompts" in u] == [
        "Subjects touched by 50 distinct prompts: not enough data, or a field is missing"
    ]
    assert all(f.reason != "cells_at_50" for f in [*e.found, *e.against])


def test_few_calls_are_a_reason_to_wait(tmp_path: Path) -> None:
    path = SmallMart().write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE suspect_accounts SET requests = 13 WHERE account_id = 'acct-0000'")
    assert any("more than its 13 calls" in step for step in explained(path, "acct-0000").settle)


def test_small_evidence_shares_one_line(tmp_path: Path) -> None:
    path = SmallMart(missing=()).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "UPDATE account_reasons SET contribution = 0.01 WHERE id = 'acct-0000' AND family <> 'group'"
        )
    e = explained(path, "acct-0000")
    assert len(e.found) == 8
    assert len(e.told_found) == 3
    count, together = e.small
    assert count == 5
    assert together == pytest.approx(0.05)
    assert len(e.ordinary_causes) <= 3


def test_decisions_are_told(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        labelled = suspects(mart, 2)[1].account_id
    e = explained(mart_file, labelled)
    assert [(label.verdict, label.author) for label in e.labels] == [("suspicious", "mira")]
    assert "Label in force: suspicious." in standing(e)[1]


def test_an_unknown_id_names_the_nearest(mart_file: Path) -> None:
    with pytest.raises(UsageError, match=r"has no account or campaign acct-000; did you mean acct-0000\?"):
        explained(mart_file, "acct-000")
    with pytest.raises(UsageError, match=r"has no campaign acct-0000; .* list ids"):
        explained(mart_file, "acct-0000", kind="campaign")
    with pytest.raises(UsageError, match="`scarecrow suspects` and `scarecrow campaigns` list ids"):
        explained(mart_file, "nothing like it")


def test_an_id_of_both_kinds_needs_the_kind(tmp_path: Path) -> None:
    path = SmallMart(campaign_ids=["acct-0003"], campaign_sizes=(6,)).write(tmp_path / "mart.duckdb")
    with pytest.raises(UsageError, match="both an account and a campaign; say which with --kind"):
        explained(path, "acct-0003")
    assert explained(path, "acct-0003", kind="account").kind == "account"
    assert explained(path, "acct-0003", kind="campaign").kind == "campaign"


def test_an_id_can_be_given_as_a_terminal_showed_it(tmp_path: Path) -> None:
    path = SmallMart(ids=HOSTILE).write(tmp_path / "mart.duckdb")
    for text in HOSTILE:
        assert explained(path, text).id == text
        assert explained(path, terminal(text)).id == text


def test_an_explanation_is_plain_data(mart_file: Path) -> None:
    assert set(asdict(explained(mart_file, "acct-0000"))) >= {
        "found",
        "against",
        "links",
        "unavailable",
        "settle",
    }


def test_the_size_of_the_list_and_what_became_of_a_campaign_are_told(tmp_path: Path) -> None:
    path = SmallMart().write(tmp_path / "mart.duckdb")
    with open_mart(str(path)) as mart:
        first, second = campaigns(mart, 2)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO campaign_events VALUES ($1, $2, 'born', NULL, 12), ($1, $3, 'split', $2, 1)",
            [AS_OF, first.campaign_id, second.campaign_id],
        )
    told = standing(explained(path, first.campaign_id))
    n = first.accounts
    assert (
        f"Its members took {30 * n:,} distinct longer prompts of a list of some {300 * n:,} (95 % interval {30 * n:,} "
        f"to {450 * n:,}), so 10 % of it (6.7 % to 100 %)." in told
    )
    assert "Its evidence over time tells it at a false discovery rate of 0.1 % among campaigns." in told
    assert any(
        t.endswith(
            f"first found, 12 accounts; 2026-11-14 00:00 UTC {second.campaign_id} split off it with 1 account."
        )
        for t in told
    )
    told = standing(explained(path, second.campaign_id))
    assert any("how long the list is cannot be told" in t for t in told)
    assert any(f"split off {first.campaign_id} with 1 account." in t for t in told)


def test_too_few_requests_are_insufficient_and_no_p_value(tmp_path: Path) -> None:
    path = SmallMart().write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE suspect_accounts SET p_value = NULL WHERE account_id = 'acct-0000'")
    assert "p-value insufficient" in standing(explained(path, "acct-0000"))[1]
