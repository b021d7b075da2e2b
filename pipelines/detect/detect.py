"""Detection as one paragraph: accounts, links, campaigns, ranking. Each step is an asset of its own in Dagster.

First version: the floor of METHOD 3.2 (communities cut until homogeneous, ranked by density, size and
disjointness) joined with the account-level evidence.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.detect.accounts import Accounts, view
from pipelines.detect.communities import PHI_LIMIT, cut, leiden, phi
from pipelines.detect.disjointness import overlap
from pipelines.detect.evidence import Evidence
from pipelines.detect.same_source import Links, Vectors, bayes_factor, link, usable_centroids, vectors
from pipelines.ingest.fold import Rows
from pipelines.prompt_map.store import PromptMap

MIN_PROMPTS: Final = 10
SMALLEST: Final = 4


@dataclass(frozen=True)
class SameSource:
    """Accounts, their vectors and the linked pairs."""

    accounts: Accounts
    vectors: Vectors
    links: Links


@dataclass(frozen=True)
class Candidate:
    """A group that may be one campaign. score in nats. reasons: (name, value, contribution)."""

    id: str
    members: NDArray[np.int64]
    membership: NDArray[np.float64]
    score: float
    reasons: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Detection:
    """Tables for the mart's models: see `pipelines.mart.build.STAGED`."""

    accounts: pa.Table
    campaigns: pa.Table
    members: pa.Table
    links: pa.Table
    account_reasons: pa.Table
    campaign_reasons: pa.Table


def find_links(profiles: Rows, prompt_map: PromptMap) -> SameSource:
    """Same-source links among the accounts with enough distinct prompts."""
    accounts = view(profiles, len(prompt_map.centroids))
    v = vectors(accounts.histogram, usable_centroids(prompt_map.centroids))
    eligible = np.flatnonzero((accounts.prompts >= MIN_PROMPTS) & (accounts.repeats < 0.5) & (accounts.first_turns > 0.2))
    if len(eligible) < 2:
        none = np.empty(0, dtype=np.int64)
        return SameSource(accounts, v, Links(none, none, none.astype(float), none.astype(float)))
    inside = v.take(eligible)
    found = link(inside, bayes_factor(inside, np.arange(len(eligible))), 2.0)
    return SameSource(accounts, v, Links(eligible[found.a], eligible[found.b], found.weight, found.d2))


def find_campaigns(same: SameSource, previous: pa.Table) -> list[Candidate]:
    """Homogeneous communities with a positive score, each account in one, best first."""
    groups = cut(same.vectors, leiden(same.links, len(same.accounts), 0.3, seed=0))
    scored = sorted(
        ((c, *_score(same, c.members)) for c in groups if len(c.members) >= SMALLEST),
        key=lambda entry: (-entry[1], int(entry[0].members[0])),
    )
    taken: set[int] = set()
    found = []
    for community, score, reasons, density in scored:
        members = community.members
        if score <= 0 or taken & set(members.tolist()) or phi(same.vectors.take(members)) > 1.5 * PHI_LIMIT:
            continue
        taken |= set(members.tolist())
        found.append(Candidate("", members, density, score, reasons))
    return _named(same, found, previous)


def _score(
    same: SameSource, members: NDArray[np.int64]
) -> tuple[float, tuple[tuple[str, float, float], ...], NDArray[np.float64]]:
    k = len(members)
    inside = np.isin(same.links.a, members) & np.isin(same.links.b, members)
    degree = np.zeros(k)
    np.add.at(degree, np.searchsorted(members, same.links.a[inside]), 1)
    np.add.at(degree, np.searchsorted(members, same.links.b[inside]), 1)
    density = float(degree.sum()) / (k * (k - 1))
    seen = overlap(same.accounts, members)
    first = float(np.average(same.accounts.first_turns[members], weights=same.accounts.requests[members]))
    power = min(1.0, float(np.median(same.accounts.prompts[members])) / 20)
    parts = (
        ("same_source_density", density, 4 * np.log(max(density, 1e-3) / 0.25)),
        ("group_size", float(k), 2 * np.log(k / 4)),
        ("shared_prompts", seen.duplicated, 24 * np.log(max(1 - seen.duplicated, 1e-3))),
        ("repeated_prompts", seen.repeated, 8 * np.log(max(1 - seen.repeated, 1e-3))),
        ("first_turns", first, 8 * np.log(max(first, 1e-3))),
        ("power", power, 8 * np.log(max(power, 1e-3))),
    )
    return sum(p[2] for p in parts), tuple((n, float(v), float(c)) for n, v, c in parts), degree / (k - 1)


