"""Lists told from people's own interests."""

import numpy as np
from scipy.sparse import csr_matrix

from pipelines.detect.list_model import fit_list, fit_urn, may_reach, ratios_to

CELLS, TOPICS = 1024, 32


def people(count: int, rng: np.random.Generator, prompts: int = 60) -> np.ndarray:
    out = np.zeros((count, CELLS))
    for row in out:
        cells = rng.integers(0, TOPICS, 3).repeat(4) * 32 + rng.integers(0, 32, 12)
        np.add.at(row, cells[rng.integers(0, 12, prompts)], 1)
    return out


def covered(count: int, rng: np.random.Generator, listed: int, own: int) -> np.ndarray:
    """Accounts that add prompts of one broad list to a person's own."""
    out = people(count, rng, own)
    the_list = rng.permutation(CELLS)[:300]
    for row in out:
        np.add.at(row, the_list[rng.integers(0, 300, listed)], 1)
    return out


def test_members_under_cover_stand_out_and_people_do_not() -> None:
    rng = np.random.default_rng(0)
    histogram = csr_matrix(np.concatenate([people(400, rng), covered(30, rng, 30, 90)]))
    urn = fit_urn(histogram, TOPICS)
    fitted = fit_list(histogram, urn, np.arange(400, 430))
    # Against the account's own breadth a member needs fewer nats to stand out than against a common one.
    assert np.median(fitted.ratio) > 10
    assert 0.1 <= np.median(fitted.share) <= 0.5
    others, _ = ratios_to(histogram, urn, np.arange(400), fitted.cells)
    assert np.quantile(others, 0.99) < np.quantile(fitted.ratio, 0.1)


def test_people_with_one_interest_share_no_list_beyond_it() -> None:
    rng = np.random.default_rng(1)
    histogram = csr_matrix(people(430, rng))
    fitted = fit_list(histogram, fit_urn(histogram, TOPICS), np.arange(30))
    assert np.median(fitted.ratio) < 3


def test_own_prompts_do_not_speak_for_their_own_account() -> None:
    rng = np.random.default_rng(2)
    histogram = csr_matrix(people(200, rng))
    urn = fit_urn(histogram, TOPICS)
    fitted = fit_list(histogram, urn, np.array([7]))
    assert fitted.ratio[0] <= 3


def test_whoever_reaches_a_ratio_may_reach_it_and_most_others_may_not() -> None:
    rng = np.random.default_rng(3)
    histogram = csr_matrix(np.concatenate([people(400, rng), covered(60, rng, 30, 90)]))
    urn = fit_urn(histogram, TOPICS)
    cells = fit_list(histogram, urn, np.arange(400, 430)).cells
    rows = np.arange(460)
    ratio, _ = ratios_to(histogram, urn, rows, cells)
    for least in (-5.0, 0.0, 2.0, float(np.quantile(ratio, 0.9))):
        may = may_reach(histogram, urn, rows, cells, np.full(460, least))
        assert may[ratio >= least].all()
    assert may_reach(histogram, urn, rows, cells, np.full(460, 2.0))[ratio < 2].mean() < 0.3
    assert not may_reach(histogram, urn, rows, cells, np.full(460, np.inf)).any()
