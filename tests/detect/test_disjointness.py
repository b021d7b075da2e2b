"""Duplicates inside a group."""

import numpy as np
import pytest

from pipelines.detect.accounts import view
from pipelines.detect.disjointness import overlap
from tests.detect.worlds import rows_of, with_prompts


def accounts(*hashes: list[int], length: int = 100, repeats: int = 1):  # type: ignore[no-untyped-def]
    described = []
    for number, own in enumerate(hashes):
        columns = with_prompts([1] * len(own), lengths=length, repeats=repeats)
        described.append({"account_id": f"a{number}", **columns, "prompt_hashes": sorted(own)})
    return view(rows_of(*described), 1024)


def test_disjoint_accounts_have_no_duplicates() -> None:
    seen = overlap(accounts([1, 2, 3], [4, 5, 6]), np.array([0, 1]))
    assert (seen.distinct, seen.duplicated, seen.repeated) == (6, 0.0, 0.0)
    assert np.isinf(seen.list_size)


def test_a_shared_prompt_counts_for_both() -> None:
    seen = overlap(accounts([1, 2, 3, 4], [4, 5, 6, 7]), np.array([0, 1]))
    assert seen.duplicated == pytest.approx(2 / 8)
    assert seen.list_size == pytest.approx(16.0)


def test_prompts_of_others_and_short_prompts_do_not_count() -> None:
    assert overlap(accounts([1], [1], [2]), np.array([0, 2])).duplicated == 0
    assert overlap(accounts([1], [1], length=10), np.array([0, 1])).distinct == 0


def test_repeats_of_one_account_are_told_from_duplicates() -> None:
    seen = overlap(accounts([1, 2], [3, 4], repeats=2), np.array([0, 1]))
    assert (seen.duplicated, seen.repeated) == (0.0, 1.0)


@pytest.mark.parametrize(("askers", "counts"), [(20, True), (21, False)])
def test_what_very_many_accounts_ask_tells_nothing_of_any(askers: int, counts: bool) -> None:
    seen = accounts(*([1, 1000 + number] for number in range(askers)), [2])
    assert (overlap(seen, np.arange(askers)).duplicated > 0) is counts
    assert seen.prompts.tolist().count(2.0 if counts else 1.0) == (askers if counts else askers + 1)
