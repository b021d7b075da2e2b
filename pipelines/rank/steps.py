"""The steps of a ranking, each reading its inputs from the lake or the workspace and leaving its result there.

Belongs here: what follows what. Not here: how anything is computed, nor Dagster.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.detect.accounts import view
from pipelines.detect.arrays import owners_of
from pipelines.detect.detect import Detection, find_campaigns, find_links, make_ranking
from pipelines.detect.evidence import account_evidence
from pipelines.detect.links import SKETCHES, Pairs, account_links, expand, shared_values
from pipelines.detect.options import DEFAULT, Options
from pipelines.detect.reasons import stamps
from pipelines.ingest.fold import Entries, Rows
from pipelines.ingest.memory import release_unused
from pipelines.lake.tables import Lake
from pipelines.mart import audit_log, build, weights
from pipelines.mart.inbox import make_inbox, take_inbox
from pipelines.mart.labels import as_table, read_labels
from pipelines.prompt_map.store import load
from pipelines.rank.blind import field_evidence, horizon_facts
from pipelines.rank.drift import drift_facts
from pipelines.rank.horizon import Extent, Horizon, read_horizon
from pipelines.rank.previous import previous_history, previous_members
from pipelines.rank.sources import source_looks, source_notes, source_table
from pipelines.rank.weigh import weigh
from pipelines.rank.workspace import Workspace
from pipelines.settings import Settings, settings_hash
from schemas.mart import ACCOUNT_PROFILES, FAMILIES, RUNS

Facts = Mapping[str, Any]
"""What a step tells of its result, for people."""
TOLD_ALL: Final = 50_000
"""The most suspect accounts, which are told what is unavailable to them; members of campaigns are told too."""
_ACCOUNTS: Final = 100_000
"""Accounts whose days are rows at a time."""


@dataclass(frozen=True)
class Ranking:
    """One ranking.

    as_of_ms: end of the horizon, None for the end of the newest hour. live: mart whose labels, weights and
    campaign ids count, None for `mart` itself; a shadow names the live one. weights: factors of families that win
    over those of labels. options: bars of detection. with_labels: whether verdicts and their weights count (a backtest
    judges by them instead). replace: whether a mart with a later horizon is replaced.
    """

    lake: Lake
    mart: Path
    workspace: Workspace
    horizon_days: float
    as_of_ms: int | None
    settings_hash: str
    live: Path | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    options: Options = DEFAULT
    with_labels: bool = True
    replace: bool = False

    @classmethod
    def under(
        cls,
        settings: Settings,
        lake: Lake,
        mart: Path,
        workspace: Workspace,
        as_of_ms: int | None = None,
        *,
        live: Path | None = None,
        with_labels: bool = True,
        replace: bool = False,
    ) -> "Ranking":
        """A ranking as settings have it."""
        rank = settings.rank
        return cls(
            lake, mart, workspace, rank.horizon_days, as_of_ms, settings_hash(settings), live, rank.weights,
            rank.detect.options(), with_labels, replace,
        )  # fmt: skip

    @property
    def known(self) -> Path:
        """The mart whose labels, weights and campaign ids count."""
        return self.live or self.mart


def take_labels(ranking: Ranking) -> Facts:
    """Take over the inbox; the verdicts and weights that this ranking goes by."""
    ranking.workspace.sweep(time.time())
    if not ranking.with_labels:
        ranking.workspace.put("labels", [])
        ranking.workspace.put("calibrations", [])
        ranking.workspace.put("weights", weights.effective(weights.NONE, ranking.weights))
        return {"labels": 0}
    is_shadow = ranking.live is not None
    if not is_shadow:
        make_inbox(ranking.mart)
    taken = None if is_shadow else take_inbox(ranking.mart)
    labels = read_labels(ranking.known)
    calibrations = weights.read_calibrations(ranking.known)
    ranking.workspace.put("labels", labels)
    ranking.workspace.put("calibrations", calibrations)
    newest = calibrations[-1] if calibrations else weights.NONE
    ranking.workspace.put("weights", weights.effective(newest, ranking.weights))
    return {
        "labels": len(labels),
        "taken_from_inbox": 0 if taken is None else taken.labels,
        "inbox_is_busy": taken is not None and taken.is_busy,
    }


def profile_accounts(ranking: Ranking) -> Facts:
    """Fold the horizon to one row per account."""
    ranking.workspace.put("began", time.time())
    work = ranking.workspace
    horizon = read_horizon(ranking.lake, ranking.horizon_days, ranking.as_of_ms, scratch=work.scratch())
    prompt_map = load(ranking.lake.path, horizon.map_version)
    work.put("drift", drift_facts(horizon.daily, prompt_map, source_notes(ranking.lake)))
    work.put("horizon_facts", horizon_facts(horizon))
    work.put("extent", horizon.extent)
    work.put("accounts", view(horizon.profiles, len(prompt_map.centroids)))
    shared, others = _split(horizon.profiles, SKETCHES)
    work.put("shared", shared)
    work.put("others", {name: entries for name, entries in others.items() if name != "prompts"})
    work.put("course", horizon.course)
    work.write("activity", _activity(horizon))
    return {
        "accounts": len(horizon.profiles),
        "account_hours": horizon.account_hours,
        "requests": int(horizon.profiles.sum("requests").sum()),
        "lake_version": horizon.lake_version,
        "map_version": horizon.map_version,
        "as_of_ms": horizon.as_of_ms,
    }


def weigh_evidence(ranking: Ranking) -> Facts:
    """Account-level evidence of every family, and the profile of every account."""
    work = ranking.workspace
    extent: Extent = work.get("extent")
    prompt_map = load(ranking.lake.path, extent.map_version)
    shared: Rows = work.get("shared")
    rows = replace(shared, sketches=shared.sketches | work.get("others"))
    profiles, evidence = account_evidence(
        rows, work.get("course"), prompt_map, extent.as_of_ms, accounts=work.get("accounts")
    )
    work.write("profiles", [profiles.to_arrow().select([c.name for c in ACCOUNT_PROFILES.columns])])
    work.put("evidence", [replace(e, p_values=np.empty(0)) for e in evidence])
    # Much of the memory, and nobody else reads it.
    work.drop("others")
    work.drop("course")
    by_family = {
        family: {
            "reasons": len(found),
            "accounts_argued_for": int(np.sum(np.any([e.contribution > 0 for e in found], axis=0))),
            "accounts_unavailable": int(np.sum(np.all([np.isnan(e.values) for e in found], axis=0))),
        }
        for family in FAMILIES
        if (found := [e for e in evidence if e.family == family])
    }
    return {"reasons": len(evidence), "families": by_family}


def link_accounts(ranking: Ranking) -> Facts:
    """Same-source links, and links of shared metadata."""
    work = ranking.workspace
    extent: Extent = work.get("extent")
    same = find_links(work.get("accounts"), load(ranking.lake.path, extent.map_version))
    pairs = expand(shared_values(work.get("shared")))
    work.put("same_source", same)
    work.put("shared_links", pairs)
    return {"same_source_links": len(same.links.a), "shared_metadata_links": len(pairs.a)}


def group_campaigns(ranking: Ranking) -> Facts:
    """Campaigns with stable ids."""
    ranking.workspace.drop("shared")
    ranking.workspace.drop("accounts")
    found = find_campaigns(
        ranking.workspace.get("same_source"),
        previous_members(ranking.known),
        ranking.workspace.get("evidence"),
        ranking.options,
    )
    ranking.workspace.put("campaigns", found)
    return {"campaigns": len(found), "members": sum(len(c.members) for c in found)}


def rank_suspects(ranking: Ranking) -> Facts:
    """Scores and reasons of accounts and campaigns."""
    work = ranking.workspace
    extent: Extent = work.get("extent")
    found = make_ranking(
        work.get("same_source"), work.get("campaigns"), work.get("evidence"), extent.as_of_ms, ranking.options
    )
    factors = {family: weight for family, (weight, _) in work.get("weights").items()}
    found = weigh(found, factors)
    work.write("account_reasons", found.account_reasons.tables(_told(found)))
    links = work.write("links", _links(found, work.get("shared_links"), extent))
    tables = {name: getattr(found, name) for name in ("accounts", "campaigns", "members", "campaign_reasons")}
    work.put("tables", tables)
    work.put("run", _run(ranking, extent, found, links))
    for name in ("same_source", "campaigns", "evidence", "shared_links"):
        work.drop(name)
    return {
        "accounts": found.accounts.num_rows,
        "campaigns": found.campaigns.num_rows,
        "weights": {family: weight for family, weight in factors.items() if weight != 1},
    }


def draft_mart(ranking: Ranking) -> Facts:
    """Build the next mart beside the one in force."""
    work = ranking.workspace
    extent: Extent = work.get("extent")
    labels, calibrations = work.get("labels"), work.get("calibrations")
    trail = audit_log.read_changes(ranking.known) if ranking.with_labels else []
    staged = {
        **work.get("tables"),
        **{name: work.written(name) for name in ("account_reasons", "links", "profiles", "activity")},
        "labels": as_table(labels),
        "sources": _sources(ranking.lake),
        "runs": _timed(work.get("run"), time.time() - work.get("began")),
        "history": previous_history(ranking.mart),
        "horizon": work.get("horizon_facts"),
        "field_evidence": field_evidence(),
        "weights": weights.as_table(work.get("weights"), extent.as_of_ms),
        "audit": audit_log.as_table([*trail, *audit_log.decisions(labels, calibrations)]),
    }
    build.build(work.draft, staged)
    # A shadow changes no state: it has no trail of its own.
    is_shadow = ranking.live is not None
    changes = [] if is_shadow else build.record_changes(work.draft, trail, extent.as_of_ms)
    work.put("changes", changes)
    return {
        "rows": build.row_counts(work.draft),
        "bytes": work.draft.stat().st_size,
        "changes_of_state": len(changes),
    }


def publish_mart(ranking: Ranking) -> Facts:
    """Put the checked mart in force, unless a later one is; the workspace is gone afterwards."""
    work = ranking.workspace
    is_in_force = build.publish(work.draft, ranking.mart, work.get("changes"), ranking.replace)
    work.clear()
    return {"mart": str(ranking.mart), "is_in_force": is_in_force}


def _tidied(step: Callable[[Ranking], Facts]) -> Callable[[Ranking], Facts]:
    """The step; what is free after it goes back to the system."""

    def run(ranking: Ranking) -> Facts:
        facts = step(ranking)
        pa.default_memory_pool().release_unused()
        release_unused()
        return facts

    return run


STEPS: tuple[tuple[str, Callable[[Ranking], Facts]], ...] = (
    ("labels", take_labels),
    ("account_profiles", _tidied(profile_accounts)),
    ("evidence", _tidied(weigh_evidence)),
    ("links", _tidied(link_accounts)),
    ("campaigns", _tidied(group_campaigns)),
    ("suspects", _tidied(rank_suspects)),
    ("mart_draft", _tidied(draft_mart)),
    ("mart", publish_mart),
)
"""Steps in order, named like their assets; checks stand between the last two."""


def _split(rows: Rows, names: Sequence[str]) -> tuple[Rows, dict[str, Entries]]:
    """The rows with some of their sketches, and the other sketches."""
    others = {name: entries for name, entries in rows.sketches.items() if name not in names}
    return replace(rows, sketches={name: rows.sketches[name] for name in names}), others


def _told(found: Detection) -> NDArray[np.bool_] | None:
    """The accounts that are told what is unavailable to them, bool[accounts]: those whom people look at; all when None.

    What is unavailable is half of all reasons, and at a million accounts the mart would consist of little else.
    """
    accounts = found.accounts
    if accounts.num_rows <= TOLD_ALL:
        return None
    score = accounts["score"].to_numpy()
    least = np.partition(score, len(score) - TOLD_ALL)[len(score) - TOLD_ALL]
    is_member = pc.is_in(accounts["account_id"], value_set=found.members["account_id"].combine_chunks())
    return np.asarray((score >= least) | is_member.to_numpy())


def _links(found: Detection, pairs: Pairs, extent: Extent) -> Iterator[pa.Table]:
    """Every link of the mart, those of one source first."""
    yield found.links
    schema = found.links.schema
    for some in account_links(found.account_reasons.ids, pairs):
        table = some.to_arrow()
        yield (
            table.append_column("as_of", stamps(extent.as_of_ms, len(table)))
            .select(schema.names)
            .cast(schema)
        )


def _activity(horizon: Horizon) -> Iterator[pa.Table]:
    """Calls per account and day."""
    course, rows = horizon.course, horizon.profiles
    for begin in range(0, max(len(rows), 1), _ACCOUNTS):
        offsets = course.day_offsets[begin : begin + _ACCOUNTS + 1]
        accounts = rows.codes[begin : begin + _ACCOUNTS][owners_of(offsets)]
        yield pa.table(
            {
                "account_id": rows.accounts.take(pa.array(accounts)),
                "day": pa.array(course.days[offsets[0] : offsets[-1]]).cast(pa.date32()),
                "requests": course.calls[offsets[0] : offsets[-1]],
            }
        )


def _sources(lake: Lake) -> pa.Table:
    notes = source_notes(lake)
    return source_table(notes, source_looks(lake, notes))


def _run(ranking: Ranking, extent: Extent, found: Detection, links: int) -> dict[str, Any]:
    """The row of RUNS but for its seconds."""
    return {
        "as_of": extent.as_of_ms * 1000,
        "horizon_days": extent.days,
        "code_version": version("scarecrow"),
        "map_version": extent.map_version,
        "settings_hash": ranking.settings_hash,
        "lake_version": extent.lake_version,
        "account_hours": extent.account_hours,
        "accounts": found.accounts.num_rows,
        "campaigns": found.campaigns.num_rows,
        "links": links,
    }


def _timed(run: Mapping[str, Any], seconds: float) -> pa.Table:
    return pa.Table.from_pylist([{**run, "seconds": seconds}], schema=RUNS.arrow())
