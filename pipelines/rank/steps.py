"""The steps of a ranking, each reading its inputs from the lake or the workspace and leaving its result there.

Belongs here: what follows what. Not here: how anything is computed, nor Dagster.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.detect.detect import Detection, find_campaigns, find_links, make_ranking
from pipelines.detect.evidence import account_evidence
from pipelines.detect.links import account_links
from pipelines.ingest.fold import Rows
from pipelines.lake.tables import Lake
from pipelines.mart import build
from pipelines.mart.labels import as_table, read_labels
from pipelines.prompt_map.store import load
from pipelines.rank.horizon import Horizon, read_horizon
from pipelines.rank.previous import previous_history, previous_members
from pipelines.rank.sources import source_notes, source_table
from pipelines.rank.workspace import Workspace
from schemas.mart import ACCOUNT_PROFILES, RUNS

Facts = Mapping[str, Any]
"""What a step tells of its result, for people."""


@dataclass(frozen=True)
class Ranking:
    """One ranking. as_of_ms None: as of the end of the newest hour."""

    lake: Lake
    mart: Path
    workspace: Workspace
    horizon_days: float
    as_of_ms: int | None
    settings_hash: str


def profile_accounts(ranking: Ranking) -> Facts:
    """Fold the horizon to one row per account."""
    ranking.workspace.clear()
    ranking.workspace.put("began", time.time())
    horizon = read_horizon(ranking.lake, ranking.horizon_days, ranking.as_of_ms)
    ranking.workspace.put("horizon", horizon)
    return {
        "accounts": len(horizon.profiles),
        "account_hours": horizon.account_hours,
        "requests": int(horizon.profiles.sum("requests").sum()),
        "lake_version": horizon.lake_version,
        "map_version": horizon.map_version,
    }


def weigh_evidence(ranking: Ranking) -> Facts:
    """Account-level evidence of every family, and the profile of every account."""
    horizon: Horizon = ranking.workspace.get("horizon")
    prompt_map = load(ranking.lake.path, horizon.map_version)
    profiles, evidence = account_evidence(horizon.profiles, horizon.hours, prompt_map, horizon.as_of_ms)
    ranking.workspace.put("profiles", profiles)
    ranking.workspace.put("evidence", evidence)
    return {"reasons": len(evidence), "families": len({e.family for e in evidence})}


def link_accounts(ranking: Ranking) -> Facts:
    """Same-source links, and links of shared metadata."""
    horizon: Horizon = ranking.workspace.get("horizon")
    same = find_links(horizon.profiles, load(ranking.lake.path, horizon.map_version))
    shared = account_links(horizon.profiles)
    ranking.workspace.put("same_source", same)
    ranking.workspace.put("shared_links", shared)
    return {"same_source_links": len(same.links.a), "shared_metadata_links": len(shared)}


def group_campaigns(ranking: Ranking) -> Facts:
    """Campaigns with stable ids."""
    found = find_campaigns(ranking.workspace.get("same_source"), previous_members(ranking.mart))
    ranking.workspace.put("campaigns", found)
    return {"campaigns": len(found), "members": sum(len(c.members) for c in found)}


def rank_suspects(ranking: Ranking) -> Facts:
    """Scores and reasons of accounts and campaigns."""
    horizon: Horizon = ranking.workspace.get("horizon")
    detection = make_ranking(
        ranking.workspace.get("same_source"),
        ranking.workspace.get("campaigns"),
        ranking.workspace.get("evidence"),
        horizon.as_of_ms,
    )
    ranking.workspace.put("detection", detection)
    return {"accounts": detection.accounts.num_rows, "campaigns": detection.campaigns.num_rows}


def draft_mart(ranking: Ranking) -> Facts:
    """Build the next mart beside the one in force."""
    work = ranking.workspace
    horizon: Horizon = work.get("horizon")
    found: Detection = work.get("detection")
    profiles = work.get("profiles").to_arrow().select([c.name for c in ACCOUNT_PROFILES.columns])
    links = pa.concat_tables([found.links, _shared(work.get("shared_links"), horizon, found.links.schema)])
    staged = {
        "accounts": found.accounts,
        "campaigns": found.campaigns,
        "members": found.members,
        "account_reasons": found.account_reasons,
        "campaign_reasons": found.campaign_reasons,
        "links": links,
        "profiles": profiles,
        "activity": _activity(horizon.hours),
        "labels": as_table(read_labels(ranking.mart)),
        "sources": source_table(source_notes(ranking.lake)),
        "runs": _run(ranking, horizon, found, links.num_rows, time.time() - work.get("began")),
        "history": previous_history(ranking.mart),
    }
    draft = build.draft_path(ranking.mart)
    build.build(draft, staged)
    return {"relations": len(staged), "bytes": draft.stat().st_size}


def publish_mart(ranking: Ranking) -> Facts:
    """Swap the checked mart in."""
    build.publish(build.draft_path(ranking.mart), ranking.mart)
    ranking.workspace.clear()
    return {"mart": str(ranking.mart)}


def _shared(links: Any, horizon: Horizon, schema: pa.Schema) -> pa.Table:
    table = links.to_arrow()
    if "as_of" not in table.column_names:
        table = table.append_column("as_of", _stamps(horizon.as_of_ms, table.num_rows))
    return table.select(schema.names).cast(schema)


def _stamps(at_ms: int, rows: int) -> pa.Array:
    return pa.array([at_ms * 1000] * rows, pa.int64()).cast(pa.timestamp("us", "UTC"))


def _activity(hours: Rows) -> pa.Table:
    """Calls per account and day."""
    day = hours.hours.astype(np.int64) // 24
    key = hours.codes.astype(np.int64) << 32 | day
    distinct, inverse = np.unique(key, return_inverse=True)
    calls = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(calls, inverse, hours.sum("requests"))
    return pa.table(
        {
            "account_id": hours.accounts.take(pa.array(distinct >> 32)),
            "day": pa.array((distinct & 0xFFFFFFFF).astype(np.int32)).cast(pa.date32()),
            "requests": calls,
        }
    )


def _run(ranking: Ranking, horizon: Horizon, found: Detection, links: int, seconds: float) -> pa.Table:
    row = {
        "as_of": horizon.as_of_ms * 1000,
        "horizon_days": horizon.days,
        "code_version": version("scarecrow"),
        "map_version": horizon.map_version,
        "settings_hash": ranking.settings_hash,
        "lake_version": horizon.lake_version,
        "account_hours": horizon.account_hours,
        "accounts": found.accounts.num_rows,
        "campaigns": found.campaigns.num_rows,
        "links": links,
        "seconds": seconds,
    }
    return pa.Table.from_pylist([row], schema=RUNS.arrow())
