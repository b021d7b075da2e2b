"""Links of shared metadata against brute force: weights, pairs, what is popular, time near linear."""

import itertools
import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.detect import links
from pipelines.ingest.fold import Rows
from tests.detect.worlds import DAY_MS, START_MS, at_minutes, rows_of


def sharing(*values: list[int], orgs: list[int] | None = None) -> Rows:
    """One account per list of payments; orgs: one organisation each."""
    return rows_of(
        *(
            {
                "account_id": f"{i:04d}",
                "payment_hashes": sorted(v),
                "payment_requests": [1] * len(v),
                **(
                    {"org_hashes": [orgs[i]], "org_requests": [1], "org_names": [str(orgs[i])]}
                    if orgs
                    else {}
                ),
            }
            for i, v in enumerate(values)
        )
    )


def linked(rows: Rows) -> pl.DataFrame:
    """The links of rows, a few at a time."""
    pairs = links.expand(links.shared_values(rows))
    return pl.concat(links.account_links(rows.accounts.take(pa.array(rows.codes)), pairs, most=7))


@settings(max_examples=50)
@given(st.lists(st.sets(st.integers(0, 8), max_size=3), min_size=2, max_size=30))
def test_pairs_and_weights_equal_brute_force(values: list[set[int]]) -> None:
    rows = sharing(*(sorted(v) for v in values))
    n = sum(bool(v) for v in values)
    expected: dict[tuple[str, str], float] = {}
    for value in range(9):
        users = [i for i, v in enumerate(values) if value in v]
        weight = math.log(n / len(users)) - math.log(20) if len(users) >= 2 else 0.0
        if weight > 0 and len(users) <= links.CLIQUE:
            for a, b in itertools.combinations(users, 2):
                key = (f"{a:04d}", f"{b:04d}")
                expected[key] = max(expected.get(key, 0.0), weight)
    got = linked(rows)
    assert dict(
        zip(zip(got["account_a"], got["account_b"], strict=True), got["weight"], strict=True)
    ) == pytest.approx(expected)


def test_rare_values_link_and_popular_ones_count_for_nothing() -> None:
    values = [[1], [1], *([2] for _ in range(60)), *([i] for i in range(100, 538))]  # 500 accounts
    rows = sharing(*values)
    got = linked(rows)
    assert got.select("account_a", "account_b").rows() == [("0000", "0001")]
    assert got["weight"][0] == pytest.approx(math.log(500 / 2) - math.log(20))
    assert got["evidence"][0] == "one payment of 2 accounts"
    ties = links.ties(links.shared_values(rows)["payment"])
    assert ties[0] == pytest.approx(1)
    assert np.all(ties[2:] == 0)


def test_large_groups_stay_connected_with_few_pairs() -> None:
    rows = sharing(*([[1]] * 100), *([i] for i in range(100, 4000)))
    got = linked(rows)
    assert len(got) == 100 * links.NEXT
    reached, frontier = {"0000"}, ["0000"]
    neighbours: dict[str, set[str]] = {}
    for a, b in got.select("account_a", "account_b").rows():
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    while frontier:
        new = neighbours[frontier.pop()] - reached
        reached |= new
        frontier += new
    assert len(reached) == 100


def test_accounts_of_one_organisation_are_no_evidence() -> None:
    values = [[1], [1], [1], *([i] for i in range(10, 210))]
    orgs = [7, 7, 8, *range(100, 300)]
    ties = links.ties(links.shared_values(sharing(*values, orgs=orgs))["payment"])
    assert ties[0] == pytest.approx(ties[1])
    assert ties[2] == pytest.approx(2 * ties[0])
    one_org = links.ties(links.shared_values(sharing(*values, orgs=[5] * len(values)))["payment"])
    assert one_org[2] > 0, "an organisation of everybody tells nothing apart"


def test_absent_kind_is_unavailable() -> None:
    rows = sharing([1], [1], [])
    shared = links.shared_values(rows)
    assert np.isnan(links.ties(shared["network"])).all()
    assert np.isnan(links.ties(shared["payment"])[2])


def filler(count: int) -> list[dict[str, object]]:
    return [
        {"account_id": f"z{i:04d}", **at_minutes(i), "payment_hashes": [1000 + i], "payment_requests": [1]}
        for i in range(count)
    ]


def test_an_account_born_after_its_siblings_silence() -> None:
    paid = {"payment_hashes": [1], "payment_requests": [1]}
    rows = rows_of(
        {"account_id": "a", **at_minutes(0, 1440), **paid, "created_at_ms": START_MS - DAY_MS},
        {
            "account_id": "b",
            **at_minutes(1440 + 300, 12 * 1440),
            **paid,
            "created_at_ms": START_MS + 100_000_000,
        },
        {"account_id": "c", **at_minutes(1440, 12 * 1440), "created_at_ms": START_MS + 100_000_000},
        *filler(100),
    )
    pairs = links.expand(links.shared_values(rows))
    got = links.birth_after(rows, pairs, START_MS + 14 * DAY_MS)
    assert np.isnan(got[0])
    assert got[1:3].tolist() == [1, 0]


def test_synchronous_and_complementary_minutes() -> None:
    even = [h * 60 + m for h in range(40) for m in (2, 12, 22)]
    odd = [h * 60 + m for h in range(40) for m in (7, 17, 27)]
    crowded = [h * 60 + m for h in range(40) for m in range(0, 60, 2)]
    gaps = [h * 60 + m for h in range(40) for m in range(1, 60, 2)]

    def row(name: str, minutes: list[int], payment: int) -> dict[str, object]:
        return {
            "account_id": name,
            **at_minutes(*minutes),
            "payment_hashes": [payment],
            "payment_requests": [1],
        }

    rows = rows_of(
        row("a", even, 1), row("b", even, 1), row("c", even, 2), row("d", odd, 2),
        row("e", crowded, 3), row("f", gaps, 3), *filler(100),
    )  # fmt: skip
    got = links.togetherness(rows, links.expand(links.shared_values(rows)))
    assert got[0] == got[1] > 10
    assert abs(got[2]) < 3
    assert got[4] == got[5] < -10
    assert np.isnan(got[6])
