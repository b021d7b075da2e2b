"""The lake that the benchmark of ranking makes without text is one that ingest could have written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.population import FIRST_DAY, HARVEST, Population, write_lake
from pipelines.detect.accounts import view
from pipelines.detect.detect import find_links
from pipelines.ingest.fold import Rows, concat, fold, to_arrow
from pipelines.lake.tables import Lake, read
from pipelines.prompt_map.store import load
from pipelines.rank.horizon import HOUR_MS, Horizon, read_horizon, span
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
    (hours,), (days,) = (list(span(made[0], DAYS, fine_rows=most).parts()) for most in (10**9, 10))
    assert len(days) < len(hours)
    assert same(read_horizon(made[0], DAYS, fine_rows=10).profiles, horizon.profiles)


@pytest.mark.parametrize("fine_rows", [10**9, 10])
def test_a_horizon_read_in_parts_of_the_accounts_is_the_same(
    made: tuple[Lake, Population], tmp_path: Path, fine_rows: int
) -> None:
    found = span(made[0], DAYS, fine_rows=fine_rows)
    parts = list(found.parts(tmp_path, most=700))
    assert len(parts) > 3
    assert max(len(rows) for rows in parts) < 2 * 700
    (whole,) = found.parts()
    assert to_arrow(fold(concat(parts))).equals(to_arrow(whole))
    one = read_horizon(made[0], DAYS, fine_rows=fine_rows)
    other = read_horizon(made[0], DAYS, fine_rows=fine_rows, part_rows=700, scratch=tmp_path)
    assert to_arrow(other.profiles).equals(to_arrow(one.profiles))
    for found_in in ("course", "daily"):
        parts_of_it, whole_of_it = vars(getattr(other, found_in)), vars(getattr(one, found_in))
        for name, values in whole_of_it.items():
            np.testing.assert_array_equal(parts_of_it[name], values, err_msg=name)
    assert list(tmp_path.iterdir()) == []


def test_parts_do_not_need_files_in_order(made: tuple[Lake, Population], tmp_path: Path) -> None:
    lake = made[0]
    found = span(lake, DAYS)
    expected = list(found.parts(tmp_path, most=700))
    shuffled = []
    for source in found.sources:
        table = read(found.table, source.relation, source.paths)
        path = tmp_path / f"{source.day}.parquet"
        pq.write_table(table.take(np.random.default_rng(3).permutation(len(table))), path)
        shuffled.append(replace(source, paths=(str(path),)))
    parts = replace(found, sources=tuple(shuffled)).parts(tmp_path, most=700)
    assert to_arrow(fold(concat(list(parts)))).equals(to_arrow(fold(concat(expected))))


def test_accounts_of_one_campaign_are_linked_more_than_others(
    made: tuple[Lake, Population], horizon: Horizon
) -> None:
    lake, population = made
    prompt_map = load(lake.path, horizon.map_version)
    links = find_links(view(horizon.profiles, len(prompt_map.centroids)), prompt_map).links
    group = np.where(population.kind == HARVEST, population.group, -1)
    of_one = (group[links.a] >= 0) & (group[links.a] == group[links.b])
    possible = sum(n * (n - 1) // 2 for n in np.bincount(group[group >= 0]))
    share = of_one.sum() / possible
    others = (~of_one).sum() / (ACCOUNTS * (ACCOUNTS - 1) // 2 - possible)
    assert share > 5 * others