def _named(same: SameSource, found: list[Candidate], previous: pa.Table) -> list[Candidate]:
    """Ids: that of the earlier campaign with the largest overlap, each given once; else a hash of the members."""
    ids = same.accounts.ids.to_pylist()
    earlier: dict[str, set[str]] = {}
    for campaign, account in zip(previous["campaign_id"].to_pylist(), previous["account_id"].to_pylist(), strict=True):
        earlier.setdefault(campaign, set()).add(account)
    pairs = []
    for place, candidate in enumerate(found):
        names = {ids[m] for m in candidate.members.tolist()}
        pairs += [(-len(names & held), campaign, place) for campaign, held in earlier.items() if names & held]
    given: dict[int, str] = {}
    for _, campaign, place in sorted(pairs):
        if place not in given and campaign not in given.values():
            given[place] = campaign
    named = []
    for place, c in enumerate(found):
        digest = hashlib.blake2b("\0".join(ids[m] for m in c.members.tolist()).encode(), digest_size=4).hexdigest()
        named.append(Candidate(given.get(place, f"c-{digest}"), c.members, c.membership, c.score, c.reasons))
    return named


def make_ranking(
    same: SameSource, campaigns: Sequence[Candidate], evidence: Sequence[Evidence], as_of_ms: int
) -> Detection:
    """Scores, reasons and members as tables."""
    accounts = same.accounts
    ids = accounts.ids.to_pylist()
    size = len(accounts)
    time = pa.timestamp("us", "UTC")
    group = np.zeros(size)
    owner: dict[int, str] = {}
    for candidate in campaigns:
        for member in candidate.members.tolist():
            owner[member] = candidate.id
        group[candidate.members] = candidate.score * (0.5 + 0.5 * candidate.membership)
    score = group.copy()
    reasons: list[dict[str, Any]] = []
    words: list[list[tuple[float, str]]] = [[] for _ in range(size)]
    for e in evidence:
        score += e.contribution
        for i in np.flatnonzero((e.contribution != 0) | np.isnan(e.values)).tolist():
            reasons.append(
                _reason(ids[i], e.family, e.reason, e.values[i], e.peer_median[i], e.peer_percentile[i], e.contribution[i], e.ordinary_cause)
            )
            if e.contribution[i] > 0:
                words[i].append((e.contribution[i], e.words.format(value=e.values[i], peer_median=e.peer_median[i])))
    for candidate in campaigns:
        for member in candidate.members.tolist():
            text = f"draws on one list of prompts with {len(candidate.members) - 1} other accounts"
            words[member].append((group[member], text))
            reasons.append(
                _reason(ids[member], "group", "same_source_campaign", candidate.score, 0.0, np.nan, group[member], "people who work from one shared list")
            )
    as_of = pa.scalar(as_of_ms * 1000, pa.int64())
    def times(values: NDArray[np.int64]) -> pa.Array:
        return pa.array(values * 1000).cast(time)
    stamp = pa.array([as_of.as_py()] * size, pa.int64()).cast(time)
    order = np.argsort(np.argsort(-score, kind="stable"), kind="stable")
    table = pa.table(
        {
            "as_of": stamp,
            "account_id": accounts.ids,
            "score": score,
            "p_value": (order + 1) / (size + 1),
            "campaign_id": pa.array([owner.get(i) for i in range(size)], pa.string()),
            "requests": accounts.requests,
            "first_seen": times(accounts.first_ms),
            "last_seen": times(accounts.last_ms),
            "reasons": pa.array([[w for _, w in sorted(words[i], reverse=True)[:5]] for i in range(size)], pa.list_(pa.string())),
            "confidence": ["insufficient" if n < MIN_PROMPTS else "medium" for n in accounts.prompts.tolist()],
            "state": ["open"] * size,
        }
    )
    return Detection(table, *_campaign_tables(same, campaigns, ids, as_of_ms), _with_time(reasons, as_of_ms), _campaign_reasons(campaigns, as_of_ms))


