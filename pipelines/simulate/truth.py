"""The truth of a simulated world, in a file of its own: which accounts harvest, for whom, and how.

One JSON object: `world` (how it was made), `campaigns` (one object each, with what was bought per day),
`accounts` (one object each: account_id, class, is_harvesting, campaign_id, strategy, requests,
harvest_requests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from pipelines.simulate.requests import Traffic
from pipelines.simulate.tempo import DAY, Calendar

FORMAT = 1


@dataclass(frozen=True)
class PlantedCampaign:
    """One campaign: its public id, its strategy, the numbers of its accounts."""

    campaign_id: str
    strategy: str
    accounts: npt.NDArray[np.integer]


def truth_of(
    world: dict[str, Any],
    campaigns: Sequence[PlantedCampaign],
    requests: Traffic,
    calendar: Calendar,
) -> dict[str, Any]:
    """How the world was made and its campaigns, as one JSON-ready object."""
    described = []
    for campaign in campaigns:
        own = np.isin(requests.account, campaign.accounts)
        harvest = own & requests.harvest
        opens = harvest & (requests.turn == 0)
        day = (requests.time[harvest] - calendar.start) // DAY
        described.append(
            {
                "campaign_id": campaign.campaign_id,
                "strategy": campaign.strategy,
                "accounts": len(campaign.accounts),
                "requests": int(own.sum()),
                "harvest_requests": int(harvest.sum()),
                "harvest_requests_by_day": np.bincount(day, minlength=calendar.days).tolist(),
                "distinct_prompts": len(np.unique(requests.prompt[opens])),
                "duplicate_requests": int(opens.sum()) - len(np.unique(requests.prompt[opens])),
                "follow_up_requests": int((harvest & (requests.turn > 0)).sum()),
            }
        )
    return {"format": FORMAT, "world": world, "campaigns": described}


def account_truths(
    ids: Sequence[str],
    classes: Sequence[str],
    campaigns: Sequence[PlantedCampaign],
    requests: Traffic,
) -> Iterator[dict[str, Any]]:
    """One JSON-ready object for each account of a block."""
    total = np.bincount(requests.account, minlength=len(ids)).tolist()
    bought = np.bincount(requests.account[requests.harvest], minlength=len(ids)).tolist()
    member = {int(number): campaign for campaign in campaigns for number in campaign.accounts}
    for number, (account_id, name) in enumerate(zip(ids, classes, strict=True)):
        campaign = member.get(number)
        yield {
            "account_id": account_id,
            "class": name,
            "is_harvesting": campaign is not None,
            "campaign_id": campaign.campaign_id if campaign else None,
            "strategy": campaign.strategy if campaign else None,
            "requests": total[number],
            "harvest_requests": bought[number],
        }


def write_truth(path: Path, head: dict[str, Any], accounts: Iterable[bytes]) -> None:
    """Writes the truth file: what `truth_of` gave, and the accounts of all blocks, each dumped, one to a line."""
    described = orjson.dumps(head, option=orjson.OPT_INDENT_2)
    with path.open("wb") as file:
        file.write(described.removesuffix(b"\n}") + b',\n  "accounts": [')
        file.writelines((b",\n    " if place else b"\n    ") + line for place, line in enumerate(accounts))
        file.write(b"\n  ]\n}")
