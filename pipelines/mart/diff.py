"""Two marts compared: what they are made of, what enters and leaves, what rises and falls, and why.

Belongs here: the comparison as a value. Not here: showing it (`pipelines.cli.diff`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipelines.mart.open import Mart, open_mart
from pipelines.mart.rows import Kind

K = 100
STEP = 0.5


@dataclass(frozen=True)
class Moved:
    """A subject that moved. ranks and scores: null on the side that does not rank it. why: by family, in nats."""

    kind: Kind
    id: str
    rank_a: int | None
    rank_b: int | None
    score_a: float | None
    score_b: float | None
    why: dict[str, float]


@dataclass(frozen=True)
class Difference:
    """Mart b against mart a. made_of: what differs in how they were made, (in a, in b).

    matched: campaigns of b that are campaigns of a under another id, by at least half of the members of both.
    """

    as_of: tuple[datetime, datetime]
    k: int
    made_of: dict[str, tuple[str, str]]
    entered: list[Moved]
    left: list[Moved]
    rose: list[Moved]
    fell: list[Moved]
    matched: dict[str, str]


@dataclass(frozen=True)
class _Standing:
    rank: int
    score: float
    families: Mapping[str, float]


def compare(a: Path, b: Path, k: int = K, step: float = STEP) -> Difference:
    """Compare the first k accounts and every campaign. step: nats from which a score has moved.

    Raises UsageError or ScarecrowError for what is no mart.
    """
    with open_mart(str(a)) as first, open_mart(str(b)) as second:
        matched = _matched(first, second)
        before, after = _standings(first), _standings(second, matched)
        made = _made_of(first), _made_of(second)
        moments = tuple(m.rows("SELECT max(as_of) FROM runs")[0][0] for m in (first, second))
    inside_a = {key for key, s in before.items() if key[0] == "campaign" or s.rank <= k}
    inside_b = {key for key, s in after.items() if key[0] == "campaign" or s.rank <= k}

    def moved(keys: set[tuple[Kind, str]]) -> list[Moved]:
        found = [_moved(key, before.get(key), after.get(key)) for key in keys]
        return sorted(found, key=lambda m: (m.kind, m.rank_b or m.rank_a or 0, m.id), reverse=False)

    both = inside_a & inside_b
    gain = {key: after[key].score - before[key].score for key in both}
    return Difference(
        (moments[0], moments[1]),
        k,
        {name: (made[0][name], made[1][name]) for name in made[0] if made[0][name] != made[1][name]},
        moved(inside_b - inside_a),
        moved(inside_a - inside_b),
        moved({key for key in both if gain[key] >= step}),
        moved({key for key in both if gain[key] <= -step}),
        matched,
    )


def _standings(mart: Mart, renamed: Mapping[str, str] | None = None) -> dict[tuple[Kind, str], _Standing]:
    """Of every account and campaign; renamed: id in this mart -> id to go by."""
    families: dict[tuple[str, str], dict[str, float]] = {}
    for kind, subject, family, nats in mart.rows(
        """
        SELECT 'account', id, family, sum(contribution) FROM account_reasons GROUP BY id, family
        UNION ALL SELECT 'campaign', id, family, sum(contribution) FROM campaign_reasons GROUP BY id, family"""
    ):
        families.setdefault((kind, subject), {})[family] = nats
    rows = mart.rows(
        """
        SELECT 'account', account_id, rank, score FROM suspect_accounts
        UNION ALL SELECT 'campaign', campaign_id, rank, score FROM suspect_campaigns"""
    )
    names = renamed or {}
    return {
        (kind, names.get(subject, subject) if kind == "campaign" else subject): _Standing(
            rank, score, families.get((kind, subject), {})
        )
        for kind, subject, rank, score in rows
    }


def _moved(key: tuple[Kind, str], a: _Standing | None, b: _Standing | None) -> Moved:
    before, after = (a.families if a else {}), (b.families if b else {})
    gains = {family: after.get(family, 0.0) - before.get(family, 0.0) for family in {*before, *after}}
    why = {
        f: round(g, 4) for f, g in sorted(gains.items(), key=lambda e: (-abs(e[1]), e[0])) if abs(g) >= 0.05
    }
    return Moved(
        key[0], key[1],
        a.rank if a else None, b.rank if b else None, a.score if a else None, b.score if b else None, why,
    )  # fmt: skip


def _made_of(mart: Mart) -> dict[str, str]:
    names = (
        "as_of",
        "horizon_days",
        "code_version",
        "map_version",
        "settings_hash",
        "lake_version",
        "accounts",
        "campaigns",
    )
    row = mart.rows(
        "SELECT as_of, horizon_days, code_version, map_version, settings_hash, lake_version, accounts, campaigns "
        "FROM runs ORDER BY as_of DESC LIMIT 1"
    )[0]
    weights = mart.rows("SELECT family, weight FROM family_weights WHERE weight <> 1 ORDER BY family")
    return {
        **{name: str(value) for name, value in zip(names, row, strict=True)},
        "weights": ", ".join(f"{family} {weight:.3g}" for family, weight in weights) or "all 1",
    }


def _matched(a: Mart, b: Mart) -> dict[str, str]:
    """id in b -> id in a of campaigns with another name and at least half of both member lists in common."""

    def members(mart: Mart) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for campaign, account in mart.rows("SELECT campaign_id, account_id FROM campaign_members"):
            found.setdefault(campaign, set()).add(account)
        return found

    before, after = members(a), members(b)
    free = {name: accounts for name, accounts in before.items() if name not in after}
    owner: dict[str, set[str]] = {}
    for name, accounts in free.items():
        for account in accounts:
            owner.setdefault(account, set()).add(name)
    found: dict[str, str] = {}
    for name, accounts in sorted(after.items()):
        if name in before:
            continue
        candidates = {other for account in accounts for other in owner.get(account, ())} - set(found.values())
        best = max(candidates, key=lambda other: (len(accounts & free[other]), other), default=None)
        if best is not None and 2 * len(accounts & free[best]) >= max(len(accounts), len(free[best])):
            found[name] = best
    return found
