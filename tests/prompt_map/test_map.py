"""Prompt maps: the same sample gives the same map; stored whole; one in use, whoever is first."""

import threading
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import main
from pipelines.cli.prompt_map import prompt_map_app
from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.files import FileSource
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import FittedMap, fit, term_matrix
from pipelines.prompt_map.prepare import sample_source
from pipelines.prompt_map.separation import separation
from pipelines.rank.horizon import read_horizon
from tests.ingest.conftest import fitted as fitted
from tests.ingest.lakes import new_lake, rows, run, write_log
from tests.ingest.records import KEY, NOW, log


def _prompts(seed: int, size: int) -> list[bytes]:
    found = {record["prompt"].encode(): None for record in log(seed, size)}
    return list(found)


def test_the_same_sample_gives_the_same_map_bit_for_bit(tmp_path: Path) -> None:
    prompts = _prompts(90, 2300)
    one, two = (store.save(tmp_path / name, fit(prompts), {}) for name in "ab")
    assert one == two
    assert store.save(tmp_path / "c", fit(prompts[:-1]), {}) != one


def test_vectors_separate_topics(fitted: FittedMap) -> None:
    assert fitted.ordinary.sum() == pytest.approx(1, abs=1e-5)
    assert fitted.centroids.shape == (1024, 64)
    assert np.isfinite(fitted.quantiser.projection).all()


def test_terms_are_those_of_the_tokens() -> None:
    matrix = term_matrix([b"a b a", b"", "中 a".encode()])
    assert [sorted(matrix[row].data.tolist()) for row in range(3)] == [[1, 2], [], [1, 1]]


def test_too_few_prompts_is_one_sentence() -> None:
    with pytest.raises(ScarecrowError, match="at least 2000 distinct prompts and the input has 10"):
        fit([str(n).encode() for n in range(10)])


def test_stored_and_loaded(tmp_path: Path, fitted: FittedMap) -> None:
    version = store.save(tmp_path, fitted, {"source": "x"})
    held = store.load(tmp_path, version)
    for name in ("projection", "topics", "topic_norms", "cells", "cell_norms"):
        assert np.array_equal(getattr(held.quantiser, name), getattr(fitted.quantiser, name))
    assert np.array_equal(held.centroids, fitted.centroids)
    assert held.about["provenance"] == {"source": "x"}
    (tmp_path / "prompt_maps" / version / "map.npz").write_bytes(b"PK broken")
    with pytest.raises(ScarecrowError, match="cannot be read"):
        store.load(tmp_path, version)
    with pytest.raises(UsageError, match="does not exist"):
        store.load(tmp_path, "none such")


def test_of_many_first_maps_one_wins(tmp_path: Path) -> None:
    (tmp_path / "prompt_maps").mkdir()
    found: list[str] = []
    barrier = threading.Barrier(8)

    def attempt(version: str) -> None:
        barrier.wait()
        found.append(store.use_first(tmp_path, version))

    threads = [threading.Thread(target=attempt, args=(f"v{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert store.current(tmp_path) == found[0]


def test_a_sample_does_not_depend_on_order_or_repetition(tmp_path: Path) -> None:
    records = log(91, 500)
    one = write_log(tmp_path / "a.ndjson", records)
    two = write_log(tmp_path / "b.ndjson", [*reversed(records), *records])
    samples = [sample_source(FileSource(str(p), tmp_path), KEY, None, NOW) for p in (one, two)]
    assert samples[0].values == samples[1].values
    assert set(samples[0].values) == {record["prompt"].encode() for record in records}


def test_the_first_large_input_fits_the_map(tmp_path: Path) -> None:
    lake = new_lake(tmp_path / "lake")
    run(lake, str(write_log(tmp_path / "small.ndjson", log(92, 50))))
    assert store.current(lake.path) is None
    assert set(rows(lake)["map_version"].to_pylist()) == {store.NO_MAP}
    big = log(93, 2600)
    for record in big:
        record["event_id"] = "b" + record["event_id"]
    run(lake, str(write_log(tmp_path / "big.ndjson", big)))
    version = store.current(lake.path)
    assert version is not None
    horizon = read_horizon(lake, 60, NOW)
    assert horizon.map_version == version
    assert int(horizon.profiles.sum("requests").sum()) == 2650
    found = separation(horizon.profiles, store.load(lake.path, version))
    assert found.accounts > 10
    assert found.pairs == found.accounts * (found.accounts - 1) // 2


@pytest.fixture
def lake_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", KEY.decode())
    write_log(tmp_path / "log.ndjson", log(94, 2600))
    return tmp_path / "lake"


def test_commands(tmp_path: Path, lake_path: Path) -> None:
    runner = CliRunner()
    log_path = str(tmp_path / "log.ndjson")
    done = runner.invoke(prompt_map_app, ["fit", "--source", log_path, "--lake", str(lake_path), "--json"])
    assert done.exit_code == 0, done.output
    (about,) = store.versions(lake_path)
    version = about["version"]
    assert store.current(lake_path) is None
    assert "has no prompt map" in str(
        runner.invoke(prompt_map_app, ["show", "--lake", str(lake_path)]).exception
    )
    assert runner.invoke(prompt_map_app, ["use", version, "--lake", str(lake_path)]).exit_code == 0
    assert version in runner.invoke(prompt_map_app, ["list", "--lake", str(lake_path)]).output
    run(new_lake(lake_path), log_path)
    shown = runner.invoke(prompt_map_app, ["show", "--days", "60", "--lake", str(lake_path)])
    assert "median D2" in shown.output, shown.output
    as_json = runner.invoke(prompt_map_app, ["show", "--json", "--lake", str(lake_path)])
    assert '"in_use": true' in as_json.output


@pytest.mark.parametrize("arguments", [["list"], ["use", "x"], ["show"]])
def test_commands_without_a_lake_end_in_one_sentence(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["scarecrow", "prompt-map", *arguments, "--lake", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(main())
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "is no lake" in said
    assert "Traceback" not in said
