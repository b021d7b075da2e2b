"""Snapshots of the graph, jobs, schedules, sensors and checks; how long loading takes; what every asset says."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.definitions import defs
from dagster_project.defs.describe import DRAFT, lineage
from dagster_project.sql_models import Model, models
from schemas.mart import FAMILIES, MART

DRAWN = Path(__file__).parents[2] / "docs" / "GRAPH.md"
SNAPSHOT = Path(__file__).parent / "graph.json"
GRAPH = defs.resolve_asset_graph()


def snapshot() -> dict[str, object]:
    """What graph.json beside this file holds. To accept it: `python -m tests.dagster_project.test_definitions`."""
    repository = defs.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): sorted(parent.to_user_string() for parent in GRAPH.get(key).parent_keys)
            for key in sorted(GRAPH.get_all_asset_keys())
        },
        "checks": {
            f"{key.asset_key.to_user_string()}:{key.name}": "blocking" if GRAPH.get(key).blocking else "warns"
            for key in sorted(GRAPH.asset_check_keys)
        },
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            s.name: [s.cron_schedule, s.job_name, s.default_status.value]
            for s in sorted(repository.schedule_defs, key=lambda s: s.name)
        },
        "sensors": {
            s.name: [s.minimum_interval_seconds, s.default_status.value]
            for s in sorted(repository.sensor_defs, key=lambda s: s.name)
        },
    }


def test_the_graph_of_the_documents_is_the_graph() -> None:
    drawn = {tuple(line.split()[::2]) for line in DRAWN.read_text().splitlines() if " --> " in line}
    named = {key: key.to_user_string().replace("/", "_") for key in GRAPH.get_all_asset_keys()}
    made = {(named[parent], name) for key, name in named.items() for parent in GRAPH.get(key).parent_keys}
    assert drawn == made


def test_the_graph_is_that_of_the_snapshot() -> None:
    assert snapshot() == json.loads(SNAPSHOT.read_text())


@pytest.mark.parametrize("key", sorted(GRAPH.get_all_asset_keys()), ids=lambda key: key.to_user_string())
def test_every_asset_says_what_it_is(key: dg.AssetKey) -> None:
    node = GRAPH.get(key)
    assert node.owners
    assert node.group_name != "default"
    assert node.kinds
    assert len(node.description or "") > 40


def test_everything_that_stays_has_a_freshness_policy() -> None:
    with_policy = {
        k.to_user_string() for k in GRAPH.get_all_asset_keys() if GRAPH.get(k).freshness_policy is not None
    }
    assert with_policy == {"account_hours", "account_days", "prompt_map", "mart"}


@pytest.mark.parametrize("relation", MART, ids=lambda relation: relation.name)
def test_relations_carry_their_columns(relation: object) -> None:
    name = relation.name  # type: ignore[attr-defined]
    schema = GRAPH.get(dg.AssetKey([DRAFT, name])).metadata["dagster/column_schema"]
    columns = relation.columns  # type: ignore[attr-defined]
    assert [c.name for c in schema.columns] == [c.name for c in columns]
    assert all(c.description for c in schema.columns)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_the_origin_of_every_column_is_told_once(model: Model) -> None:
    told = lineage(model).deps_by_column  # it raises when one is told twice
    assert set(told) == set(model.columns)
    assert all(GRAPH.has(origin.asset_key) for origins in told.values() for origin in origins)


def test_every_family_but_group_is_an_asset() -> None:
    named = {key.path[1] for key in GRAPH.get_all_asset_keys() if key.path[0] == "evidence"}
    assert named == set(FAMILIES) - {"group"}  # that one is links and campaigns


def test_definitions_load_quickly_and_neither_they_nor_sensors_import_anything_heavy() -> None:
    """Sensors and schedules are evaluated in Dagster's code server: what they import must compile nothing, or a first
    tick on a new machine holds up the launch of runs for minutes."""
    program = (
        "import time, sys; t = time.process_time(); import dagster_project.definitions as d;"
        "d.defs.get_repository_def().get_all_jobs();"
        "heavy = {'apache_beam', 'sklearn', 'great_expectations', 'numba', 'scipy', 'polars'};"
        "used = time.process_time() - t;"
        "print(used, *sorted((heavy | {'pandas', 'deltalake'}) & set(sys.modules)));"
        "import pipelines.alerts.run, pipelines.rank.newest, pipelines.mart.build, pipelines.mart.weights;"
        "import pipelines.mart.inbox, pipelines.mart.labels, dagster_project.failures;"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    of_definitions, of_sensors = said.split("\n")[:2]
    seconds, *heavy = of_definitions.split(" ")
    assert heavy == []
    assert of_sensors == ""
    assert (
        float(seconds) < 6
    )  # of processor time, about 2 on a quiet machine; this one also catches a slow import


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(snapshot(), indent=2) + "\n")
