"""The whole detection: a small world, its tables, and what must not depend on order."""

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.detect.accounts import view
from pipelines.detect.detect import Detection, detect
from pipelines.detect.evidence import peer_groups
from pipelines.ingest.fold import Rows, fold, from_arrow, to_arrow
from schemas.mart import CAMPAIGN_MEMBERS
from tests.detect.worlds import evidence_of, world


class Told:
    """A world with its ranking."""

    def __init__(self, folder: Path) -> None:
        self.map, self.hours, self.profiles, truth = world(
            folder,
            accounts=700,
            seed=31,
            base_rate=0.07,
            strategies=["round_robin:25", "reasoning:20"],
            requests_per_account=30.0,
        )
        self.as_of = int(self.profiles.last.max()) + 1
        self.truth = {a["account_id"]: a["campaign_id"] for a in orjson.loads(truth.read_bytes())["accounts"]}
        self.detection = self.rank(self.profiles, self.hours)

    def rank(self, profiles: Rows, hours: Rows, previous: pa.Table | None = None) -> Detection:
        _, evidence = evidence_of(profiles, hours, self.map, self.as_of)
        return detect(profiles, self.map, self.as_of, evidence, previous)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("world"))


def test_campaigns_are_found_pure_and_one_each(told: Told) -> None:
    members = told.detection.members.to_pandas()
    planted = members["account_id"].map(told.truth)
    for name in sorted({c for c in told.truth.values() if c}):
        size = sum(c == name for c in told.truth.values())
        own = members[planted == name].groupby("campaign_id").size()
        best = own.idxmax()
        assert own.max() / (members["campaign_id"] == best).sum() >= 0.8
        assert own.max() / size >= 0.5


def test_every_account_is_ranked_once_and_harvesters_come_first(told: Told) -> None:
    accounts = told.detection.accounts.sort_by([("score", "descending")])
    assert sorted(accounts["account_id"].to_pylist()) == sorted(told.profiles.accounts.to_pylist())
    harvesting = sum(c is not None for c in told.truth.values())
    first = accounts["account_id"].to_pylist()[:harvesting]
    assert np.mean([told.truth[a] is not None for a in first]) > 0.7


def test_p_values_are_places_among_peers_and_null_where_there_is_too_little(told: Told) -> None:
    accounts = told.detection.accounts
    p = dict(zip(accounts["account_id"].to_pylist(), accounts["p_value"].to_pylist(), strict=True))
    score = dict(zip(accounts["account_id"].to_pylist(), accounts["score"].to_pylist(), strict=True))
    ids = told.profiles.accounts.take(pa.array(told.profiles.codes)).to_pylist()
    cells = view(told.profiles, len(told.map.centroids)).prompts
    few = {a for a, n in zip(ids, cells.tolist(), strict=True) if n < 6}
    assert few
    assert {a for a in ids if p[a] is None} == few
    stratum = peer_groups(told.profiles, told.as_of)
    for i in np.random.default_rng(0).choice(len(ids), 60, replace=False).tolist():
        if ids[i] in few:
            continue
        peers = [a for a, s in zip(ids, stratum.tolist(), strict=True) if s == stratum[i] and a not in few]
        assert p[ids[i]] == pytest.approx(sum(score[a] >= score[ids[i]] for a in peers) / len(peers))
        assert p[ids[i]] >= 1 / len(peers)


def test_reasons_add_up_to_the_scores(told: Told) -> None:
    for reasons, scores, key in (
        (told.detection.account_reasons.table(), told.detection.accounts, "account_id"),
        (told.detection.campaign_reasons, told.detection.campaigns, "campaign_id"),
    ):
        summed = dict.fromkeys(scores[key].to_pylist(), 0.0)
        for name, nats in zip(reasons["id"].to_pylist(), reasons["contribution"].to_pylist(), strict=True):
            summed[name] += nats
        assert [summed[k] for k in scores[key].to_pylist()] == pytest.approx(
            scores["score"].to_pylist(), abs=1e-9
        )


def test_another_order_of_rows_gives_the_same_tables(told: Told) -> None:
    table = to_arrow(told.hours)
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    hours = fold(from_arrow(shuffled))
    profiles = fold(hours.at_hour(np.zeros(len(hours), dtype=np.int32)))
    again = told.rank(profiles, hours)
    assert again.accounts.equals(told.detection.accounts)
    assert again.members.equals(told.detection.members)
    assert again.campaign_reasons.equals(told.detection.campaign_reasons)


def test_ids_survive_and_joining_accounts_take_the_old_id(told: Told) -> None:
    members = told.detection.members
    previous = members.set_column(
        0, "campaign_id", pc.binary_join_element_wise("old", members["campaign_id"], "-")
    )
    stamped = {
        "as_of": pa.array([0] * len(members), pa.timestamp("us", "UTC")),
        "joined_at": pa.array([0] * len(members), pa.timestamp("us", "UTC")),
    }
    table = pa.table({**{c: previous[c] for c in previous.column_names}, **stamped}).select(
        CAMPAIGN_MEMBERS.arrow().names
    )
    again = told.rank(told.profiles, told.hours, table)
    assert set(again.campaigns["campaign_id"].to_pylist()) == {
        f"old-{c}" for c in told.detection.campaigns["campaign_id"].to_pylist()
    }


def test_a_world_of_three_accounts_is_ranked_without_campaigns(told: Told) -> None:
    rows = to_arrow(told.profiles).slice(0, 3)
    few = from_arrow(rows)
    found = detect(few, told.map, told.as_of)
    assert found.accounts.num_rows == 3
    assert found.campaigns.num_rows == 0
