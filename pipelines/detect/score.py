"""One ranked list of accounts and one of campaigns that agree, with reasons that add up (METHOD section 6).

Belongs here: how group evidence and account evidence are joined, and the tables of a ranking. Not here: where the
evidence comes from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from pipelines.detect import calibrate, lone
from pipelines.detect.campaigns import Campaigns, Reason
from pipelines.detect.candidates import SameSource
from pipelines.detect.evidence import Evidence
from pipelines.detect.list_size import list_size
from pipelines.detect.options import DEFAULT, Options
from pipelines.detect.reasons import SCHEMA, TIME, AccountReasons, stamps, words

GROUPS_LOCATION: Final = -1.3
GROUPS_SCALE: Final = 0.85
"""Scores of the groups that a search finds among ordinary accounts, nats: a normal null with their median, at least
the first, and this scale. In three worlds of 5,000 to 50,000 accounts the medians of 74 to 89 such groups were -1.75 to
-1.84, their scale .8, and the best lay 2.2 to 2.6 scales above the first; the scale cannot be read off a log, where
campaigns fill the upper quartile. To be measured again when the reasons of a group change: false alerts hang on it."""
LONE_SCALE: Final = 0.5
FEWEST_HEAVY: Final = 50
"""Heavy accounts below which the tail of the lone account's product is not known."""
MOST_LOG_E: Final = 100.0
_CAUSE_GROUP: Final = "people who work from one shared list, or share an interest"
_CAUSE_LONE: Final = "a gateway in front of many people, or a large batch job"


@dataclass(frozen=True)
class Detection:
    """Tables for the mart's models (see `pipelines.mart.models.STAGED`); account_reasons are written slice by slice."""

    accounts: pa.Table
    campaigns: pa.Table
    members: pa.Table
    links: pa.Table
    account_reasons: AccountReasons
    campaign_reasons: pa.Table


def group_evidence(
    same: SameSource, campaigns: Campaigns, product: NDArray[np.float64], options: Options = DEFAULT
) -> list[Evidence]:
    """The reasons of family "group": a shared list, and for accounts without one the lone account's product
    (`lone.products`)."""
    size = len(same.accounts)
    odds = np.full(size, np.nan)
    enough = same.accounts.prompts >= options.min_prompts
    odds[enough] = campaigns.worth[enough]
    alone = np.maximum(lone.nats(product) - campaigns.worth, 0.0)
    return [
        _against_all(
            "shared_list",
            odds,
            campaigns.worth,
            _CAUSE_GROUP,
            "draws on a list of prompts that other accounts draw on too",
        ),
        _against_all(
            "broad_and_unlike_people",
            product,
            alone,
            _CAUSE_LONE,
            "asks heavily and broadly, and unlike people",
        ),
    ]


def _against_all(
    reason: str, values: NDArray[np.float64], nats: NDArray[np.float64], cause: str, text: str
) -> Evidence:
    known = ~np.isnan(values)
    ordered = np.sort(values[known])
    p, percentile = np.full(len(values), np.nan), np.full(len(values), np.nan)
    below = np.searchsorted(ordered, values[known], side="left")
    p[known] = (len(ordered) - below) / max(len(ordered), 1)
    percentile[known] = 100 * below / max(len(ordered), 1)
    median = np.array([float(np.median(ordered)) if len(ordered) else np.nan])
    return Evidence("group", reason, values, p, percentile, median, nats, cause, text)


def rank(
    same: SameSource,
    campaigns: Campaigns,
    evidence: Sequence[Evidence],
    as_of_ms: int,
    options: Options = DEFAULT,
) -> Detection:
    """Every account and every shown campaign, ranked, with reasons that sum to the scores."""
    product = lone.products(same.accounts, same.urn.ordinary)
    every = (*evidence, *group_evidence(same, campaigns, product, options))
    reasons = AccountReasons(same.accounts.ids, every, as_of_ms)
    score = reasons.scores()
    return Detection(
        _accounts(same, campaigns, every, score, product, as_of_ms, options),
        _campaigns(same, campaigns, as_of_ms, options),
        _members(same, campaigns),
        _links(same, campaigns, as_of_ms),
        reasons,
        _campaign_reasons(campaigns, as_of_ms),
    )


def _times(ms: NDArray[np.int64]) -> pa.Array:
    return pa.array(ms * 1000).cast(TIME)


