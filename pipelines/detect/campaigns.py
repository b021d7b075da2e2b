"""Campaigns: seeds grown into lists, scored and told apart.

Belongs here: what the measures of a group are worth, which groups are one, whose an account is. Not here: the search
for seeds (`candidates`), the lists behind them (`growth`), who belongs to one (`membership`), ids that last
(`lifecycle`), tables (`score`).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits

from pipelines.detect import growth
from pipelines.detect.alike import concentration, habits_of
from pipelines.detect.candidates import Group, SameSource, candidates, habits
from pipelines.detect.communities import PHI_LIMIT
from pipelines.detect.evidence import Evidence
from pipelines.detect.list_signs import list_signs
from pipelines.detect.membership import Frame, Reading, frame, hold, near
from pipelines.detect.neighbours import neighbours_of
from pipelines.detect.options import DEFAULT, Options
from pipelines.detect.same_source import THREADS

SEEDS: Final = 800
"""Seeds that are grown, the most promising first."""
AGAIN: Final = 150
"""Lists found that are looked at again, best first."""
COVERED: Final = 0.6
"""Share of a list inside a better one above which it is not looked at again."""
OVERLAP: Final = 0.5
"""Share of the smaller group from which two groups are one campaign."""
FLOOR: Final = 8.0
"""Log-odds below which a group adds nothing to an account, and above which it adds no more, in size."""
CONFIDENCE, MEMBERSHIP = 3.0, 0.5
"""Log-odds that a group is a campaign for a nat of its score, and that an account is in it for a nat of its odds."""


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


def own_nats(evidence: Sequence[Evidence], size: int) -> NDArray[np.float64]:
    """float64[accounts]: what account-level evidence says of each, all families but coverage together. Coverage is
    left out: harvesters are below ordinary users as often as above (METHOD section 5)."""
    out = np.zeros(size)
    for e in evidence:
        if e.family not in ("coverage", "group"):
            out += e.contribution
    return out


def _log(x: float, least: float = 0.02) -> float:
    return float(np.log(max(x, least)))


def seed_score(m: Mapping[str, float]) -> float:
    """How promising a seed is: the logarithm of METHOD 3.2's ranking, less what its scatter says against one list, and
    what its members have in common beside their prompts. First turns count for little: lists are asked in several turns
    and under cover, too."""
    return (
        _log(m["density"], 0.05) + 1.5 * _log(float(np.log2(m["size"]))) + 8 * _log(1 - m["duplicates"])
        + 5 * _log(1 - m["repeats"]) + _log(m["first_turns"], 0.05) + 4 * _log(min(1.0, m["prompts"] / 20))
        - max(0.0, m["phi"] - PHI_LIMIT) + float(np.clip(m["alike"], -2, 12))
        + 0.7 * float(np.clip(m["pooled"], -1, 1)) * float(np.sqrt(min(m["size"], 60.0)))
        - 4 * float(m["one_org"] > 0.6)
    )  # fmt: skip


def group_reasons(m: Mapping[str, float]) -> tuple[Reason, ...]:
    """What each measure of a group adds, in nats, against its value in a middling group: the signs of one list that
    somebody deals out (`list_signs`), and what argues against it. Weights are round numbers that rank groups of worlds
    with all strategies well; a regression on whether a group harvests ranks the first ones worse."""
    return (
        Reason("list_share", m["list_share"], 1.5 * (m["list_share"] - 0.71), "a popular interest"),
        Reason("list_prompts", m["list_prompts"], 0.2 * _log(min(m["list_prompts"], 50) / 25), "too little to tell"),
        Reason("load_spread", m["load_spread"], -3.0 * _log(m["load_spread"] / 0.5), "a team that shares its work out"),
        # Below what dealing makes of it, members are more alike than a list makes them: an application.
        Reason(
            "topic_scatter", m["topic_scatter"], -3.0 * _log(max(m["topic_scatter"], 0.7) / 0.9), "one application"
        ),
        Reason(
            "separation", m["separation"], 0.15 * (float(np.clip(m["separation"], 0, 14)) - 6), "an unusual interest"
        ),
        Reason(
            "accounts_nearby", m["near"], 0.6 * _log(0.75 * m["size"] / (0.75 * m["size"] + m["near"])),
            "a popular interest: many others ask much the same",
        ),
        Reason(
            "shared_prompts", m["shared_prompts"], _log(1 - m["shared_prompts"], 0.05),
            "shared exercises or one application",
        ),
        Reason("asked_again", m["asked_again"], -12.0 * m["asked_again"], "people try again"),
        Reason("common_habits", m["alike"], 0.1 * (float(np.clip(m["alike"], -2, 12)) - 5), "one popular program"),
        Reason("first_turns", m["first_turns"], 0.3 * _log(m["first_turns"], 0.05), "people talk on"),
        Reason("prompts_per_account", m["prompts"], 6.0 * _log(min(1.0, m["prompts"] / 20)), "too little to tell"),
        # What speaks for the accounts one by one counts there, not again for the group.
        Reason(
            "members_own_evidence", m["pooled"],
            float(np.clip(m["pooled"], -0.5, 0)) * float(np.sqrt(min(m["size"], 60.0))),
            "members who each look like people",
        ),
        Reason("one_organisation", m["one_org"], -4.0 * float(m["one_org"] > 0.6), "one customer's own accounts"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Grown:
    group: Reading
    reasons: tuple[Reason, ...]

    @property
    def members(self) -> NDArray[np.int64]:
        return self.group.members

    @property
    def score(self) -> float:
        return sum(r.nats for r in self.reasons)


def find(same: SameSource, evidence: Sequence[Evidence], options: Options = DEFAULT) -> Campaigns:
    """Campaigns of the accounts, named by their place (`lifecycle` gives them ids that last)."""
    accounts = same.accounts
    own = own_nats(evidence, len(accounts))
    rows = np.flatnonzero((accounts.prompts >= options.min_prompts) & (accounts.repeats < 0.6))
    kept: list[_Grown] = []
    taken = np.zeros(len(accounts), dtype=bool)
    # Groups are small: threads of the library would cost more than they save, and fight with ours.
    with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
        nearby = list(pool.map(lambda graph: neighbours_of(graph.links, len(accounts)), same.graphs))
        framed = pool.submit(frame, same, rows, own, habits_of(accounts, evidence, rows), nearby)
        groups = candidates(same, nearby)
        f = framed.result()
        for found in _best_first(_search(f, groups, own, pool)):
            # What is weaker than this adds nothing to any account.
            if CONFIDENCE * found.score <= -FLOOR or float(taken[found.members].mean()) >= OVERLAP:
                continue
            kept.append(found)
            taken[found.members] = True
        odds = list(pool.map(lambda found: hold(f, found.group), kept))
    return _assign(f, kept, odds, options)


def _best_first(found: Mapping[bytes, _Grown]) -> list[_Grown]:
    return sorted(found.values(), key=lambda g: (-g.score, g.members.tobytes()))


def _search(
    f: Frame, groups: Sequence[Group], own: NDArray[np.float64], pool: ThreadPoolExecutor
) -> dict[bytes, _Grown]:
    """Lists behind the most promising seeds, and lists around the best of those, by their members."""
    if len(f.rows) == 0:
        return {}
    ranked = sorted(
        groups, key=lambda g: (-seed_score(g.measures | _hand(f, own, g.members)), g.members.tobytes())
    )
    found: dict[bytes, _Grown] = {}

    def add(lists: Iterator[list[Reading]]) -> None:
        new = {group.members.tobytes(): group for some in lists for group in some}
        fresh = [group for key, group in new.items() if key not in found]
        for measured in pool.map(lambda group: _measured(f, own, group), fresh):
            found[measured.members.tobytes()] = measured

    def worth(group: Reading) -> float:
        return sum(reason.nats for reason in group_reasons(_measures(f, own, group)))

    add(pool.map(lambda seed: growth.from_seed(f, seed.members, seed.graph, worth), ranked[:SEEDS]))
    best: list[_Grown] = []
    covers = np.zeros((AGAIN, len(own)), dtype=np.bool_)
    for one in _best_first(found):
        if len(best) >= AGAIN:
            break
        if bool((covers[: len(best), one.members].mean(axis=1) <= COVERED).all()):
            covers[len(best), one.members] = True
            best.append(one)
    add(pool.map(lambda one: growth.again(f, one.group, worth), best))
    return found


def _hand(f: Frame, own: NDArray[np.float64], members: NDArray[np.int64]) -> dict[str, float]:
    """What is measured of the members beside their prompts. Accounts too small to belong to a list have no habits."""
    at = f.place[members]
    return {
        "pooled": float(own[members].mean()),
        "alike": concentration(f.habits, at[at >= 0]),
        "one_org": f.same.accounts.one_org_share(members),
    }


def _measures(f: Frame, own: NDArray[np.float64], group: Reading) -> dict[str, float]:
    """What is measured of a group, all but the accounts near it, which take longer to find than to read the group."""
    members = group.members
    signs = list_signs(f.same.accounts, f.same.urn, members, group.fitted)
    beside = {"separation": growth.separation(group), "near": 0.0}
    return habits(f.same.accounts, members) | _hand(f, own, members) | signs | beside


def _measured(f: Frame, own: NDArray[np.float64], group: Reading) -> _Grown:
    """A group with its reasons."""
    return _Grown(group, group_reasons(_measures(f, own, group) | {"near": float(near(f, group))}))


def _both(group: float, account: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds that two independent things hold, from the log-odds of each; at most FLOOR."""
    log_p = -np.logaddexp(0, -group) - np.logaddexp(0, -account)
    return np.asarray(np.minimum(log_p - np.log(-np.expm1(np.minimum(log_p, -1e-12))), FLOOR))


