"""A whole world: who is in it, what they ask, the log and the truth. `simulate` is the way in.

Belongs here: how the accounts of each kind are put together, and the checks of the arguments. What each kind
does is in people, look_alikes and campaigns; how many there are of each is in plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import UsageError
from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.corpora import CorpusPrompts
from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.identities import draw_identities
from pipelines.simulate.look_alikes import LOOK_ALIKES
from pipelines.simulate.orders import Order, with_system_prompts
from pipelines.simulate.people import POPULAR_SYSTEMS, World, draw_volumes, people_traffic, topic_weights
from pipelines.simulate.plan import CampaignPlan, look_alike_groups, plan_campaigns
from pipelines.simulate.prompts import PromptSource
from pipelines.simulate.randomness import stream
from pipelines.simulate.render import FIELDS, REQUIRED, Renderer, account_ids
from pipelines.simulate.requests import Conversations, Traffic, concatenate, in_time_order
from pipelines.simulate.tempo import Calendar
from pipelines.simulate.truth import PlantedCampaign, truth_of, write_truth
from pipelines.simulate.write import check_compression, write_lines

DEFAULT_START = datetime(2026, 1, 5, tzinfo=UTC)
Progress = Callable[[str, int, int], None]
"""called with a stage, how much of it is done, and how much there is"""


@dataclass(frozen=True)
class SimulationSummary:
    """What was written: files, counts, and the accounts and requests of every class and strategy."""

    files: tuple[Path, ...]
    truth: Path
    requests: int
    bytes: int
    accounts: int
    harvesting_accounts: int
    campaigns: int
    strategies: tuple[str, ...]
    """strategy of each campaign"""
    accounts_by_class: dict[str, int]
    requests_by_class: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The summary for JSON."""
        return {
            "files": [str(path) for path in self.files],
            "truth": str(self.truth),
            "requests": self.requests,
            "bytes": self.bytes,
            "accounts": self.accounts,
            "harvesting_accounts": self.harvesting_accounts,
            "campaigns": self.campaigns,
            "strategies": list(self.strategies),
            "accounts_by_class": self.accounts_by_class,
            "requests_by_class": self.requests_by_class,
        }


@dataclass(frozen=True)
class BuiltWorld:
    """A world before it is written: requests in time order, and who is who (class by account number)."""

    world: World
    requests: Traffic
    classes: list[str]
    campaigns: list[PlantedCampaign]
    seed: int


def build_world(
    source: PromptSource,
    *,
    accounts: int,
    days: int,
    seed: int,
    plans: Sequence[CampaignPlan],
    start: datetime,
    requests_per_account: float,
    shared_infrastructure: float,
) -> BuiltWorld:
    """All traffic of a world, in memory (about 60 bytes per request)."""
    calendar = Calendar.of(start, days)
    builtin = GrammarPrompts().system_prompts
    # A folder that brings hardly any system prompts gets the built-in ones besides.
    own = (
        source.system_prompts
        if len(source.system_prompts) >= 40
        else [*source.system_prompts, *builtin[POPULAR_SYSTEMS:]]
    )
    systems = [*builtin[:POPULAR_SYSTEMS], *own]
    identities = draw_identities(accounts, calendar, seed, stream(seed, "identities"))
    world = World(source, calendar, identities, Conversations(), systems)
    numbers = stream(seed, "numbers").permutation(accounts)
    classes = ["person"] * accounts
    pieces: list[Traffic] = []
    planted: list[PlantedCampaign] = []
    used = 0
    for index, plan in enumerate(plans, start=1):
        members = numbers[used : used + plan.accounts]
        used += plan.accounts
        rng = stream(seed, "campaign", index, plan.strategy)
        if rng.random() < shared_infrastructure and len(members) > 1:
            by_payment = rng.random() < 0.5
            identities.share(
                members, rng, org=False, client=False, payment=by_payment, network=not by_payment
            )
        traffic = STRATEGIES[plan.strategy].make(world, Order(members, plan.lot, rng))
        pieces.append(with_system_prompts(world, traffic, members, rng))
        planted.append(PlantedCampaign(f"planted-{index:02d}", plan.strategy, members))
        for member in members.tolist():
            classes[member] = plan.strategy
    left = accounts - used
    for look_alike in LOOK_ALIKES:
        rng = stream(seed, "look-alike", look_alike.name)
        for size in look_alike_groups(look_alike, left, rng):
            members = numbers[used : used + size]
            used += size
            pieces.append(look_alike.make(world, members, rng))
            for member in members.tolist():
                classes[member] = look_alike.name
    people = numbers[used:]
    rng = stream(seed, "people")
    volumes = draw_volumes(len(people), rng, requests_per_account)
    pieces.append(people_traffic(world, people, volumes, topic_weights(source, rng), rng))
    requests = concatenate(pieces)
    outside = calendar.inside(requests.time)  # a conversation that begins before midnight of the last day
    created = identities.created[requests.account]
    requests = replace(requests, time=np.maximum(outside, np.minimum(created, calendar.end - 1)))
    return BuiltWorld(world, in_time_order(requests), classes, planted, seed)


