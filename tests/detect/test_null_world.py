"""A world in which nobody harvests: p-values are uniform, e-values do not grow, nobody is told."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.detect import calibrate
from pipelines.detect.accounts import view
from pipelines.detect.detect import Detection, detect, find_links
from pipelines.detect.lifecycle import MEMORY
from pipelines.detect.score import p_values
from pipelines.ingest.fold import fold, from_arrow, to_arrow
from tests.detect.worlds import DAY_MS, START_MS, by_account, evidence_of, world

ALPHA = 0.1
DAYS = (5, 10, 14)
HORIZON = 14


class Null:
    """Rankings of a world without a campaign, as of several days; e-values accumulated as the mart does it."""

    def __init__(self, folder: Path) -> None:
        self.map, hours, _, _ = world(folder, accounts=650, seed=77, base_rate=0.0, requests_per_account=30.0)
        self.days: list[tuple[int, Detection]] = []
        memory = MEMORY.empty_table()
        for day in DAYS:
            as_of = START_MS + day * DAY_MS
            early = np.flatnonzero(hours.hours < as_of // 3_600_000)
            before = fold(from_arrow(to_arrow(hours).take(pa.array(early))))
            self.profiles = by_account(before)
            _, self.evidence = evidence_of(self.profiles, before, self.map, as_of)
            found = detect(self.profiles, self.map, as_of, self.evidence, memory)
            members = found.members
            stamps = pa.array([as_of * 1000] * len(members), pa.int64()).cast(MEMORY.field("as_of").type)
            memory = pa.table([stamps, members["campaign_id"], members["account_id"]], schema=MEMORY)
            self.days.append((day, found))

    def accumulated(self, kind: str) -> Iterator[tuple[int, pa.Table, np.ndarray]]:
        """Day, table and combined log e-values, as `sql/staging/e_values.sql` makes them."""
        key = {"accounts": "account_id", "campaigns": "campaign_id"}[kind]
        held: dict[str, float] = {}
        last: int | None = None
        for day, found in self.days:
            table = getattr(found, kind)
            now = table["log_e"].to_numpy()
            before = np.array([held.get(name, 0.0) for name in table[key].to_pylist()])
            elapsed = 0 if last is None else day - last
            kept = calibrate.accumulate(before, now, elapsed, HORIZON)
            held = dict(zip(table[key].to_pylist(), kept.tolist(), strict=True))
            last = day
            yield day, table, calibrate.mean_log_e(now, kept)


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> Null:
    return Null(tmp_path_factory.mktemp("null"))


def test_p_values_of_scores_are_uniform_in_every_stratum(null: Null) -> None:
    for day, found in null.days:
        p = found.accounts["p_value"].drop_null().to_numpy()
        deviation = float(np.abs(np.sort(p) - np.arange(1, len(p) + 1) / len(p)).max())
        assert deviation < 0.03, f"day {day}: Kolmogorov deviation {deviation:.4f}"
        for level in (0.01, 0.05, 0.2):
            assert np.mean(p <= level) <= level


def test_p_values_against_other_accounts_are_uniform_too(null: Null) -> None:
    """Half of the accounts as peers of the other half: what holds when those who are tested are not the peers."""
    accounts = view(null.profiles, len(null.map.centroids))
    score = null.days[-1][1].accounts["score"].to_numpy()
    stratum = next(e.stratum for e in null.evidence if e.stratum is not None)
    enough = accounts.prompts >= 6
    rng = np.random.default_rng(0)
    deviations = []
    for _ in range(20):
        peers = rng.random(len(score)) < 0.5
        p = calibrate.rank(np.where(enough, score, np.nan), stratum, "high", peers).p[~peers & enough]
        deviations.append(float((np.arange(1, len(p) + 1) / len(p) - np.sort(p)).max()))
    # What counts is an excess of small p: the conformal p may lie above the uniform one, not below.
    assert np.mean(deviations) < 1.36 * np.sqrt(2 / enough.sum()) * 1.2


def test_e_values_of_accounts_stay_about_one_on_average(null: Null) -> None:
    for day, _, log_e in null.accumulated("accounts"):
        assert np.exp(log_e).mean() <= 1.05, f"day {day}: mean {np.exp(log_e).mean():.3f}"


def test_nobody_is_told_on_any_day(null: Null) -> None:
    for day, _, log_e in null.accumulated("accounts"):
        rates = calibrate.false_discovery_rate(log_e)
        assert rates.min() > ALPHA, (
            f"day {day}: {int((rates <= ALPHA).sum())} ordinary accounts would be told"
        )
    for day, table, log_e in null.accumulated("campaigns"):
        if len(table):
            rates = calibrate.false_discovery_rate(log_e, table["tested"].to_pylist()[0])
            assert rates.min() > ALPHA, (
                f"day {day}: {int((rates <= ALPHA).sum())} groups of people would be told"
            )


def test_an_account_with_too_little_has_no_p_value_and_is_no_peer(null: Null) -> None:
    detection = null.days[0][1]
    accounts = detection.accounts
    missing = accounts["p_value"].is_null().to_numpy()
    assert missing.any()
    assert set(accounts.filter(pa.array(missing))["confidence"].to_pylist()) == {"insufficient"}


def test_p_values_without_evidence_compare_like_volume(null: Null) -> None:
    same = find_links(view(null.profiles, len(null.map.centroids)), null.map)
    score = np.arange(len(same.accounts), dtype=np.float64)
    p = p_values(same, (), score)
    enough = same.accounts.prompts >= 6
    assert np.isnan(p[~enough]).all()
    assert p[enough].min() >= 1 / enough.sum()
