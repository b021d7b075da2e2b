"""One pipeline on every runner: the same lake, bit for bit. Prism's binary is looked for in SCARECROW_PRISM and
on PATH; without it that part is skipped, loudly."""

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from apache_beam.runners.worker import bundle_processor
from apache_beam.utils.counters import CounterFactory

from pipelines.errors import UsageError
from pipelines.ingest.beam import SAMPLING_MS
from pipelines.ingest.runners import PRISM_VARIABLE, RUNNERS, make_runner, runner_flags
from pipelines.lake.tables import Lake
from pipelines.prompt_map.fit import FittedMap
from tests.ingest.lakes import new_lake, rejects, rows, run
from tests.ingest.records import lines, log


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with repeats and rejects."""
    path = tmp_path_factory.mktemp("log") / "a.ndjson"
    records = log(80, 500, repeats=0.05)
    path.write_bytes(lines(records[:200]) + b"bad\n" + lines(records[200:]) + b"{}\n")
    return path


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, source: Path, fitted: FittedMap) -> Lake:
    """What the in-process runner makes of it."""
    lake = new_lake(tmp_path_factory.mktemp("reference") / "lake", fitted)
    run(lake, str(source), slice_bytes=60_000, cycle_bytes=250_000)
    return lake


def _same(lake: Lake, reference: Lake) -> None:
    assert rows(lake).equals(rows(reference))
    drop = ("rejected_at_ms",)
    ours, theirs = (
        [{k: v for k, v in r.items() if k not in drop} for r in rejects(x)] for x in (lake, reference)
    )
    assert ours == theirs
    assert len(ours) == 2


def test_prism(tmp_path: Path, source: Path, reference: Lake, fitted: FittedMap) -> None:
    if os.environ.get(PRISM_VARIABLE) is None and shutil.which("prism") is None:
        pytest.skip(
            "NO PRISM: `go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0` and SCARECROW_PRISM=path"
        )
    lake = new_lake(tmp_path / "lake", fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Beam's and grpc's own, about sockets they leave open
        run(lake, str(source), 60_000, cycle_bytes=250_000, runner="prism", shards=2)
    _same(lake, reference)


@pytest.fixture
def dask_address() -> Iterator[str]:
    """A cluster of two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="NO DASK: install scarecrow[dask]")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield cluster.scheduler_address


def test_dask(tmp_path: Path, source: Path, reference: Lake, fitted: FittedMap, dask_address: str) -> None:
    lake = new_lake(tmp_path / "lake", fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own
        run(
            lake, str(source), 60_000, cycle_bytes=250_000, runner="dask", shards=2,
            runner_options=(f"--dask_client_address={dask_address}",),
        )  # fmt: skip
    _same(lake, reference)
    written = pa.table(lake.hours().get_add_actions(flatten=True))
    assert written.num_rows > rows(lake)["epoch_hour"].unique().to_pylist().__len__()


def test_prism_without_its_binary_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRISM_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="needs the prism binary"):
        runner_flags("prism", ())
    assert "--prism_location=x" in runner_flags("prism", ("--prism_location=x",))


def test_unknown_runner() -> None:
    with pytest.raises(UsageError, match="inprocess, prism, dask"):
        make_runner("DirectRunner")
    assert RUNNERS == ("inprocess", "prism", "dask")


def test_a_bundle_does_not_wait_long_for_the_thread_that_samples_it() -> None:
    sampler = bundle_processor.statesampler.StateSampler("stage", CounterFactory())
    assert sampler.sampling_period_ms == SAMPLING_MS
