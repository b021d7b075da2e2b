"""A whole world: who is in it, what they ask, the log and the truth. `simulate` is the way in.

Belongs here: how the accounts of each kind are put together, and the checks of the arguments. What each kind
does is in people, look_alikes and campaigns; how many there are of each is in plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from pipelines.errors import UsageError
from pipelines.simulate.blocks import block_seed, block_sizes
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
from pipelines.simulate.retries import with_retries
from pipelines.simulate.tempo import Calendar
from pipelines.simulate.truth import PlantedCampaign, account_truths, truth_of, write_truth
from pipelines.simulate.write import Compression, check_compression, write_lines

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

    @classmethod
    def empty(cls, truth: Path, plans: Sequence[CampaignPlan]) -> SimulationSummary:
        """Nothing written yet."""
        strategies = tuple(plan.strategy for plan in plans)
        return cls((), truth, 0, 0, 0, sum(plan.accounts for plan in plans), len(plans), strategies, {}, {})

    def plus(self, built: BuiltWorld, files: Sequence[Path], size: int) -> SimulationSummary:
        """With one more block, of `size` bytes."""
        total: npt.NDArray[np.int64] = np.bincount(built.requests.account, minlength=len(built.classes))
        accounts = Counter(self.accounts_by_class)
        requests = Counter(self.requests_by_class)
        accounts.update(built.classes)
        for name, count in zip(built.classes, total.tolist(), strict=True):
            requests[name] += count
        return replace(
            self,
            files=(*self.files, *files),
            requests=self.requests + len(built.requests),
            bytes=self.bytes + size,
            accounts=self.accounts + len(built.classes),
            accounts_by_class=dict(sorted(accounts.items())),
            requests_by_class=dict(sorted(requests.items())),
        )

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
    interests: npt.NDArray[np.float64]
    """how popular each topic is with its people"""


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
    retries: float = 0.0,
    like: BuiltWorld | None = None,
) -> BuiltWorld:
    """All traffic of a world, or of a block of one, in memory (about 60 bytes per request).

    like: the first block, whose people this one's are like: the same interests, the same providers' networks.
    """
    calendar = Calendar.of(start, days)
    builtin = GrammarPrompts().system_prompts
    # A folder that brings hardly any system prompts gets the built-in ones besides.
    own = (
        source.system_prompts
        if len(source.system_prompts) >= 40
        else [*source.system_prompts, *builtin[POPULAR_SYSTEMS:]]
    )
    systems = [*builtin[:POPULAR_SYSTEMS], *own]
    networks = seed if like is None else like.seed
    identities = draw_identities(accounts, calendar, networks, stream(seed, "identities"))
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
    interests = topic_weights(source, rng) if like is None else like.interests
    pieces.append(people_traffic(world, people, volumes, interests, rng))
    requests = concatenate(pieces)
    outside = calendar.inside(requests.time)  # a conversation that begins before midnight of the last day
    created = identities.created[requests.account]
    requests = replace(requests, time=np.maximum(outside, np.minimum(created, calendar.end - 1)))
    if retries > 0:
        requests = with_retries(requests, retries, calendar.end, stream(seed, "retries"))
    return BuiltWorld(world, in_time_order(requests), classes, planted, seed, interests)


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
    background: float = 1.0,
    retries: float = 0.0,
    progress: Progress | None = None,
) -> SimulationSummary:
    """Writes the log (`requests*.ndjson`) and the truth (`truth.json`) of one world into the folder `out`.

    The same arguments give the same bytes.

    strategies: names, each with an optional number of accounts and of list prompts per account
        ("personal_cover_80:60:25-45"), or "none"; empty means as many different ones as the base rate allows.
    requests_per_account: mean for ordinary people.
    shared_infrastructure: share of the campaigns (0..1) that are careless with payment or network.
    omit: optional fields that the log leaves out.
    background: how many times the ordinary accounts of the world there are; the campaigns stay as they are.
    retries: share of throttled and failed calls that the client sends again.
    Beyond 50,000 accounts the world is built and written in blocks, each with a file (or days) of its own.

    Raises UsageError when a value is out of range, a strategy or field unknown, or the corpora do not serve.
    """
    kind = check_compression(compression)
    _check(days, start, requests_per_account, shared_infrastructure, retries, omit)
    plans = plan_campaigns(strategies, accounts, base_rate, stream(seed, "plan"))
    source: PromptSource = CorpusPrompts(corpora, seed) if corpora is not None else GrammarPrompts()
    harvesting = sum(plan.accounts for plan in plans)
    sizes = block_sizes(accounts, harvesting, background)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The output folder {out} cannot be made ({error.strerror}); choose another."
        ) from error
    description = {
        "accounts": sum(sizes), "days": days, "seed": seed, "base_rate": base_rate, "start": start.isoformat(),
        "strategies": [plan.strategy for plan in plans],
        "corpora": "built-in" if corpora is None else corpora.name,
        "requests_per_account": requests_per_account, "shared_infrastructure": shared_infrastructure,
        "background": background, "retries": retries,
    }  # fmt: skip
    summary = SimulationSummary.empty(out / "truth.json", plans)
    first: BuiltWorld | None = None
    head: dict[str, Any] = {}
    lines: list[bytes] = []
    for block, size in enumerate(sizes):
        built = build_world(
            source, accounts=size, days=days, seed=block_seed(seed, block), plans=() if block else plans,
            start=start, requests_per_account=requests_per_account, shared_infrastructure=shared_infrastructure,
            retries=retries, like=first,
        )  # fmt: skip
        files, written = _write(built, out, kind, by_day, block, frozenset(omit), summary.requests, progress)
        if first is None:
            head = truth_of(description, built.campaigns, built.requests, built.world.calendar)
            # Of the first block, only what others are built like.
            first = replace(built, requests=concatenate([]), classes=[], campaigns=[])
        ids = account_ids(size, built.seed)
        lines += map(orjson.dumps, account_truths(ids, built.classes, built.campaigns, built.requests))
        summary = summary.plus(built, files, written)
    write_truth(out / "truth.json", head, lines)
    return summary


def _write(
    built: BuiltWorld,
    out: Path,
    kind: Compression,
    by_day: bool,
    block: int,
    omit: frozenset[str],
    before: int,
    progress: Progress | None,
) -> tuple[list[Path], int]:
    """Files and bytes of a block; `before` requests of other blocks are written already."""

    def chunks() -> Iterator[tuple[npt.NDArray[np.int64], list[bytes]]]:
        done = 0
        for times, lines in Renderer(built.world, built.seed, omit).lines(built.requests):
            yield times, lines
            done += len(lines)
            if progress is not None:
                progress("requests", before + done, before + len(built.requests))

    return write_lines(out, chunks(), kind, by_day, block)


def _check(
    days: int,
    start: datetime,
    requests_per_account: float,
    shared_infrastructure: float,
    retries: float,
    omit: Sequence[str],
) -> None:
    if not 1 <= days <= 366:
        raise UsageError(f"A world of {days} days is out of range; use 1 to 366.")
    if start.tzinfo is None:
        raise UsageError(f"The start {start.isoformat()} has no time zone; add one, for example +00:00.")
    if not 3 <= requests_per_account <= 500:
        raise UsageError(f"{requests_per_account} requests per account is out of range; use 3 to 500.")
    if not 0 <= shared_infrastructure <= 1:
        raise UsageError(f"A shared infrastructure of {shared_infrastructure} is out of range; use 0 to 1.")
    if not 0 <= retries <= 1:
        raise UsageError(f"A share of retries of {retries} is out of range; use 0 to 1.")
    unknown = sorted(set(omit) - set(FIELDS) | set(omit) & set(REQUIRED))
    if unknown:
        optional = ", ".join(name for name in FIELDS if name not in REQUIRED)
        raise UsageError(f"The field '{unknown[0]}' cannot be left out; choose among {optional}.")
