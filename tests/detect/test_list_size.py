"""Sizes of lists that are known, drawn and dealt."""

import numpy as np
import pytest

from pipelines.detect.accounts import view
from pipelines.detect.list_size import HASHES, ListSize, estimate, list_size
from tests.detect.worlds import rows_of, with_prompts


def drawn(rng: np.random.Generator, size: int, members: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Every member draws for itself, without replacement."""
    prompts = np.concatenate([rng.choice(size, each, replace=False) for _ in range(members)])
    return np.repeat(np.arange(members), each), prompts


def dealt(rng: np.random.Generator, size: int, members: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """One hand deals the list out: nothing recurs."""
    return np.repeat(np.arange(members), each), rng.permutation(size)[: members * each]


@pytest.mark.parametrize(
    ("size", "members", "each"), [(400, 12, 30), (2_000, 20, 35), (2_000, 60, 30), (8_000, 40, 40)]
)
def test_interval_covers_a_list_that_members_draw_from(size: int, members: int, each: int) -> None:
    rng = np.random.default_rng(size + members)
    found = [estimate(*drawn(rng, size, members, each)) for _ in range(400)]
    inside = np.mean([f.low <= size and f.high is not None and size <= f.high for f in found])
    assert inside >= 0.96, f"{inside:.3f} of the intervals hold {size}"
    told = [f.size for f in found if f.size is not None]
    assert len(told) > 0.9 * len(found)
    assert np.median(told) == pytest.approx(size, rel=0.1)
    shares = [f.share for f in found if f.size is not None]
    assert all(s is not None and low <= s <= high for s, low, high in shares)


def test_a_dealt_list_has_a_floor_and_no_estimate() -> None:
    rng = np.random.default_rng(1)
    for size in (900, 5_000, 100_000):
        found = estimate(*dealt(rng, size, 25, 36))
        assert (found.size, found.high, found.low, found.matches) == (None, None, 900.0, 0)
        assert found.share == (None, 0.0, 1.0)


def test_a_dealt_list_with_retries_stays_inside_the_interval() -> None:
    """Some prompts are asked again by another account: the interval still holds the truth."""
    rng = np.random.default_rng(2)
    held = []
    for _ in range(200):
        owner, prompts = dealt(rng, 3_000, 25, 36)
        again = rng.choice(len(prompts), 20, replace=False)
        owner = np.concatenate([owner, (owner[again] + 1 + rng.integers(0, 24, 20)) % 25])
        prompts = np.concatenate([prompts, prompts[again]])
        found = estimate(owner, prompts)
        assert found.size is None, "2 % that recur are no proof that members draw for themselves"
        held.append(found.low <= 3_000 and found.high is not None and found.high >= 3_000)
    assert all(held)


def test_a_threshold_on_hashes_scales_up_without_bias() -> None:
    rng = np.random.default_rng(3)
    size, seen, found = 3_000, 0.3, []
    for _ in range(300):
        known = rng.random(size) < seen
        owner, prompts = drawn(rng, size, 30, 120)
        keep = known[prompts]
        found.append(estimate(owner[keep], prompts[keep], seen))
    assert np.median([f.size for f in found if f.size is not None]) == pytest.approx(size, rel=0.1)
    assert np.mean([f.low <= size <= (f.high or np.inf) for f in found]) >= 0.93
    taken = size * (1 - (1 - 120 / size) ** 30)
    assert np.mean([f.taken for f in found]) == pytest.approx(taken, rel=0.03)


def test_nobody_and_nothing() -> None:
    none = np.empty(0, dtype=np.int64)
    assert estimate(none, none) == ListSize(0.0, None, 0.0, None, 0)
    assert estimate(none, none).share == (None, 0.0, 1.0)


def test_the_view_of_accounts_leaves_short_prompts_out_and_minds_full_samples() -> None:
    few = rows_of(
        {"account_id": "a", **with_prompts([1] * 40)},
        {"account_id": "b", **with_prompts([2] * 40)},
        {"account_id": "c", **with_prompts([3] * 40, lengths=9)},
    )
    found = list_size(view(few, 8), np.array([0, 1, 2]))
    assert (found.taken, found.matches) == (40.0, 40)
    step = int(HASHES // 400)
    heavy = [i * step for i in range(256)]
    cut = {
        "cells": [1], "cell_requests": [256], "requests": 400, "with_prompt": 400, "prompt_requests": [1] * 256,
        "prompt_cells": [1] * 256, "prompt_lengths": [100] * 256,
    }  # fmt: skip
    light = [i * step + 7 for i in range(0, 400, 10)]
    rows = rows_of(
        {"account_id": "a", **cut, "prompt_hashes": heavy},
        {"account_id": "b", **with_prompts([1] * 40), "prompt_hashes": light},
    )
    found = list_size(view(rows, 8), np.array([0, 1]))
    assert found.taken == pytest.approx(440, rel=0.02)
