"""Campaigns: seeds grown into lists, scored, told apart, and given ids that survive re-ranking.

Belongs here: what the measures of a group are worth, which groups are one, whose an account is, ids. Not here: the
search for seeds (`candidates`), who belongs to a list (`membership`), tables (`score`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.detect.candidates import Group, SameSource, candidates, measure
from pipelines.detect.evidence import Evidence
from pipelines.detect.membership import FAMILIES, grow

SEEDS: Final = 150
"""Seeds that are grown, best first."""
LEAST_SEED: Final = -6.0
OVERLAP: Final = 0.5
"""Share of the smaller group from which two groups are one campaign."""
FLOOR: Final = 8.0
"""Log-odds below which a group adds nothing to an account, and above which it adds no more, in size."""
REPORTED: Final = -0.3
"""Log-odds from which a group is shown as a campaign."""
SMALLEST: Final = 5
FEWEST_PROMPTS: Final = 6.0


@dataclass(frozen=True)
class Reason:
    """One measure of a campaign: name, value, nats, what would explain it innocently."""

    name: str
    value: float
    nats: float
    ordinary_cause: str


@dataclass(frozen=True)
class Campaign:
    """members: int64[k] account rows, ascending. odds: float64[k], log-odds that each belongs to the list. score:
    nats; the sum over reasons. shown: whether it is reported; weaker groups still lift their accounts a little."""

    id: str
    members: NDArray[np.int64]
    odds: NDArray[np.float64]
    score: float
    reasons: tuple[Reason, ...]
    shown: bool


@dataclass(frozen=True)
class Campaigns:
    """All groups, best first. worth: float64[accounts], nats that the best group adds to an account. best: int64
    [accounts], place of that group, -1 for none."""

    found: tuple[Campaign, ...]
    worth: NDArray[np.float64]
    best: NDArray[np.int64]

    def __iter__(self) -> Iterator[Campaign]:
        """Those that are shown, best first."""
        return (c for c in self.found if c.shown)

    def __len__(self) -> int:
        return sum(c.shown for c in self.found)


def nats_by_family(evidence: Sequence[Evidence], size: int) -> NDArray[np.float64]:
    """float64[accounts, families] in the order of FAMILIES; families that are not there add nothing."""
    out = np.zeros((size, len(FAMILIES)))
    for e in evidence:
        if e.family in FAMILIES:
            out[:, FAMILIES.index(e.family)] += e.contribution
    return out


def _log(x: float, least: float = 0.05) -> float:
    return float(np.log(max(x, least)))


def seed_score(m: Mapping[str, float]) -> float:
    """How promising a seed is: a screen, learned on simulated worlds; not part of any reason."""
    pooled = (
        8.4 * m.get("pooled_tempo", 0)
        + 4.1 * m.get("pooled_elicitation", 0)
        + 9.5 * m.get("pooled_linkage", 0)
    )
    return (
        1.29 * float(np.log1p(max(m["list_ratio"], 0))) + 0.31 * float(np.log(min(m["size"], 60)))
        + 4.2 * m["density"] + 5.3 * _log(1 - m["duplicates"]) + 15.0 * _log(1 - m["repeats"])
        + 1.9 * _log(m["first_turns"]) + 3.7 * min(m["separation"], 0.3) - 0.45 * min(max(m["phi"] - 1, 0), 1)
        + 1.24 * float(np.log(max(m["topics"], 1))) + 2.9 * float(np.log(min(max(m["prompts"], 1), 40)))
        + float(np.clip(pooled, -3, 4)) - 20.9
    )  # fmt: skip


def group_reasons(m: Mapping[str, float]) -> tuple[Reason, ...]:
    """What each measure of a grown group adds, in nats. Weights by logistic regression with sign constraints on
    simulated worlds (dev seeds), towards round numbers; each measure stands against its value in an average group."""
    k = m["size"]
    own = float(np.clip(m["pooled"], -1, 1)) * float(np.sqrt(k))
    return (
        Reason(
            "one_list_over_own_interests", m["list_ratio"], 0.3 * (float(np.log1p(max(m["list_ratio"], 0))) - 4),
            "people who work from one shared list",
        ),
        Reason("membership_odds", m["odds"], 0.8 * float(np.clip(m["odds"], -4, 4)), "a popular interest"),
        Reason("accounts_nearby", m["near"], 0.7 - m["near"], "a popular interest: many others ask much the same"),
        Reason("group_size", k, 0.4 * float(np.log(min(k, 60) / 12)), "a large team"),
        Reason(
            "shared_prompts", m["duplicates"], 12.0 * _log(1 - m["duplicates"]), "shared exercises or one application"
        ),
        Reason("repeated_prompts", m["repeats"], 16.0 * _log(1 - m["repeats"]), "people try again"),
        Reason("first_turns", m["first_turns"], 0.6 * _log(m["first_turns"]), "people talk on"),
        Reason("topics", m["topics"], 0.9 * float(np.log(max(m["topics"], 1) / 12)), "work in many fields"),
        Reason("members_own_evidence", m["pooled"], 0.8 * own, "see the reasons of the members"),
        Reason("one_organisation", m["one_org"], -2.0 * float(m["one_org"] > 0.6), "one customer's own accounts"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Grown:
    members: NDArray[np.int64]
    odds: NDArray[np.float64]
    measures: Mapping[str, float]
    reasons: tuple[Reason, ...]

    @property
    def score(self) -> float:
        return sum(r.nats for r in self.reasons)


def find(same: SameSource, evidence: Sequence[Evidence], previous: pa.Table) -> Campaigns:
    """Campaigns of the accounts. previous: rows of `schemas.mart.CAMPAIGN_MEMBERS` of the last ranking."""
    accounts = same.accounts
    size = len(accounts)
    nats = nats_by_family(evidence, size)
    rows = np.flatnonzero((accounts.prompts >= FEWEST_PROMPTS) & (accounts.repeats < 0.5))
    grown = _grow_seeds(same, candidates(same, evidence), rows, nats)
    kept: list[_Grown] = []
    taken = np.full(size, -1, dtype=np.int64)
    for group in grown:
        if float((taken[group.members] >= 0).mean()) >= OVERLAP:
            continue
        kept.append(group)
        taken[group.members[taken[group.members] < 0]] = len(kept) - 1
    return _assign(same, kept, rows, previous)


def _grow_seeds(
    same: SameSource, groups: Sequence[Group], rows: NDArray[np.int64], nats: NDArray[np.float64]
) -> list[_Grown]:
    """Seeds grown, best first; a seed that lies mostly inside an earlier one is left out."""
    scored = sorted(
        ((seed_score(g.measures), g) for g in groups), key=lambda s: (-s[0], s[1].members.tobytes())
    )
    covered: list[NDArray[np.int64]] = []
    seen: set[bytes] = set()
    grown: list[_Grown] = []
    pooled = {family: nats[:, i] for i, family in enumerate(FAMILIES)}
    own = nats.sum(axis=1)
    for score, group in scored:
        if score < LEAST_SEED or len(covered) >= SEEDS:
            break
        if any(np.isin(group.members, other).mean() > 0.6 for other in covered):
            continue
        covered.append(group.members)
        members, odds = grow(same, group.members, rows, nats)
        if len(members) < SMALLEST or members.tobytes() in seen:
            continue
        seen.add(members.tobytes())
        m = measure(same, members, pooled)
        m["odds"] = float(np.median(odds[np.searchsorted(rows, members)]))
        m["near"] = float(np.log1p((odds > -2).sum()) - np.log(len(members)))
        m["pooled"] = float(own[members].mean())
        m["one_org"] = same.accounts.one_org_share(members)
        grown.append(_Grown(members, odds, m, group_reasons(m)))
    return sorted(grown, key=lambda g: (-g.score, g.members.tobytes()))


def _both(group: float, account: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds that two independent things hold, from the log-odds of each; at most FLOOR."""
    log_p = -np.logaddexp(0, -group) - np.logaddexp(0, -account)
    return np.asarray(np.minimum(log_p - np.log(-np.expm1(np.minimum(log_p, -1e-12))), FLOOR))


