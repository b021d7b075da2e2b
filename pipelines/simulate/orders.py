"""What every strategy starts from: the order of a campaign, its curated list, and the hours of its accounts.

Belongs here: what strategies share. Does not belong here: any single strategy (campaigns, adaptive).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.errors import UsageError
from pipelines.simulate.people import World, draw_system_prompts, topic_weights
from pipelines.simulate.prompts import written_by_many
from pipelines.simulate.randomness import ragged
from pipelines.simulate.requests import Traffic, traffic
from pipelines.simulate.tempo import HOUR, Rhythm

Accounts = npt.NDArray[np.integer]
Codes = npt.NDArray[np.int64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Order:
    """What one campaign does: its accounts, list prompts that each buys (lowest, highest), the generator."""

    accounts: Accounts
    lot: tuple[int, int]
    rng: Rng

    def lots(self) -> npt.NDArray[np.int64]:
        """List prompts of each account."""
        return self.rng.integers(self.lot[0], self.lot[1] + 1, len(self.accounts))


def curated_list(
    world: World, count: int, rng: Rng, family: str | None = None, topics: tuple[int, int] = (3, 10)
) -> Codes:
    """A list of `count` different prompts over some topics (fewest, most), of one family or of both.

    Topics are taken as people take them, so that no topic belongs to campaigns alone.
    """
    source = world.source
    if family is None:
        family = rng.choice(["harvest", "both", "ordinary"], p=[0.3, 0.4, 0.3])
    allowed = np.array([family in ("both", topic.family) for topic in source.topics])
    if not allowed.any():
        allowed[:] = True
    popular = topic_weights(source, rng)
    popular = np.where(allowed, popular, 0.0) / popular[allowed].sum()
    number = min(int(rng.integers(topics[0], topics[1] + 1)), int((popular > 0).sum()))
    chosen = rng.choice(len(popular), number, replace=False, p=popular)
    weights = np.zeros(len(popular))
    weights[chosen] = (rng.dirichlet(np.full(number, 1.5)) + 0.02) * np.sqrt(popular[chosen])
    listed = source.curated(weights, count, rng)
    if len(listed) < count:  # the chosen topics are small: take what is missing from all that are allowed
        more = np.setdiff1d(source.curated(allowed.astype(float), 2 * count, rng), listed)
        listed = np.concatenate([listed, rng.permutation(more)[: count - len(listed)]])
    if len(listed) < count:
        raise UsageError(
            f"A campaign needs a list of {count} different prompts but the source offers {len(listed)}; "
            "use fewer or smaller campaigns, or larger corpora."
        )
    return written_by_many(listed, rng) if rng.random() < 0.4 else rng.permutation(listed)


def with_system_prompts(world: World, own: Traffic, members: Accounts, rng: Rng) -> Traffic:
    """The campaign's traffic with one system prompt (or none) per account, drawn as people have them.

    An account used by several real people (a relay) keeps theirs, and takes one of them for the list.
    """
    drawn = np.zeros(int(members.max()) + 1, dtype=np.int32)
    drawn[members] = draw_system_prompts(world, len(members), rng)
    people = np.flatnonzero(~own.harvest)
    several = np.zeros(len(drawn), dtype=bool)
    drawn[own.account[people]] = own.system[people]
    several[own.account[people[own.system[people] != drawn[own.account[people]]]]] = True
    keeps = ~own.harvest & several[own.account]
    return replace(own, system=np.where(keeps, own.system, drawn[own.account]).astype(np.int32))


def at_peoples_hours(
    world: World, accounts: Accounts, owner: npt.NDArray[np.int64], rng: Rng
) -> npt.NDArray[np.int64]:
    """Moments that follow each account's own day and night, after it was created."""
    identities, calendar = world.identities, world.calendar
    created = identities.created[accounts]
    rhythm = Rhythm.of_people(calendar, identities.zone[accounts], created, rng, regular=0.3)
    times = rhythm.moments(owner, calendar, rng)
    late = created[owner] + rng.integers(HOUR, 6 * HOUR, len(owner))
    return np.asarray(np.where(times < created[owner], late, times))


def buy(
    world: World,
    order: Order,
    *,
    family: str | None = None,
    topics: tuple[int, int] = (3, 10),
    phrases: npt.NDArray[np.int16] | None = None,
) -> Traffic:
    """Each account buys its lot, at the hours of a person, with one of `phrases` around each prompt."""
    rng, lots = order.rng, order.lots()
    codes = curated_list(world, int(lots.sum()), rng, family, topics)
    owner, _ = ragged(lots)
    wrap = (
        np.zeros(len(codes), dtype=np.int16)
        if phrases is None
        else phrases[rng.integers(0, len(phrases), len(codes))]
    )
    return traffic(
        order.accounts[owner], at_peoples_hours(world, order.accounts, owner, rng), codes,
        wrap=wrap, answer_of=codes, conversation=world.conversations.take(len(codes)) + np.arange(len(codes)),
        harvest=True,
    )  # fmt: skip