def _accounts(
    same: SameSource,
    campaigns: Campaigns,
    evidence: Sequence[Evidence],
    score: NDArray[np.float64],
    product: NDArray[np.float64],
    as_of_ms: int,
    options: Options,
) -> pa.Table:
    accounts = same.accounts
    size = len(accounts)
    owner: list[str | None] = [None] * size
    for campaign in campaigns.found:
        if campaign.shown:
            for member in campaign.members.tolist():
                owner[member] = campaign.id
    p = p_values(same, evidence, score, options)
    return pa.table(
        {
            "as_of": stamps(as_of_ms, size),
            "account_id": accounts.ids,
            "score": score,
            "p_value": pa.array(p, pa.float64(), from_pandas=True),
            "log_e": account_log_e(product, p),
            "campaign_id": pa.array(owner, pa.string()),
            "requests": accounts.requests,
            "first_seen": _times(accounts.first_ms),
            "last_seen": _times(accounts.last_ms),
            "reasons": words(evidence, size, _campaign_of(campaigns)),
            "confidence": pa.array(
                np.where(
                    accounts.prompts < options.min_prompts,
                    "insufficient",
                    np.where(accounts.prompts < 20, "low", np.where(accounts.has_turns, "high", "medium")),
                ).tolist(),
                pa.string(),
            ),
            "state": pa.array(["open"] * size, pa.string()),
        }
    )


def p_values(
    same: SameSource,
    evidence: Sequence[Evidence],
    score: NDArray[np.float64],
    options: Options = DEFAULT,
) -> NDArray[np.float64]:
    """Conformal p-value of each account's score, float64[accounts]: its place among the peers that its evidence was
    compared with (like volume, age and surface; like volume alone where there is no evidence). NaN below min_prompts
    distinct prompts, and such accounts are nobody's peers."""
    accounts = same.accounts
    if len(accounts) == 0:
        return np.empty(0)
    stratum = next((e.stratum for e in evidence if e.stratum is not None), None)
    if stratum is None:
        unknown = np.full(len(accounts), np.nan)
        stratum = calibrate.strata(accounts.requests, unknown, np.full(len(accounts), -1, dtype=np.int64))
    enough = accounts.prompts >= options.min_prompts
    return calibrate.rank(np.where(enough, score, np.nan), stratum, "high").p