def _assign(
    f: Frame, groups: Sequence[_Grown], odds: Sequence[NDArray[np.float64]], options: Options
) -> Campaigns:
    """Each account to the group that says most for it: the log-odds that the group is a campaign and the account in
    it, counted from a floor, so that an account near a strong group does not rank above the members of a weaker one.
    Members are those of the group and who was left out by mistake. odds: float64[rows] for each group."""
    rows, size = f.rows, len(f.same.accounts)
    worth = np.zeros(size)
    best = np.full(size, -1, dtype=np.int64)
    owner = np.full(size, -1, dtype=np.int64)
    odds_of = np.full(size, -np.inf)
    for place, (group, held) in enumerate(zip(groups, odds, strict=True)):
        value = np.maximum(FLOOR + _both(CONFIDENCE * group.score, MEMBERSHIP * held), 0.0)
        better = value > worth[rows]
        worth[rows[better]] = value[better]
        best[rows[better]] = place
        inside = np.union1d(f.place[group.members], np.flatnonzero(held > growth.bar(group.group)))
        members, own = rows[inside], held[inside]
        mine = (owner[members] < 0) | (own > odds_of[members])
        # A member of a stronger group leaves it only for one that fits it better and is itself shown.
        mine &= (owner[members] < 0) | (group.score >= options.shown_score)
        mine &= expit(own) >= options.membership
        owner[members[mine]] = place
        odds_of[members[mine]] = own[mine]
    of = [np.flatnonzero(owner == place) for place in range(len(groups))]
    found = tuple(
        Campaign(str(place), of[place], odds_of[of[place]], group.score, group.reasons,
                 group.score >= options.shown_score and len(of[place]) >= options.smallest_campaign)
        for place, group in enumerate(groups)
    )  # fmt: skip
    return Campaigns(found, worth, best)
