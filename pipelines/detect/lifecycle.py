"""Ids of campaigns that survive re-ranking: which group of today is which campaign of before.

Belongs here: the match of groups with remembered campaigns. Not here: the groups (`campaigns`), nor what became of a
campaign that has no group today; splits, merges and endings are read off the history of rankings
(`sql/marts/campaign_events.sql`).
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from pipelines.detect.campaigns import Campaigns

MEMORY: Final = pa.schema(
    [("as_of", pa.timestamp("us", "UTC")), ("campaign_id", pa.string()), ("account_id", pa.string())]
)
"""What is remembered: the members of every campaign, as of the last ranking that had it."""
SHARED: Final = 2
SHARE: Final = 0.25
"""Common members from which a group may be the same campaign: this many, and this share of the smaller of the two. One
account that moves from a campaign to another must not carry the name along."""


def name(found: Campaigns, ids: Sequence[str], remembered: pa.Table) -> Campaigns:
    """The same groups under stable ids. ids: of all accounts. remembered: rows with the columns of MEMORY."""
    members = [frozenset(ids[m] for m in group.members.tolist()) for group in found.found]
    shown = [group.shown for group in found.found]
    names = stable_names(members, shown, remembered)
    groups = tuple(replace(group, id=new) for group, new in zip(found.found, names, strict=True))
    return replace(found, found=groups)


def stable_names(groups: Sequence[frozenset[str]], shown: Sequence[bool], remembered: pa.Table) -> list[str]:
    """One id for each group, no id twice.

    Shown groups come first, campaigns of the last ranking before those that were away, and the largest overlap decides
    in each; so the larger part of a split keeps the id, a merger goes on under the id of its larger part, and a
    campaign that was away for some rankings comes back under its own. What is left gets a hash of its members, which
    is never one that is remembered.
    """
    earlier: dict[str, set[str]] = defaultdict(set)
    last: dict[str, int] = {}
    stamps = remembered["as_of"].cast(pa.int64()).to_pylist()
    for campaign, account, at in zip(
        remembered["campaign_id"].to_pylist(), remembered["account_id"].to_pylist(), stamps, strict=True
    ):
        earlier[campaign].add(account)
        last[campaign] = at
    newest = max(last.values(), default=0)
    holds: dict[str, list[str]] = defaultdict(list)
    for campaign in sorted(earlier):
        for account in earlier[campaign]:
            holds[account].append(campaign)
    pairs = []
    texts = ["\0".join(sorted(members)) for members in groups]
    for place, members in enumerate(groups):
        common: dict[str, int] = defaultdict(int)
        for account in members:
            for campaign in holds.get(account, ()):
                common[campaign] += 1
        for campaign, both in common.items():
            if both >= max(SHARED, SHARE * min(len(members), len(earlier[campaign]))):
                away = last[campaign] != newest
                pairs.append((not shown[place], away, -both, -last[campaign], campaign, texts[place], place))
    given: dict[int, str] = {}
    used: set[str] = set()
    for *_, campaign, _, place in sorted(pairs):
        if place not in given and campaign not in used:
            given[place] = campaign
            used.add(campaign)
    # Fresh names in an order that is not that of the groups, so that who gets a second choice does not depend on it.
    for place in sorted(range(len(groups)), key=lambda p: (texts[p], p)):
        if place not in given:
            given[place] = _new(texts[place] or f"empty {place}", used, earlier)
    return [given[place] for place in range(len(groups))]


def _new(text: str, used: set[str], earlier: dict[str, set[str]]) -> str:
    """A fresh id: the hash of a text, again and again until it is one that nobody bears."""
    for trial in range(1_000_000):
        digest = hashlib.blake2b(text.encode(), digest_size=5, salt=trial.to_bytes(16, "big")).hexdigest()
        made = f"c-{digest}"
        if made not in used and made not in earlier:
            used.add(made)
            return made
    raise AssertionError("a million ids are taken")
