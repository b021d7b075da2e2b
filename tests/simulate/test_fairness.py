"""A generator is only fair when volume, length and topic alone find (nearly) nothing (METHOD section 8).

The worlds hold every strategy but those that are long, heavy or many-turned by nature (judging, agentic, a
single heavy account, 80 and 95 % cover). The assertion prints all figures when it fails.
"""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

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
        "no system prompt": both(
            np.bincount(requests.account, requests.system < 0, minlength=count) / volume
        ),
        "account age": both(built.world.identities.created.astype(float)),
    }


def metadata_average_precision(built: BuiltWorld) -> tuple[float, float]:
    """Of a forest that is taught the truth from metadata alone (cross-validated), and the base rate."""
    identities, requests, count = built.world.identities, built.requests, len(built.classes)
    guilty = np.zeros(count, dtype=bool)
    for campaign in built.campaigns:
        guilty[campaign.accounts] = True
    volume = np.maximum(np.bincount(requests.account, minlength=count), 1)
    shared = np.unique(identities.networks[:, 0], return_inverse=True, return_counts=True)
    bare = np.bincount(requests.account, requests.system < 0, minlength=count) / volume
    features = np.column_stack(
        [
            identities.plan, identities.created, identities.zone, identities.agents, identities.fingerprint,
            identities.keys, identities.model, np.minimum(identities.adopts, 2**60), identities.endpoint,
            np.nan_to_num(identities.temperature, nan=-1.0), identities.max_tokens,
            identities.sends_conversation, shared[2][shared[1]], bare,
            np.bincount(requests.account, requests.tools >= 0, minlength=count) / volume,
        ]
    ).astype(float)  # fmt: skip
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0, n_jobs=1)
    guess = cross_val_predict(forest, features, guilty, cv=folds, method="predict_proba")[:, 1]
    return float(average_precision_score(guilty, guess)), float(guilty.mean())


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


def test_even_a_taught_forest_learns_little_from_metadata(grammar: GrammarPrompts) -> None:
    # Left out: strategies whose metadata tells by design (fresh accounts after a ban, the move to a new model).
    names = [name for name in NAMES if name not in ("ban_and_respawn", "model_pivot")]
    plans = [CampaignPlan(name, 11, STRATEGIES[name].lot) for name in names]
    found, base = metadata_average_precision(make_world(grammar, *plans, accounts=2_000, seed=1))
    assert base == pytest.approx(0.05, abs=0.01)
    assert found < 2.4 * base, found


def test_single_measures_are_near_chance_on_real_corpora(real_corpora: Path) -> None:
    source = CorpusPrompts(real_corpora, 1)
    check(figures(build(source, 1), source))
