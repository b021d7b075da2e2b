"""The attacker that knows the features: the budget is kept, and more budget leaves less suspicion."""

import numpy as np
import pytest

from pipelines.simulate.adaptive import Spending, spend
from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.grammar import GrammarPrompts
from pipelines.simulate.plan import CampaignPlan
from tests.simulate.conftest import make_world


@pytest.mark.parametrize("budget", [1.0, 1.05, 1.2, 1.5, 2.0, 4.0])
def test_the_budget_is_kept(budget: float) -> None:
    assert spend(budget).total <= budget - 1 + 1e-9


def test_more_budget_leaves_less_suspicion() -> None:
    left = [spend(budget).suspicion for budget in (1.0, 1.1, 1.2, 1.4, 2.0)]
    assert left[0] == 1.0
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.01


def test_no_single_use_of_the_budget_is_better_than_the_chosen_one() -> None:
    chosen = spend(1.3).suspicion
    for way in (
        Spending(0.3, 0, 0, 0),
        Spending(0, 0.3, 0, 0),
        Spending(0, 0, 0.3, 0),
        Spending(0, 0, 0, 0.3),
    ):
        assert chosen <= way.suspicion + 1e-9


@pytest.mark.parametrize(("strategy", "budget"), [("adaptive_120", 1.2), ("adaptive_200", 2.0)])
def test_the_price_is_paid_in_the_log(strategy: str, budget: float, grammar: GrammarPrompts) -> None:
    built = make_world(grammar, CampaignPlan(strategy, 16, STRATEGIES[strategy].lot), accounts=170)
    members = built.campaigns[0].accounts
    own = built.requests.take(np.flatnonzero(np.isin(built.requests.account, members)))
    listed = len(np.unique(own.prompt[own.harvest & (own.turn == 0)]))
    assert len(own) / listed == pytest.approx(budget, abs=0.05)
    topics = grammar.topic_of(own.prompt)
    table = np.zeros((len(built.classes), len(grammar.topics)))
    np.add.at(table, (own.account[topics >= 0], topics[topics >= 0]), 1)
    shares = table[members] / table[members].sum(axis=1, keepdims=True)
    assert np.abs(shares - shares.mean(axis=0)).sum(axis=1).mean() > 0.35  # mixtures of their own
