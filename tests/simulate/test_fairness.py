"""A generator is only fair when volume, length and topic alone find (nearly) nothing (METHOD section 8).

The worlds hold every strategy but those that are long, heavy or many-turned by nature (judging, agentic, a
single heavy account, 80 and 95 % cover). The assertion prints all figures when it fails.
"""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.corpora import CorpusPrompts
from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.plan import CampaignPlan
from pipelines.simulate.prompts import PromptSource
from pipelines.simulate.render import Renderer
from pipelines.simulate.world import BuiltWorld
from tests.simulate.conftest import make_world

NAMES = (
    "round_robin", "low_and_slow", "topic_split", "paraphrased_templates", "generic_cover_50",
    "personal_cover_50", "reasoning", "ban_and_respawn", "model_pivot", "relay", "human_seeds",
)  # fmt: skip


def figures(built: BuiltWorld, source: PromptSource) -> dict[str, float]:
    """Average precision of single measures over accounts, both directions, and the base rate."""
    requests, count = built.requests, len(built.classes)
    guilty = np.zeros(count, dtype=bool)
    for campaign in built.campaigns:
        guilty[campaign.accounts] = True
    volume = np.maximum(np.bincount(requests.account, minlength=count), 1)
    sizes = np.array([len(line) for _, chunk in Renderer(built.world, 1).lines(requests) for line in chunk])
    prompts = np.array(
        [
            len(text)
            for _, chunk in Renderer(
                built.world, 1, frozenset({"response", "system_prompt", "tool_schema"})
            ).lines(requests)
            for text in chunk
        ]
    )
    topics = source.topic_of(requests.prompt)
    shares = np.zeros((count, len(source.topics)))
    np.add.at(shares, (requests.account[topics >= 0], topics[topics >= 0]), 1)
    shares /= volume[:, None]
    harvest = np.array([topic.family == "harvest" for topic in source.topics])
    first = np.bincount(requests.account, weights=requests.turn == 0, minlength=count) / volume

    def both(score: np.ndarray) -> float:
        return max(float(average_precision_score(guilty, sign * score)) for sign in (1, -1))

    return {
        "base rate": float(guilty.mean()),
        "volume": both(volume),
        "record length": both(np.bincount(requests.account, weights=sizes, minlength=count) / volume),
        "prompt length": both(np.bincount(requests.account, weights=prompts, minlength=count) / volume),
        "best single topic": max(both(shares[:, topic]) for topic in range(shares.shape[1])),
        "largest topic share": both(shares.max(axis=1)),
        "share of the harvest family": both(shares[:, harvest].sum(axis=1)),
        "first turns": both(first),
        "account age": both(built.world.identities.created.astype(float)),
    }


def build(source: PromptSource, seed: int) -> BuiltWorld:
    plans = [CampaignPlan(name, 9, STRATEGIES[name].lot) for name in NAMES]
    return make_world(source, *plans, accounts=2_000, seed=seed, mean=45.0)


def check(found: dict[str, float]) -> None:
    base = found.pop("base rate")
    assert base == pytest.approx(0.05, abs=0.01)
    # The topic figures are the best of some forty looks (every topic, both directions), hence more room.
    topics = {name: value for name, value in found.items() if "topic" in name}
    assert all(value < 3.4 * base for value in topics.values()), found
    assert all(value < 2.4 * base for name, value in found.items() if name not in topics), found


def test_single_measures_are_near_chance_on_the_grammar(grammar: GrammarPrompts) -> None:
    check(figures(build(grammar, 1), grammar))


def test_single_measures_are_near_chance_on_real_corpora(real_corpora: Path) -> None:
    source = CorpusPrompts(real_corpora, 1)
    check(figures(build(source, 1), source))