def _reason(id: str, family: str, reason: str, value: float, median: float, percentile: float, nats: float, cause: str) -> dict[str, Any]:
    def number(x: float) -> float | None:
        return None if np.isnan(x) else float(x)
    return {
        "id": id, "family": family, "reason": reason, "value": number(value), "peer_median": number(median),
        "peer_percentile": number(percentile), "contribution": float(nats), "ordinary_cause": cause,
    }


_REASON_SCHEMA = pa.schema(
    [("id", pa.string()), ("family", pa.string()), ("reason", pa.string()), ("value", pa.float64()), ("peer_median", pa.float64()),
     ("peer_percentile", pa.float64()), ("contribution", pa.float64()), ("ordinary_cause", pa.string())]
)


def _with_time(rows: list[dict[str, Any]], as_of_ms: int) -> pa.Table:
    table = pa.Table.from_pylist(rows, schema=_REASON_SCHEMA)
    stamp = pa.array([as_of_ms * 1000] * table.num_rows, pa.int64()).cast(pa.timestamp("us", "UTC"))
    return table.append_column("as_of", stamp)


def _campaign_reasons(campaigns: Sequence[Candidate], as_of_ms: int) -> pa.Table:
    rows = [
        _reason(c.id, "group", name, value, np.nan, np.nan, nats, "people who work from one shared list")
        for c in campaigns for name, value, nats in c.reasons
    ]
    return _with_time(rows, as_of_ms)


def _campaign_tables(same: SameSource, campaigns: Sequence[Candidate], ids: list[str], as_of_ms: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    time = pa.timestamp("us", "UTC")
    def stamped(data: dict[str, pa.Array], size: int) -> pa.Table:
        return pa.table({"as_of": pa.array([as_of_ms * 1000] * size, pa.int64()).cast(time), **data})
    groups = stamped(
        {
            "campaign_id": pa.array([c.id for c in campaigns], pa.string()),
            "score": pa.array([c.score for c in campaigns], pa.float64()),
            "reasons": pa.array([[f"{len(c.members)} accounts draw on one list"] for c in campaigns], pa.list_(pa.string())),
            "confidence": pa.array(["medium"] * len(campaigns), pa.string()),
            "state": pa.array(["open"] * len(campaigns), pa.string()),
        }, len(campaigns),
    )
    pairs = [(c.id, ids[m], float(w)) for c in campaigns for m, w in zip(c.members.tolist(), c.membership.tolist(), strict=True)]
    members = pa.table({
        "campaign_id": pa.array([p[0] for p in pairs], pa.string()),
        "account_id": pa.array([p[1] for p in pairs], pa.string()),
        "membership": pa.array([min(1.0, p[2]) for p in pairs], pa.float64()),
    })
    place = np.full(len(ids), -1)
    for n, c in enumerate(campaigns):
        place[c.members] = n
    kept = np.flatnonzero((place[same.links.a] >= 0) & (place[same.links.a] == place[same.links.b]))
    links = stamped(
        {
            "account_a": pa.array([ids[i] for i in same.links.a[kept].tolist()], pa.string()),
            "account_b": pa.array([ids[i] for i in same.links.b[kept].tolist()], pa.string()),
            "kind": pa.array(["same_source"] * len(kept), pa.string()),
            "weight": pa.array(same.links.weight[kept], pa.float64()),
            "evidence": pa.array([f"D2 {d:.3f}" for d in same.links.d2[kept].tolist()], pa.string()),
        }, len(kept),
    )
    return groups, members, links
