"""How accounts look from outside: organisation, keys, plan, age, networks, clients, models, settings.

Everything is drawn for all accounts of a world from one population, whatever they will do; a campaign that
takes no care of its infrastructure, or a company, then shares some of it (`share`). Ids are hashes of the
seed and the account's number, so nothing in them tells one kind of account from another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.simulate.randomness import mix, zipf_weights
from pipelines.simulate.tempo import DAY, Calendar

MODELS = ("atlas-2-large", "atlas-2-small", "atlas-2-mini", "atlas-embed-chat", "atlas-3-large")
NEW_MODEL = 4
ENDPOINTS = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions")
PLANS = ("pay_as_you_go", "free", "team", "scale", "enterprise")
USER_AGENTS = (
    "openai-python/1.99.2", "openai-python/1.97.0", "anthropic-sdk-python/0.62.0", "openai-node/5.12.1",
    "python-requests/2.32.4", "axios/1.11.0", "openai-python/1.93.0", "okhttp/4.12.0", "LangChain/0.3.27",
    "curl/8.7.1", "python-httpx/0.28.1", "openai-node/5.10.2", "Go-http-client/2.0", "litellm/1.74.9",
    "aiohttp/3.12.15", "node-fetch/3.3.2", "llama-index/0.13.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "openai-dotnet/2.3.0", "openai-java/3.1.0",
    "PostmanRuntime/7.44.1",
    "dify/1.7.0", "n8n/1.105.0", "vscode-agent/0.48.2", "reqwest/0.12.22",
)  # fmt: skip
MAX_TOKENS = (256, 512, 1024, 2048, 4096, 8192)
ZONES = np.array([-8, -7, -6, -5, -3, 0, 1, 2, 3, 5.5, 7, 8, 9, 10], dtype=np.float32)
_ZONE_WEIGHTS = np.array([9, 3, 6, 12, 6, 8, 12, 6, 4, 10, 4, 12, 6, 2], dtype=float)


@dataclass
class Identities:
    """Columns over all accounts of a world, changed in place while populations are set up."""

    org: npt.NDArray[np.int64]
    payment: npt.NDArray[np.int64]
    plan: npt.NDArray[np.int8]
    created: npt.NDArray[np.int64]
    zone: npt.NDArray[np.float32]
    networks: npt.NDArray[np.uint32]
    """u32[n, 3] IPv4 addresses: the usual one, the second, the rare one"""
    agents: npt.NDArray[np.int8]
    """i8[n, 2]"""
    fingerprint: npt.NDArray[np.int32]
    keys: npt.NDArray[np.int8]
    """number of API keys in use, 1 to 3"""
    model: npt.NDArray[np.int8]
    adopts: npt.NDArray[np.int64]
    """when the account moves to the new model; the largest int64 for never"""
    endpoint: npt.NDArray[np.int8]
    temperature: npt.NDArray[np.float32]
    """NaN where the client does not send it"""
    max_tokens: npt.NDArray[np.int32]
    """0 where the client does not send it"""
    sends_conversation: npt.NDArray[np.bool_]

    def share(
        self,
        members: npt.NDArray[np.integer],
        rng: np.random.Generator,
        *,
        org: bool = True,
        payment: bool = True,
        network: bool = True,
        client: bool = True,
    ) -> None:
        """Makes `members` one customer in the named respects (a company, a class, a careless campaign)."""
        first = members[0]
        if org:
            self.org[members] = self.org[first]
            self.plan[members] = rng.integers(2, len(PLANS))
        if payment:
            self.payment[members] = self.payment[first]
        if network:
            base = self.networks[first, 0] & np.uint32(0xFFFFFF00)
            self.networks[members, 0] = base + rng.integers(1, 5, len(members)).astype(np.uint32)
            self.networks[members, 1] = self.networks[members, 0]
            self.zone[members] = self.zone[first]
        if client:
            self.agents[members] = self.agents[first]
            self.fingerprint[members] = self.fingerprint[first]
            self.endpoint[members] = self.endpoint[first]

    def drop_conversations(self, members: npt.NDArray[np.integer]) -> None:
        """These accounts never send a conversation id (jobs and back ends)."""
        self.sends_conversation[members] = False


def draw_identities(count: int, calendar: Calendar, seed: int, rng: np.random.Generator) -> Identities:
    """Identities of `count` accounts, all from one population."""
    number = np.arange(count, dtype=np.int64)
    age = rng.exponential(260, count) * DAY
    fresh = rng.random(count) < 0.15  # signed up during the span
    created = np.where(
        fresh, calendar.start + rng.random(count) * calendar.days * 0.7 * DAY, calendar.start - age
    ).astype(np.int64)
    agent = rng.choice(len(USER_AGENTS), (count, 2), p=zipf_weights(len(USER_AGENTS), 0.8)).astype(np.int8)
    agent[:, 1] = np.where(rng.random(count) < 0.7, agent[:, 0], agent[:, 1])
    adopts = calendar.release + (rng.exponential(4.0, count) * DAY).astype(np.int64)
    adopts[rng.random(count) < 0.3] = np.iinfo(np.int64).max
    temperature = rng.choice(np.array([np.nan, 0.0, 0.2, 0.7, 1.0]), count, p=[0.4, 0.2, 0.1, 0.2, 0.1])
    return Identities(
        org=number.copy(),
        payment=number.copy(),
        plan=rng.choice(len(PLANS), count, p=[0.55, 0.15, 0.18, 0.08, 0.04]).astype(np.int8),
        created=created,
        zone=rng.choice(ZONES, count, p=_ZONE_WEIGHTS / _ZONE_WEIGHTS.sum()).astype(np.float32),
        networks=_networks(count, seed, rng),
        agents=agent,
        fingerprint=(agent[:, 0].astype(np.int32) * 4 + rng.integers(0, 4, count)).astype(np.int32),
        keys=rng.choice(np.array([1, 2, 3], dtype=np.int8), count, p=[0.75, 0.18, 0.07]),
        model=rng.choice(NEW_MODEL, count, p=[0.45, 0.35, 0.17, 0.03]).astype(np.int8),
        adopts=adopts,
        endpoint=rng.choice(len(ENDPOINTS), count, p=[0.55, 0.25, 0.15, 0.05]).astype(np.int8),
        temperature=temperature.astype(np.float32),
        max_tokens=np.where(rng.random(count) < 0.45, 0, rng.choice(np.array(MAX_TOKENS), count)).astype(
            np.int32
        ),
        sends_conversation=rng.random(count) < 0.75,
    )


def _networks(count: int, seed: int, rng: np.random.Generator) -> npt.NDArray[np.uint32]:
    """Three addresses each: homes in providers' ranges, some behind popular VPN exits and carrier NAT."""
    ranges = (mix(np.arange(600), seed) >> np.uint64(40)).astype(np.uint32)  # 24-bit prefixes of providers
    ranges = np.uint32(0x0B000000) + ranges % np.uint32(0x70000000 >> 8) * np.uint32(256)
    weights = zipf_weights(600, 0.6)
    provider = rng.choice(600, (count, 3), p=weights)
    home = ranges[provider] + rng.integers(0, 1 << 18, (count, 3)).astype(np.uint32)
    exits = ranges[:60] + rng.integers(1, 255, 60).astype(np.uint32)
    shared = exits[rng.choice(60, (count, 3), p=zipf_weights(60, 1.0))]
    behind = rng.random((count, 3)) < np.array([0.12, 0.2, 0.5])
    return np.where(behind, shared, home)
