"""Ids over a month of daily rankings: accounts join, are banned and respawn, campaigns merge and split."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sql
from pipelines.detect.lifecycle import MEMORY, stable_names
from schemas.mart import RANKING_HISTORY

START = datetime(2026, 1, 5, tzinfo=UTC)
Day = dict[str, frozenset[str]]


class Month:
    """Rankings day by day. names: by day, id -> members."""

    def __init__(self) -> None:
        self.names: list[Day] = []

    def memory(self) -> pa.Table:
        last: dict[str, tuple[datetime, frozenset[str]]] = {}
        for day, found in enumerate(self.names):
            for name, members in found.items():
                last[name] = (START + timedelta(days=day), members)
        rows = [(at, name, account) for name, (at, members) in last.items() for account in sorted(members)]
        return pa.Table.from_pylist(
            [dict(zip(MEMORY.names, row, strict=True)) for row in rows], schema=MEMORY
        )

    def rank(self, *groups: Iterable[str]) -> list[str]:
        members = [frozenset(g) for g in groups]
        names = stable_names(members, [True] * len(members), self.memory())
        assert len(set(names)) == len(names)
        self.names.append(dict(zip(names, members, strict=True)))
        return names

    def events(self) -> list[tuple[int, str, str, str | None, int]]:
        rows = [
            {
                "as_of": START + timedelta(days=day), "subject_kind": "campaign", "id": name, "rank": rank,
                "score": 1.0, "families": [], "contributions": [], "log_e_accumulated": 0.0,
                "members": sorted(members),
            }
            for day, found in enumerate(self.names)
            for rank, (name, members) in enumerate(found.items(), 1)
        ]  # fmt: skip
        # A ranking without a campaign is one in the history too, by its accounts.
        rows += [
            {
                "as_of": START + timedelta(days=day), "subject_kind": "account", "id": "x", "rank": 1, "score": 1.0,
                "families": [], "contributions": [], "log_e_accumulated": 0.0, "members": [],
            }
            for day in range(len(self.names))
        ]  # fmt: skip
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("ranking_history", pa.Table.from_pylist(rows, schema=RANKING_HISTORY.arrow()))
            found = connection.execute(sql.load("marts/campaign_events.sql")).fetchall()
        return [
            ((at - START).days, name, event, other, accounts) for at, name, event, other, accounts in found
        ]


def accounts(prefix: str, *numbers: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(*numbers)]


def test_a_month_of_bans_respawns_mergers_and_splits() -> None:
    """Two campaigns with horizons of 14 days; every day each loses its oldest account and starts a fresh one, a third
    is there for a week. From day 10 to 14 the search sees two of them as one; from day 20 on one is seen in two."""
    month = Month()
    seen: list[list[str]] = []
    for day in range(30):
        one, two = accounts("one-", day, day + 24), accounts("two-", day, day + 15)
        third = accounts("three-", 10) if 5 <= day < 12 else []
        if 10 <= day < 15:
            groups = [[*one, *two]]
        elif day >= 20:
            # which half an account falls in depends on itself, so that both halves change their members too
            groups = [[a for a in one if int(a[4:]) % 3], [a for a in one if int(a[4:]) % 3 == 0], two]
        else:
            groups = [one, two]
        seen.append(month.rank(*groups, *([third] if third else [])))
    first, second = seen[0]
    assert all(names[0] == first for names in seen), "the larger part keeps the id"
    assert [names[1] for names in seen[:10]] == [second] * 10
    assert [names[1] for names in seen[15:20]] == [second] * 5, "what was merged comes back under its own id"
    assert [names[2] for names in seen[20:]] == [second] * 10
    piece = seen[20][1]
    assert [names[1] for names in seen[20:]] == [piece] * 10
    third = seen[5][2]
    assert [names[-1] for names in seen[5:12]] == [third] * 7
    assert not set(month.names[0][first]) & set(month.names[-1][first]), "nobody of the first day is left"
    assert month.events() == sorted(
        [
            (0, first, "born", None, 24),
            (0, second, "born", None, 15),
            (5, third, "born", None, 10),
            (10, second, "merged", first, 14),
            (12, third, "ended", None, 10),
            (15, second, "split", first, 14),
            (20, piece, "split", first, 8),
        ],
        key=lambda e: (e[0], e[2], e[1]),
    )


def test_one_account_does_not_carry_a_name_along() -> None:
    month = Month()
    (name,) = month.rank(accounts("a", 20))
    (other,) = month.rank(["a3", *accounts("b", 20)])
    assert other != name
    assert {(day, event) for day, _, event, _, _ in month.events()} == {
        (0, "born"),
        (1, "born"),
        (1, "ended"),
    }


def test_a_campaign_that_is_away_comes_back_under_its_name() -> None:
    month = Month()
    (name,) = month.rank(accounts("a", 20))
    month.rank()
    month.rank()
    assert month.rank(accounts("a", 5, 25)) == [name]
    assert [(day, event) for day, _, event, _, _ in month.events()] == [
        (0, "born"),
        (1, "ended"),
        (3, "returned"),
    ]


def test_the_old_founders_do_not_get_a_name_that_went_on_with_others() -> None:
    """The hash of the members would be the name that the drifted campaign bears: two campaigns of one name."""
    month = Month()
    (name,) = month.rank(accounts("a", 10))
    for day in range(1, 11):
        month.rank(accounts("a", day, day + 10))
    names = month.rank(accounts("a", 11, 21), accounts("a", 10))
    assert names[0] == name
    assert names[1] != name


def test_a_group_that_is_not_shown_takes_no_name_from_one_that_is() -> None:
    month = Month()
    (name,) = month.rank(accounts("a", 20))
    names = stable_names(
        [frozenset(accounts("a", 15)), frozenset(accounts("a", 15, 20))], [False, True], month.memory()
    )
    assert names[1] == name
    assert names[0] != name


def test_empty_groups_have_different_names() -> None:
    assert len(set(stable_names([frozenset(), frozenset()], [False, False], MEMORY.empty_table()))) == 2


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 4), min_size=12, max_size=12), min_size=2, max_size=8), st.randoms())
def test_names_are_unique_and_do_not_depend_on_order(days: list[list[int]], random: object) -> None:
    month = Month()
    for assignment in days:
        groups = [
            frozenset(f"a{i}" for i, g in enumerate(assignment) if g == number)
            for number in sorted(set(assignment))
        ]
        shuffled = list(range(len(groups)))
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        memory = month.memory()
        other = stable_names([groups[i] for i in shuffled], [True] * len(groups), memory)
        names = month.rank(*groups)
        assert [names[i] for i in shuffled] == other


def test_ids_of_a_month_are_far_fewer_than_groups() -> None:
    """Random churn: ten campaigns lose and gain a tenth of their accounts a day, and keep ten names."""
    rng = np.random.default_rng(1)
    month = Month()
    groups = [accounts(f"g{g}-", 30) for g in range(10)]
    for day in range(30):
        month.rank(*groups)
        for g, members in enumerate(groups):
            keep = rng.permutation(len(members))[:27]
            groups[g] = [members[i] for i in sorted(keep)] + [f"g{g}-{day}-{i}" for i in range(3)]
    assert len({name for day in month.names for name in day}) == 10
    with pytest.raises(StopIteration):
        next(e for e in month.events() if e[2] != "born")
