"""The lake through readers that are not ours: the same sums."""

from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.lake.compact import compact
from pipelines.lake.tables import Lake
from pipelines.prompt_map.fit import FittedMap
from schemas.account_hour import ACCOUNT_HOURS
from tests.ingest.conftest import fitted as fitted
from tests.ingest.lakes import SUMS, new_lake, rows, run, write_log
from tests.ingest.records import NOW, log


@pytest.fixture(params=["as committed", "compacted"])
def lake(tmp_path: Path, fitted: FittedMap, request: pytest.FixtureRequest) -> Lake:
    lake = new_lake(tmp_path / "lake", fitted)
    for number in range(2):
        run(lake, str(write_log(tmp_path / f"{number}.ndjson", log(50 + number, 300, hours=5))))
    if request.param == "compacted":
        compact(lake, NOW)
    return lake


def _expected(lake: Lake) -> dict[str, int]:
    table = rows(lake)
    cells = sum(sum(each) for each in table["cell_requests"].to_pylist())
    return {name: sum(table[name].to_pylist()) for name in SUMS} | {"cells": cells}


def test_polars(lake: Lake) -> None:
    found = (
        pl.scan_delta(str(lake.path / "account_hours"))
        .select(
            *(pl.col(name).sum() for name in SUMS), pl.col("cell_requests").list.sum().sum().alias("cells")
        )
        .collect()
    )
    assert found.to_dicts() == [_expected(lake)]


def test_duckdb(lake: Lake) -> None:
    files = lake.hours().file_uris()
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in SUMS)
    with duckdb.connect() as connection:
        cursor = connection.execute(
            f"SELECT {sums}, sum(list_sum(cell_requests))::BIGINT AS cells FROM read_parquet(?)",
            [files],
        )
        names = [column[0] for column in cursor.description]
        found = dict(zip(names, cursor.fetchall()[0], strict=True))
    assert found == _expected(lake)


def test_filters_on_statistics_drop_nothing(lake: Lake) -> None:
    whole = rows(lake)
    for hour in sorted(set(whole["epoch_hour"].to_pylist())):
        expected = sum(r["requests"] for r in whole.to_pylist() if r["epoch_hour"] == hour)
        lazy = pl.scan_delta(str(lake.path / "account_hours")).filter(pl.col("epoch_hour") == hour)
        assert lazy.select(pl.col("requests").sum()).collect().item() == expected
        in_partition = pl.scan_delta(str(lake.path / "account_hours")).filter(pl.col("hour") == hour % 24)
        assert in_partition.select(pl.col("requests").sum()).collect().item() == expected


def test_statistics_of_the_log_are_those_of_the_files(lake: Lake) -> None:
    actions = pa.table(lake.hours().get_add_actions(flatten=True)).to_pylist()
    assert actions
    for action in actions:
        table = pq.ParquetFile(f"{lake.path}/account_hours/{action['path']}").read()
        assert action["num_records"] == table.num_rows
        for name in ("epoch_hour", "requests"):
            values = table[name].to_pylist()
            assert (action[f"min.{name}"], action[f"max.{name}"]) == (min(values), max(values))
            assert action[f"null_count.{name}"] == 0
        assert table.schema.names == ACCOUNT_HOURS.arrow().names
        assert action["size_bytes"] == Path(f"{lake.path}/account_hours/{action['path']}").stat().st_size