def account_log_e(product: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log e-value of each account in this ranking, float64[accounts] nats: the mean of what its p-value is worth among
    its peers and of how far the lone account's product lies beyond the usual one of heavy accounts."""
    heavy = np.log(np.maximum(product, 1e-9))
    beyond = np.zeros(len(heavy))
    if int((~np.isnan(heavy)).sum()) >= FEWEST_HEAVY:
        beyond = calibrate.beyond_the_usual(heavy, *calibrate.usual(heavy, -np.inf, LONE_SCALE))
    return np.minimum(calibrate.mean_log_e(calibrate.log_e(p), beyond), MOST_LOG_E)


def campaign_log_e(campaigns: Campaigns, options: Options) -> tuple[NDArray[np.float64], int]:
    """Log e-values of the campaigns that are shown, float64[k] nats, and how many groups were tested: all that the
    search has found, for the best of many is not a campaign for that."""
    tested = np.array([c.score for c in campaigns.found if len(c.members) >= options.smallest_campaign])
    location, _ = calibrate.usual(tested, GROUPS_LOCATION, GROUPS_SCALE)
    shown = np.array([c.score for c in campaigns.found if c.shown])
    found = calibrate.beyond_the_usual(shown, location, GROUPS_SCALE)
    return np.minimum(found, MOST_LOG_E), max(len(tested), len(shown))


def _campaign_of(campaigns: Campaigns) -> dict[int, str]:
    """What is said first of the members of campaigns that are shown, by account row."""
    return {
        member: f"draws on one list of prompts with {len(campaign.members) - 1} other accounts"
        for campaign in campaigns
        for member in campaign.members.tolist()
    }


def _campaign_reasons(campaigns: Campaigns, as_of_ms: int) -> pa.Table:
    shown = [(c, r) for c in campaigns.found if c.shown for r in c.reasons]
    return pa.table(
        [
            stamps(as_of_ms, len(shown)),
            pa.array([c.id for c, _ in shown], pa.string()),
            pa.array(["group"] * len(shown), pa.string()),
            pa.array([r.name for _, r in shown], pa.string()),
            pa.array([r.value for _, r in shown], pa.float64()),
            pa.nulls(len(shown), pa.float64()),
            pa.nulls(len(shown), pa.float64()),
            pa.array([r.nats for _, r in shown], pa.float64()),
            pa.array([r.ordinary_cause for _, r in shown], pa.string()),
        ],
        schema=SCHEMA,
    )


def _campaigns(same: SameSource, campaigns: Campaigns, as_of_ms: int, options: Options) -> pa.Table:
    shown = [c for c in campaigns.found if c.shown]
    log_e, tested = campaign_log_e(campaigns, options)
    lists = [list_size(same.accounts, c.members) for c in shown]
    numbers = {
        "prompts_taken": [s.taken for s in lists],
        "list_size": [s.size for s in lists],
        "list_size_low": [s.low for s in lists],
        "list_size_high": [s.high for s in lists],
        "share_taken": [s.share[0] for s in lists],
        "share_taken_low": [s.share[1] for s in lists],
        "share_taken_high": [s.share[2] for s in lists],
    }
    return pa.table(
        {
            "as_of": stamps(as_of_ms, len(shown)),
            "campaign_id": pa.array([c.id for c in shown], pa.string()),
            "score": pa.array([c.score for c in shown], pa.float64()),
            "reasons": pa.array(
                [_campaign_words(c.reasons, len(c.members)) for c in shown], pa.list_(pa.string())
            ),
            "confidence": pa.array(["high" if c.score > 0 else "medium" for c in shown], pa.string()),
            "state": pa.array(
                ["needs_review" if _value(c.reasons, "one_organisation") > 0.6 else "open" for c in shown],
                pa.string(),
            ),
            "log_e": pa.array(log_e, pa.float64()),
            "tested": pa.array([tested] * len(shown), pa.int64()),
            **{name: pa.array(values, pa.float64()) for name, values in numbers.items()},
        }
    )


def _value(reasons: Sequence[Reason], name: str) -> float:
    return next((r.value for r in reasons if r.name == name), 0.0)


def _campaign_words(reasons: Sequence[Reason], size: int) -> list[str]:
    words = [f"{size} accounts draw on one list of prompts"]
    words.append(
        f"the list explains {_value(reasons, 'list_share'):.0%} of what they ask; what each took from it varies by "
        f"{_value(reasons, 'load_spread'):.0%}"
    )
    words.append(
        f"{_value(reasons, 'shared_prompts'):.1%} of the list's longer prompts were asked by several of them"
    )
    words.append(f"{_value(reasons, 'first_turns'):.0%} of their calls open a conversation")
    if _value(reasons, "one_organisation") > 0.6:
        words.append("argues against: most of them belong to one organisation")
    return words


def _members(same: SameSource, campaigns: Campaigns) -> pa.Table:
    ids = same.accounts.ids.to_pylist()
    rows = [
        (c.id, ids[m], probability)
        for c in campaigns.found
        if c.shown
        for m, probability in zip(c.members.tolist(), expit(c.odds).tolist(), strict=True)
    ]
    return pa.table(
        {
            "campaign_id": pa.array([r[0] for r in rows], pa.string()),
            "account_id": pa.array([r[1] for r in rows], pa.string()),
            "membership": pa.array([r[2] for r in rows], pa.float64()),
        }
    )


def _links(same: SameSource, campaigns: Campaigns, as_of_ms: int) -> pa.Table:
    """Same-source links inside shown campaigns."""
    place = np.full(len(same.accounts), -1)
    for number, campaign in enumerate(campaigns.found):
        if campaign.shown:
            place[campaign.members] = number
    links = same.links
    kept = np.flatnonzero((place[links.a] >= 0) & (place[links.a] == place[links.b]))
    return pa.table(
        {
            "as_of": stamps(as_of_ms, len(kept)),
            "account_a": same.accounts.ids.take(pa.array(links.a[kept])),
            "account_b": same.accounts.ids.take(pa.array(links.b[kept])),
            "kind": pa.array(["same_source"] * len(kept), pa.string()),
            "weight": pa.array(links.weight[kept], pa.float64()),
            "evidence": pa.array(
                [f"prompt means apart by D2 = {d:.3f}" for d in links.d2[kept].tolist()], pa.string()
            ),
        }
    )
