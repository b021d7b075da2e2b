"""Everything that `dagster dev -m dagster_project.definitions` shows: `make ui`."""

import dagster as dg

from dagster_project.defs.checks import LAKE_CHECKS, ranking_checks
from dagster_project.defs.jobs import JOBS
from dagster_project.defs.lake import LAKE_ASSETS
from dagster_project.defs.mart import alerts, mart_assets, shadow_mart
from dagster_project.defs.partitions import DAYS
from dagster_project.defs.ranking import ranking_assets
from dagster_project.defs.resources import Scarecrow
from dagster_project.defs.schedules import SCHEDULES
from dagster_project.defs.sensors import SENSORS

defs = dg.Definitions(
    assets=[*LAKE_ASSETS, *ranking_assets(DAYS), *mart_assets(DAYS), alerts, shadow_mart],
    asset_checks=[*LAKE_CHECKS, *ranking_checks()],
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources={"scarecrow": Scarecrow()},
    # A run is a process of its own already; steps that share it import the libraries once.
    executor=dg.in_process_executor,
)
