"""A broken ranking is not published: the assets of `scarecrow rank` in process, on a small real lake."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from dagster_project.definitions import defs
from dagster_project.gatekeeper import Gatekeeper
from dagster_project.in_process import rank_in_process
from pipelines.detect.detect import Detection
from pipelines.errors import ScarecrowError
from pipelines.mart.open import open_mart
from pipelines.rank import steps
from tests.rank.world import DAY_MS, FIRST_MS, ranking, small_world


@pytest.fixture(scope="module")
def gatekeeper() -> Iterator[Gatekeeper]:
    with Gatekeeper() as made:
        yield made


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory, gatekeeper: Gatekeeper) -> Path:
    path = tmp_path_factory.mktemp("gated") / "mart.duckdb"
    told: list[tuple[str, str]] = []
    rank_in_process(
        ranking(small_world()[1], path, FIRST_MS + 5 * DAY_MS),
        gatekeeper,
        lambda step, event, facts: told.append((step, event)),
    )
    assert [step for step, event in told if event == "done"] == [name for name, _ in steps.STEPS]
    return path


def broken(monkeypatch: pytest.MonkeyPatch, change: object) -> None:
    real = steps.make_ranking

    def wrong(*arguments: object) -> Detection:
        return change(real(*arguments))  # type: ignore[operator, no-any-return, arg-type]

    monkeypatch.setattr(steps, "make_ranking", wrong)


def scores_up(found: Detection) -> Detection:
    """Scores that are not the sum of their reasons."""
    at = found.accounts.schema.get_field_index("score")
    higher = pa.array([s + 1 for s in found.accounts["score"].to_pylist()], pa.float64())
    return dataclasses.replace(found, accounts=found.accounts.set_column(at, "score", higher))


def no_probability(found: Detection) -> Detection:
    """p-values that are none."""
    at = found.accounts.schema.get_field_index("p_value")
    wrong = pa.array([2.0] * found.accounts.num_rows, pa.float64())
    return dataclasses.replace(found, accounts=found.accounts.set_column(at, "p_value", wrong))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            scores_up,
            r"the gate audits on draft/suspect_accounts failed \(reasons_sum_to_score: \d+ rows\); the mart ",
        ),
        (
            no_probability,
            r"the gate expectations on draft/suspect_accounts failed \(.*p_value fails for \d+ of them\)",
        ),
    ],
)
def test_a_broken_ranking_is_not_published(
    mart: Path, gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch, change: object, said: str
) -> None:
    before = mart.read_bytes()
    trail = (mart.parent / f"{mart.name}.audit.jsonl").read_bytes()
    broken(monkeypatch, change)
    with pytest.raises(ScarecrowError, match=said) as error:
        rank_in_process(ranking(small_world()[1], mart), gatekeeper)
    assert "\n" not in str(error.value)
    assert mart.read_bytes() == before
    assert (mart.parent / f"{mart.name}.audit.jsonl").read_bytes() == trail
    assert not list((mart.parent / f".{mart.name}.work").glob("*"))


def test_a_step_that_fails_is_one_sentence(
    mart: Path, gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mart.read_bytes()

    def fails(found: Detection) -> Detection:
        raise ScarecrowError("the ground gave way; step back")

    broken(monkeypatch, fails)
    with pytest.raises(ScarecrowError, match=r"^the ground gave way; step back$"):
        rank_in_process(ranking(small_world()[1], mart), gatekeeper)
    assert mart.read_bytes() == before


def test_a_run_by_partition_publishes_as_of_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job of the schedules and backfills, with its own resource and its own checks."""
    monkeypatch.setenv("SCARECROW_LAKE__PATH", str(small_world()[1].path))
    monkeypatch.setenv("SCARECROW_MART__PATH", str(tmp_path / "mart.duckdb"))
    job = defs.resolve_job_def("rank_day")
    for day, in_force in (("2026-01-09", "2026-01-10"), ("2026-01-08", "2026-01-10")):
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance, partition_key=day)
        assert result.success
        gates = result.get_asset_check_evaluations()
        assert len(gates) > 20
        assert [
            g.check_name for g in gates if not g.passed and g.severity == dg.AssetCheckSeverity.ERROR
        ] == []
        with open_mart(str(tmp_path / "mart.duckdb")) as opened:
            assert opened.rows("SELECT strftime(max(as_of), '%Y-%m-%d') FROM runs") == [(in_force,)]
    with open_mart(str(tmp_path / "mart.duckdb")) as opened:
        assert opened.rows("SELECT count(DISTINCT as_of) FROM ranking_history") == [(2,)]
