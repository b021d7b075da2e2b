"""The lake that the benchmark of ranking makes without text is one that ingest could have written."""

import numpy as np
import pytest

from benchmarks.population import FIRST_DAY, HARVEST, Population, write_lake
from pipelines.detect.detect import find_links
from pipelines.ingest.fold import Rows, fold
from pipelines.lake.tables import Lake
from pipelines.prompt_map.store import load
from pipelines.rank.horizon import HOUR_MS, Horizon, read_horizon
from schemas.account_hour import SKETCHES

ACCOUNTS, DAYS = 600, 14


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Population]:
    lake = Lake(tmp_path_factory.mktemp("population") / "lake")
    return lake, write_lake(lake.path, ACCOUNTS, DAYS, 5)


@pytest.fixture(scope="module")
def horizon(made: tuple[Lake, Population]) -> Horizon:
    return read_horizon(made[0], DAYS)


def same(one: Rows, other: Rows) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("codes", "hours", "sums", "first", "last", "created")
    ) and all(
        np.array_equal(one.sketches[s.name].keys, other.sketches[s.name].keys)
        and np.array_equal(one.sketches[s.name].counts, other.sketches[s.name].counts)
        for s in SKETCHES
    )


def test_every_account_calls_and_its_sums_agree_with_its_sketches(
    made: tuple[Lake, Population], horizon: Horizon
) -> None:
    rows = horizon.profiles
    assert rows.accounts.equals(made[1].ids)
    assert len(rows) == ACCOUNTS
    assert horizon.as_of_ms <= (FIRST_DAY + DAYS) * 24 * HOUR_MS
    for name in ("cells", "minutes"):
        entries = rows.sketches[name]
        ends = np.concatenate(([0], np.cumsum(entries.counts)))[entries.offsets]
        assert np.array_equal(np.diff(ends), rows.sum("requests"))
    for sketch in SKETCHES:
        entries = rows.sketches[sketch.name]
        inside = np.ones(len(entries.keys), dtype=bool)
        inside[entries.offsets[:-1][np.diff(entries.offsets) > 0]] = False
        assert np.all(np.diff(entries.keys, prepend=0)[inside] > 0)
        assert sketch.limit is None or np.diff(entries.offsets).max() <= sketch.limit


def test_horizons_by_hour_and_by_folded_day_have_the_same_profiles(
    made: tuple[Lake, Population], horizon: Horizon
) -> None:
    by_day = read_horizon(made[0], DAYS, fine_rows=10)
    assert len(by_day.hours) < len(horizon.hours)
    assert same(by_day.profiles, horizon.profiles)


def test_a_thin_horizon_keeps_the_sketches_that_are_asked_for(
    made: tuple[Lake, Population], horizon: Horizon
) -> None:
    thin = read_horizon(made[0], DAYS, hour_sketches=("cells", "models"))
    assert same(thin.profiles, horizon.profiles)
    assert {name for name, entries in thin.hours.sketches.items() if len(entries.keys)} == {"cells", "models"}
    assert np.array_equal(fold(thin.hours).sketches["cells"].keys, fold(horizon.hours).sketches["cells"].keys)
    assert len(thin.without_hours().hours) == 0


def test_accounts_of_one_campaign_are_linked_more_than_others(
    made: tuple[Lake, Population], horizon: Horizon
) -> None:
    lake, population = made
    links = find_links(horizon.profiles, load(lake.path, horizon.map_version)).links
    group = np.where(population.kind == HARVEST, population.group, -1)
    of_one = (group[links.a] >= 0) & (group[links.a] == group[links.b])
    possible = sum(n * (n - 1) // 2 for n in np.bincount(group[group >= 0]))
    share = of_one.sum() / possible
    others = (~of_one).sum() / (ACCOUNTS * (ACCOUNTS - 1) // 2 - possible)
    assert share > 5 * others
