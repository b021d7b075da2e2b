"""Worlds that several tests look at: built once per session, in memory, small."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.simulate.corpora import CorpusPrompts
from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.plan import CampaignPlan
from pipelines.simulate.prompts import PromptSource
from pipelines.simulate.world import BuiltWorld, build_world

START = datetime(2026, 1, 5, tzinfo=UTC)
Build = Callable[..., BuiltWorld]


def make_world(
    source: PromptSource, *plans: CampaignPlan, accounts: int = 420, seed: int = 3, mean: float = 20.0
) -> BuiltWorld:
    """A fortnight with these campaigns and every look-alike."""
    return build_world(
        source, accounts=accounts, days=14, seed=seed, plans=plans, start=START,
        requests_per_account=mean, shared_infrastructure=0.0,
    )  # fmt: skip


@pytest.fixture(scope="session")
def grammar() -> GrammarPrompts:
    return GrammarPrompts()


@pytest.fixture(scope="session")
def ordinary_world(grammar: GrammarPrompts) -> BuiltWorld:
    """No campaign at all."""
    return make_world(grammar, accounts=900)


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    """The folder of real prompts, where there is one."""
    named = os.environ.get("SCARECROW_CORPORA")
    folder = Path(named) if named else Path(__file__).parents[2] / ".." / "shared" / "corpora"
    if not (folder / "harvest").is_dir():
        pytest.skip("no real corpora: set SCARECROW_CORPORA to a folder with harvest/ and ordinary/")
    return folder


@pytest.fixture(scope="session")
def own_corpora(tmp_path_factory: pytest.TempPathFactory, grammar: GrammarPrompts) -> Path:
    """A corpora folder of another shape: other names and counts of files, some columns missing."""
    folder = tmp_path_factory.mktemp("corpora")
    rng = np.random.default_rng(5)
    weights = np.ones(len(grammar.topics))
    codes = grammar.curated(weights, 6000, rng)
    texts = [grammar.text(code) for code in codes.tolist()]
    topics = grammar.topic_of(codes)
    harvest = np.array([topic.family == "harvest" for topic in grammar.topics])[topics]
    for family, wanted in (("harvest", harvest), ("ordinary", ~harvest)):
        (folder / family).mkdir()
        rows = np.flatnonzero(wanted)
        half = len(rows) // 2
        pl.DataFrame({"prompt": [texts[i] for i in rows[:half]]}).write_parquet(
            folder / family / "plain.parquet"
        )
        talk = rows[half:]
        pl.DataFrame(
            {
                "prompt": [texts[i] for i in talk],
                "topic": [grammar.topics[topics[i]].name for i in talk],
                "conversation": [f"c{k // 4}" for k in range(len(talk))],
                "turn": [k % 4 for k in range(len(talk))],
                "user": ["u"] * len(talk),
            }
        ).write_parquet(folder / family / "talk.parquet")
    return folder


@pytest.fixture(scope="session")
def corpus(own_corpora: Path) -> CorpusPrompts:
    return CorpusPrompts(own_corpora)
