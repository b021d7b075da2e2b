"""A list that one hand deals out, told from what people share."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipelines.detect.accounts import Accounts, view
from pipelines.detect.list_model import fit_list, fit_urn
from pipelines.detect.list_signs import list_signs
from schemas.account_hour import PROMPT_SAMPLE
from tests.detect.worlds import rows_of, with_prompts

CELLS, TOPICS = 1024, 32
PEOPLE = 150


def accounts_of(prompts: Sequence[np.ndarray], hashes: Sequence[np.ndarray] | None = None) -> Accounts:
    """One account for each array of cells; every prompt is another one unless hashes say which."""
    described, asked = [], 0
    for number, cells in enumerate(prompts):
        own = hashes[number] if hashes else np.arange(asked, asked + len(cells))
        asked += len(cells)
        order = np.argsort(own)
        columns = with_prompts(cells[order].tolist())
        described.append({"account_id": f"a{number:04}", **columns, "prompt_hashes": own[order].tolist()})
    return view(rows_of(*described), CELLS)


def people(rng: np.random.Generator) -> list[np.ndarray]:
    """Accounts with interests in three topics each."""
    return [
        (rng.permutation(TOPICS)[:3] * 32)[rng.integers(0, 3, 40)] + rng.integers(0, 32, 40)
        for _ in range(PEOPLE)
    ]


def signs(accounts: Accounts, members: int) -> dict[str, float]:
    rows = np.arange(members)
    urn = fit_urn(accounts.histogram, TOPICS)
    return list_signs(accounts, urn, rows, fit_list(accounts.histogram, urn, rows))


def dealt(rng: np.random.Generator, sizes: Sequence[int], leaning: float | None = None) -> list[np.ndarray]:
    """A broad list dealt out; with a leaning, each account prefers some of its topics, the more the smaller it is."""
    cells = np.sort(rng.permutation(CELLS)[:160])
    parts = []
    for size in sizes:
        weight = (
            np.ones(160) if leaning is None else rng.gamma(leaning, 1, TOPICS)[cells // (CELLS // TOPICS)]
        )
        parts.append(rng.choice(cells, size, p=weight / weight.sum()))
    return parts


def test_a_list_dealt_evenly_shows_all_its_signs() -> None:
    rng = np.random.default_rng(0)
    found = signs(accounts_of(dealt(rng, [40] * 20) + people(rng)), 20)
    assert found["list_share"] > 0.85
    assert found["topic_scatter"] == pytest.approx(1.0, abs=0.15)
    assert found["load_spread"] < 0.4
    assert found["shared_prompts"] == 0.0


def test_cover_is_not_counted_as_load() -> None:
    """Members whose own prompts differ in number by ten times took equal shares of the list."""
    rng = np.random.default_rng(1)
    own = people(rng)
    covered = [
        np.concatenate([part, own[i][: 4 + 4 * (i % 10)]]) for i, part in enumerate(dealt(rng, [40] * 20))
    ]
    found = signs(accounts_of(covered + own[20:]), 20)
    assert found["load_spread"] < 0.45
    assert 0.5 < found["list_share"] < 0.9


def test_uneven_loads_and_leanings_are_seen() -> None:
    rng = np.random.default_rng(2)
    uneven = signs(accounts_of(dealt(rng, [10, 20, 40, 160] * 5) + people(rng)), 20)
    assert uneven["load_spread"] > 0.7
    leaning = signs(accounts_of(dealt(rng, [40] * 20, leaning=0.7) + people(rng)), 20)
    assert leaning["topic_scatter"] > 1.4


def test_scatter_does_not_hang_on_how_much_each_took() -> None:
    """Most topics have next to nothing expected when a broad list is dealt out in small parts."""
    rng = np.random.default_rng(5)
    few = signs(accounts_of(dealt(rng, [12] * 30) + people(rng)), 30)
    assert few["topic_scatter"] == pytest.approx(1.0, abs=0.15)
    leaning = signs(accounts_of(dealt(rng, [12] * 30, leaning=0.5) + people(rng)), 30)
    assert leaning["topic_scatter"] > few["topic_scatter"] + 0.1


def test_prompts_of_the_list_that_several_asked_are_counted() -> None:
    rng = np.random.default_rng(3)
    exercises = rng.permutation(CELLS)[:60]
    picks = [rng.permutation(60)[:30] for _ in range(20)]
    own = people(rng)
    hashes = [np.sort(pick) for pick in picks]
    others = [np.arange(1000 + 40 * i, 1040 + 40 * i) for i in range(len(own))]
    found = signs(accounts_of([exercises[h] for h in hashes] + own, hashes + others), 20)
    assert found["shared_prompts"] > 0.99


def test_small_groups_are_drawn_towards_the_usual_spread() -> None:
    rng = np.random.default_rng(4)
    small = signs(accounts_of(dealt(rng, [40] * 4) + people(rng)), 4)
    large = signs(accounts_of(dealt(rng, [40] * 40) + people(rng)), 40)
    assert large["load_spread"] < small["load_spread"] < 0.8


def test_full_samples_do_not_look_evenly_fed() -> None:
    """Accounts that ask far more than a sample holds took as unequally as they asked."""
    rng = np.random.default_rng(5)
    accounts = accounts_of(dealt(rng, [PROMPT_SAMPLE] * 20) + people(rng))
    asked = accounts.distinct.copy()
    asked[:20] = np.geomspace(300, 6_000, 20)
    assert signs(replace(accounts, distinct=asked), 20)["load_spread"] > 0.7
    assert signs(accounts, 20)["load_spread"] < 0.4