def _assign(
    same: SameSource, groups: Sequence[_Grown], rows: NDArray[np.int64], previous: pa.Table
) -> Campaigns:
    """Each account to the group that says most for it: the log-odds that the group is a campaign and the account in
    it, counted from a floor, so that an account near a strong group does not rank above the members of a weaker one."""
    size = len(same.accounts)
    worth = np.zeros(size)
    best = np.full(size, -1, dtype=np.int64)
    owner = np.full(size, -1, dtype=np.int64)
    odds_of = np.full(size, -np.inf)
    for place, group in enumerate(groups):
        value = np.maximum(FLOOR + _both(1.5 * group.score, group.odds + 1), 0.0)
        better = value > worth[rows]
        worth[rows[better]] = value[better]
        best[rows[better]] = place
        own = group.odds[np.searchsorted(rows, group.members)]
        mine = (owner[group.members] < 0) | (own > odds_of[group.members])
        # A member of a stronger group leaves it only for one that fits it better and is itself shown.
        mine &= (owner[group.members] < 0) | (group.score >= REPORTED)
        owner[group.members[mine]] = place
        odds_of[group.members[mine]] = own[mine]
    members = [np.flatnonzero(owner == place) for place in range(len(groups))]
    ids = stable_ids(same, members, previous)
    found = tuple(
        Campaign(ids[place], members[place], odds_of[members[place]], group.score, group.reasons,
                 group.score >= REPORTED and len(members[place]) >= SMALLEST)
        for place, group in enumerate(groups)
    )  # fmt: skip
    return Campaigns(found, worth, best)


def stable_ids(same: SameSource, groups: Sequence[NDArray[np.int64]], previous: pa.Table) -> list[str]:
    """Ids: that of the earlier campaign with the largest overlap, each given once; else a hash of the founders."""
    ids = same.accounts.ids.to_pylist()
    earlier: dict[str, set[str]] = {}
    for campaign, account in zip(
        previous["campaign_id"].to_pylist(), previous["account_id"].to_pylist(), strict=True
    ):
        earlier.setdefault(campaign, set()).add(account)
    names = [{ids[m] for m in group.tolist()} for group in groups]
    pairs = sorted(
        (-len(members & held), campaign, place)
        for place, members in enumerate(names)
        for campaign, held in earlier.items()
        if members & held
    )
    given: dict[int, str] = {}
    for _, campaign, place in pairs:
        if place not in given and campaign not in given.values():
            given[place] = campaign
    return [
        given.get(
            place, "c-" + hashlib.blake2b("\0".join(sorted(members)).encode(), digest_size=5).hexdigest()
        )
        for place, members in enumerate(names)
    ]