def simulate(
    out: Path,
    *,
    corpora: Path | None = None,
    accounts: int = 5_000,
    days: int = 14,
    seed: int = 0,
    base_rate: float = 0.035,
    strategies: Sequence[str] = (),
    start: datetime = DEFAULT_START,
    requests_per_account: float = 45.0,
    shared_infrastructure: float = 0.0,
    compression: str = "none",
    by_day: bool = False,
    omit: Sequence[str] = (),
    progress: Progress | None = None,
) -> SimulationSummary:
    """Writes the log (`requests*.ndjson`) and the truth (`truth.json`) of one world into the folder `out`.

    The same arguments give the same bytes.

    strategies: names, each with an optional number of accounts and of list prompts per account
        ("personal_cover_80:60:25-45"); none means as many different ones as the base rate allows.
    requests_per_account: mean for ordinary people.
    shared_infrastructure: share of the campaigns (0..1) that are careless with payment or network.
    omit: optional fields that the log leaves out.

    Raises UsageError when a value is out of range, a strategy or field unknown, or the corpora do not serve.
    """
    kind = check_compression(compression)
    _check(days, start, requests_per_account, shared_infrastructure, omit)
    plans = plan_campaigns(strategies, accounts, base_rate, stream(seed, "plan"))
    source: PromptSource = CorpusPrompts(corpora, seed) if corpora is not None else GrammarPrompts()
    built = build_world(
        source, accounts=accounts, days=days, seed=seed, plans=plans, start=start,
        requests_per_account=requests_per_account, shared_infrastructure=shared_infrastructure,
    )  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The output folder {out} cannot be made ({error.strerror}); choose another."
        ) from error
    renderer = Renderer(built.world, seed, frozenset(omit))

    def chunks() -> Any:
        done = 0
        for times, lines in renderer.lines(built.requests):
            yield times, lines
            done += len(lines)
            if progress is not None:
                progress("requests", done, len(built.requests))

    files, size = write_lines(out, chunks(), kind, by_day)
    description = {
        "accounts": accounts, "days": days, "seed": seed, "base_rate": base_rate, "start": start.isoformat(),
        "strategies": [plan.strategy for plan in plans],
        "corpora": "built-in" if corpora is None else corpora.name,
        "requests_per_account": requests_per_account, "shared_infrastructure": shared_infrastructure,
    }  # fmt: skip
    ids = account_ids(accounts, seed)
    truth = truth_of(description, ids, built.classes, built.campaigns, built.requests, built.world.calendar)
    write_truth(out / "truth.json", truth)
    return _summary(built, files, out / "truth.json", size)


def _check(
    days: int, start: datetime, requests_per_account: float, shared_infrastructure: float, omit: Sequence[str]
) -> None:
    if not 1 <= days <= 366:
        raise UsageError(f"A world of {days} days is out of range; use 1 to 366.")
    if start.tzinfo is None:
        raise UsageError(f"The start {start.isoformat()} has no time zone; add one, for example +00:00.")
    if not 3 <= requests_per_account <= 500:
        raise UsageError(f"{requests_per_account} requests per account is out of range; use 3 to 500.")
    if not 0 <= shared_infrastructure <= 1:
        raise UsageError(f"A shared infrastructure of {shared_infrastructure} is out of range; use 0 to 1.")
    unknown = sorted(set(omit) - set(FIELDS) | set(omit) & set(REQUIRED))
    if unknown:
        optional = ", ".join(name for name in FIELDS if name not in REQUIRED)
        raise UsageError(f"The field '{unknown[0]}' cannot be left out; choose among {optional}.")


def _summary(built: BuiltWorld, files: Sequence[Path], truth: Path, size: int) -> SimulationSummary:
    total: npt.NDArray[np.int64] = np.bincount(built.requests.account, minlength=len(built.classes))
    requests: Counter[str] = Counter()
    for name, count in zip(built.classes, total.tolist(), strict=True):
        requests[name] += count
    return SimulationSummary(
        files=tuple(files),
        truth=truth,
        requests=len(built.requests),
        bytes=size,
        accounts=len(built.classes),
        harvesting_accounts=sum(len(campaign.accounts) for campaign in built.campaigns),
        campaigns=len(built.campaigns),
        strategies=tuple(campaign.strategy for campaign in built.campaigns),
        accounts_by_class=dict(sorted(Counter(built.classes).items())),
        requests_by_class=dict(sorted(requests.items())),
    )
