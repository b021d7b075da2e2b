"""Maps of embeddings: fitted, stored and told apart."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.cli.app import main
from pipelines.errors import ScarecrowError
from pipelines.ingest.files import FileSource
from pipelines.ingest.vectors import VectorQuantiser
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import FittedMap, fit
from pipelines.prompt_map.fit_embeddings import fit_embeddings
from pipelines.prompt_map.kinds import first_kind
from pipelines.prompt_map.prepare import sample_source
from tests.ingest.lakes import new_lake, write_log
from tests.ingest.records import KEY, NOW, log

Floats = NDArray[np.float32]


def points(count: int, length: int, seed: int = 0) -> Floats:
    """Around a few centres, in a narrow cone, with scales that fall off."""
    rng = np.random.default_rng(seed)
    scales = 1 / np.sqrt(1 + np.arange(length))
    centres = np.random.default_rng(1).normal(0, 1, (30, length)) * scales
    found = centres[rng.integers(0, 30, count)] + rng.normal(0, 0.3, (count, length)) * scales + 2.0
    return found.astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> FittedMap:
    return fit_embeddings(points(2_500, 96))


def test_the_same_sample_gives_the_same_map(fitted: FittedMap, tmp_path: Path) -> None:
    again = fit_embeddings(points(2_500, 96))
    assert store.save(tmp_path, fitted, {}) == store.save(tmp_path, again, {"source": "elsewhere"})


def test_components_are_those_of_the_centred_unit_vectors(fitted: FittedMap) -> None:
    sample = points(2_500, 96).astype(np.float64)
    unit = sample / np.linalg.norm(sample, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    singular = np.linalg.svd(centred, compute_uv=False)
    quantiser = fitted.quantiser
    assert isinstance(quantiser, VectorQuantiser)
    kept = np.linalg.norm(centred @ quantiser.projection, axis=0)
    np.testing.assert_allclose(kept, singular[:64], rtol=1e-3)
    np.testing.assert_allclose(unit.mean(axis=0) @ quantiser.projection, quantiser.bias, atol=1e-5)
    explained = (singular[:64] ** 2).sum() / (singular**2).sum()
    assert fitted.statistics.explained_variance == pytest.approx(explained, rel=1e-4)
    assert fitted.statistics.vocabulary == 96


def test_scale_of_the_vectors_does_not_matter(fitted: FittedMap) -> None:
    scaled = points(2_500, 96) * np.exp2(np.random.default_rng(2).integers(-20, 20, (2_500, 1)))
    again = fit_embeddings(scaled.astype(np.float32))
    np.testing.assert_allclose(again.centroids, fitted.centroids, atol=1e-4)


def test_fewer_numbers_than_dimensions() -> None:
    found = fit_embeddings(points(2_100, 8))
    assert found.quantiser.projection.shape == (8, 64)
    assert found.statistics.explained_variance == pytest.approx(1, abs=1e-4)
    assert found.statistics.cells_used > 500


def test_it_is_stored_and_read_back(fitted: FittedMap, tmp_path: Path) -> None:
    version = store.save(tmp_path, fitted, {"source": "here"})
    held = store.load(tmp_path, version)
    quantiser, original = held.quantiser, fitted.quantiser
    assert isinstance(quantiser, VectorQuantiser)
    assert isinstance(original, VectorQuantiser)
    assert held.kind == held.about["kind"] == "embedding"
    for name, array in vars(original).items():
        np.testing.assert_array_equal(getattr(quantiser, name), array)


def test_versions_tell_kind_and_length(tmp_path: Path) -> None:
    by_length = {n: store.save(tmp_path, fit_embeddings(points(2_050, n)), {}) for n in (10, 11)}
    prompts = store.save(
        tmp_path, fit([f"prompt {i} of {i % 50} words {i % 7}".encode() for i in range(2_100)]), {}
    )
    assert len({*by_length.values(), prompts}) == 3
    kinds = {about["version"]: about["kind"] for about in store.versions(tmp_path)}
    assert kinds == {by_length[10]: "embedding", by_length[11]: "embedding", prompts: "prompt"}


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (points(1_999, 4), "at least 2000 distinct embeddings"),
        (np.ones((2_000, 4), np.float32), "all point one way"),
    ],
)
def test_what_cannot_be_fitted(sample: Floats, words: str) -> None:
    with pytest.raises(ScarecrowError, match=words):
        fit_embeddings(sample)


@pytest.mark.parametrize(
    ("prompts", "embedded", "kind"),
    [(0, 0, ""), (5, 0, "prompt"), (0, 5, "embedding"), (5, 5, "embedding"), (6, 5, "prompt")],
)
def test_what_a_first_map_is_of(prompts: int, embedded: int, kind: str) -> None:
    assert first_kind(prompts, embedded) == kind


def test_the_sample_takes_the_commonest_length_whatever_the_order(tmp_path: Path) -> None:
    vectors = points(60, 6)
    records = [each | {"prompt_embedding": v.tolist()} for each, v in zip(log(3, 60), vectors, strict=True)]
    odd = [
        each | {"event_id": f"odd{i}", "prompt_embedding": [1.0, 2.0]} for i, each in enumerate(log(4, 20))
    ]
    one = write_log(tmp_path / "a.ndjson", [*records, *odd])
    two = write_log(tmp_path / "b.ndjson", [*odd, *records[::-1], *records])
    samples = [sample_source(FileSource(str(p), tmp_path), KEY, None, NOW) for p in (one, two)]
    arrays = [np.asarray(sample.values) for sample in samples]
    np.testing.assert_array_equal(arrays[0], arrays[1])
    assert {tuple(row) for row in arrays[0].tolist()} == {tuple(row) for row in vectors.tolist()}
    text = sample_source(FileSource(str(one), tmp_path), KEY, None, NOW, "prompt")
    assert text.kind == "prompt"


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = points(2_100, 6)
    records = [
        each | {"prompt_embedding": v.tolist()} for each, v in zip(log(5, 2_100), vectors, strict=True)
    ]
    source = write_log(tmp_path / "a.ndjson", records)
    lake = new_lake(tmp_path / "lake").path
    monkeypatch.setenv("SCARECROW_PRIVACY__HASH_KEY", KEY.decode())

    def said(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["scarecrow", *arguments, "--lake", str(lake)])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 0
        return capsys.readouterr().out

    told = json.loads(said("prompt-map", "fit", "--source", str(source), "--use", "--json"))
    assert (told["kind"], told["in_use"]) == ("embedding", True)
    assert told["version"] in said("prompt-map", "list")
    shown = said("prompt-map", "show")
    assert "distinct embeddings" in shown
    assert "6 numbers an embedding" in shown
    text = said("prompt-map", "fit", "--source", str(source), "--kind", "prompt")
    assert "distinct prompts" in text
    looked = said("ingest", "--source", str(source), "--dry-run")
    assert "A first ingest fits its prompt map to prompt_embedding." in looked
    assert "Embeddings of 6 numbers." in looked
