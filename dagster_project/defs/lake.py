"""Assets of data engineers: the sources, the prompt map, and the lake that ingest and compaction write."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from dagster_project.defs.describe import DATA, schema_metadata
from dagster_project.defs.partitions import HOURS
from dagster_project.defs.resources import Scarecrow
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS, REJECTS
from schemas.request import FIELDS

SOURCE = dg.AssetSpec(
    "request_log",
    description=(
        "The API gateway's log, one record per call: a Kafka topic or files (setting `ingest.source`). "
        "Scarecrow reads it and never writes it."
    ),
    owners=[DATA],
    kinds={"kafka", "json"},
    group_name="sources",
    metadata={
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(f.name, f.kind, f.meaning, dg.TableColumnConstraints(nullable=not f.required))
                for f in FIELDS
            ]
        )
    },
)


@dg.asset(
    deps=[SOURCE.key],
    owners=[DATA],
    kinds={"numpy"},
    group_name="lake",
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=15), warn_window=timedelta(days=8)
    ),
)
def prompt_map(scarecrow: Scarecrow) -> dg.MaterializeResult[None]:
    """The map in use, which turns a prompt into one of 1,024 cells: its provenance, how well it fits, and whether it
    still describes the traffic (see the check). Looking at it never refits it: that is `scarecrow prompt-map fit`."""
    from pipelines.prompt_map.store import NO_MAP, current, versions

    lake = scarecrow.open_lake().path
    version = current(lake) or NO_MAP
    stored = {str(about["version"]): about for about in versions(lake)}
    about = stored.get(version, {})
    return dg.MaterializeResult(
        metadata={
            "map_version": version,
            "stored_maps": len(stored),
            "statistics": dg.MetadataValue.json(dict(about.get("statistics", {}))),
            "provenance": dg.MetadataValue.json(dict(about.get("provenance", {}))),
        }
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            "account_hours",
            deps=[SOURCE.key, "prompt_map"],
            description=(
                "What each account asked in each hour, as integers that merge: counts, the histogram over cells of the "
                "prompt map, samples of keyed hashes. No prompt text. A run takes in whatever the source has "
                "beyond the "
                "committed positions, so a repeated or doubled run changes nothing; its partition tells which hours it "
                "was asked for. Not scheduled where `scarecrow ingest --follow` runs."
            ),
            owners=[DATA],
            kinds={"delta", "parquet", "python"},
            group_name="lake",
            metadata=schema_metadata(ACCOUNT_HOURS),
            partitions_def=HOURS,
            freshness_policy=dg.FreshnessPolicy.time_window(
                fail_window=timedelta(hours=6), warn_window=timedelta(hours=2)
            ),
        ),
        dg.AssetSpec(
            "rejects",
            deps=[SOURCE.key],
            description="Input that is no request record: reason, position, and a bounded copy without secrets.",
            owners=[DATA],
            kinds={"delta", "parquet"},
            group_name="lake",
            metadata=schema_metadata(REJECTS),
            partitions_def=HOURS,
        ),
    ],
    name="ingest",
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="ingest",
)
def ingest(context: dg.AssetExecutionContext, scarecrow: Scarecrow) -> Any:
    from pipelines.errors import UsageError
    from pipelines.ingest.run import ingest as run_ingest
    from pipelines.ingest.run import open_source, options_of
    from pipelines.rank.newest import hour_rows

    settings, lake = scarecrow.settings(), scarecrow.open_lake()
    if not settings.ingest.source:  # set and empty where a compose file passes it on
        raise UsageError(
            "no source to ingest: set ingest.source (SCARECROW_INGEST__SOURCE) to files or kafka://HOST:PORT/TOPIC"
        )
    source = open_source(settings.ingest.source, lake.path, settings.ingest.slice_mib << 20, follow=False)
    totals = run_ingest(
        lake, settings.ingest.source, source, options_of(settings), lambda: time.time_ns() // 1_000_000
    )
    window = context.partition_time_window
    rows = hour_rows(lake, int(window.start.timestamp()) // 3600, int(window.end.timestamp()) // 3600)
    shared: Mapping[str, Any] = {
        "records": totals.records,
        "commits": totals.cycles,
        "mib": totals.bytes / 2**20,
    }
    yield dg.MaterializeResult(
        asset_key="account_hours",
        metadata={
            **shared,
            "requests": totals.rows,
            "duplicates": totals.duplicates,
            "lake_version": int(lake.hours().version()),
            "dagster/partition_row_count": sum(rows.values()),
        },
    )
    yield dg.MaterializeResult(
        asset_key="rejects", metadata={**shared, "dagster/partition_row_count": totals.rejects}
    )


@dg.asset(
    deps=["account_hours"],
    owners=[DATA],
    kinds={"delta", "parquet"},
    group_name="lake",
    metadata=schema_metadata(ACCOUNT_DAYS),
    pool="ingest",
    freshness_policy=dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=3), warn_window=timedelta(days=2)
    ),
)
def account_days(scarecrow: Scarecrow) -> dg.MaterializeResult[None]:
    """Compaction: closed hours folded to one row per account, closed days to account_days, old files removed after
    their retention. Safe beside a running ingest; a repeated run finds nothing to do."""
    from pipelines.lake.compact import compact

    return dg.MaterializeResult(metadata=vars(compact(scarecrow.open_lake(), time.time_ns() // 1_000_000)))


LAKE_ASSETS: list[dg.AssetsDefinition | dg.AssetSpec] = [SOURCE, prompt_map, ingest, account_days]
