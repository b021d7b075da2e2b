"""Who belongs to a list: every account held against the list that a seed group shares (METHOD 3.3).

Pairs are noisy; a list pooled over a group is known well, so an account is judged by its own noise only.

Belongs here: measures of an account against a group, the weights that turn them into log-odds, growth of a seed. Not
here: whether the group is a campaign (`campaigns`).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.candidates import SameSource
from pipelines.detect.list_model import fit_list, ratios_to

HEAVIEST: Final = 60.0
"""Prompts above which a member weighs no more in the group's centre."""
_Z_CLIP: Final = 8.0
FAMILIES: Final = ("tempo", "coverage", "diversity", "systematicity", "elicitation", "linkage")
WEIGHTS: Final = (
    0.044, 1.508, 2.029,
    0.572, -0.181, 0.107, -0.126, -0.071, -0.143, -0.115, -0.080,
    2.215, 0.789, 1.005,
    1.857, 0.0, 0.0, 1.369, 0.0, 0.0,
)  # fmt: skip
"""Log-odds per unit of every column of `log_odds`: logistic regression over the accounts of simulated worlds (dev
seeds) against the lists planted in them. Families whose sign made no sense there count for nothing."""
INTERCEPT: Final = -9.766


def against(same: SameSource, members: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Measures of `rows` against the list of `members`: float64[rows, 3 + 2 x views].

    Columns: log likelihood ratio (nats), its logarithm, share of list prompts, then for every view D2 to the group's
    centre over the population's median, and D2 over its standard error (clipped). A member is taken out of list and
    centre before it is measured.
    """
    accounts = same.accounts
    fitted = fit_list(accounts.histogram, same.urn, members)
    ratio, share = ratios_to(accounts.histogram, same.urn, rows, fitted.cells)
    place = np.searchsorted(members, rows)
    place = np.minimum(place, len(members) - 1)
    inside = members[place] == rows
    ratio[inside], share[inside] = fitted.ratio[place[inside]], fitted.share[place[inside]]
    columns = [ratio, np.log1p(np.maximum(ratio, 0)), share]
    for graph in same.graphs:
        v = graph.vectors
        weight = np.minimum(v.n[members], HEAVIEST)
        total = weight @ v.mean[members]
        centre = total / max(weight.sum(), 1e-9)
        apart = ((v.mean[rows] - centre) ** 2).sum(axis=1)
        own = members[place[inside]]
        mine = np.minimum(v.n[own], HEAVIEST)[:, None]
        apart[inside] = (
            (v.mean[own] - (total - mine * v.mean[own]) / np.maximum(weight.sum() - mine, 1e-9)) ** 2
        ).sum(axis=1)
        spread = float(np.sqrt(np.mean(v.spread[members] ** 2)))
        d2 = apart - v.trace[rows] / np.maximum(v.n[rows], 1)
        se = np.sqrt(2) * spread / np.maximum(v.n[rows], 1)
        columns += [
            d2 / max(float(np.median(d2)), 1e-6),
            np.clip(d2 / np.maximum(se, 1e-9), -_Z_CLIP, _Z_CLIP),
        ]
    return np.stack(columns, axis=1)


def log_odds(
    same: SameSource, members: NDArray[np.int64], rows: NDArray[np.int64], nats: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log-odds that each of `rows` belongs to the list of `members`: float64[rows].

    nats: float64[accounts, families], what each account-level family adds, in the order of FAMILIES.
    """
    accounts = same.accounts
    columns = np.column_stack(
        [
            against(same, members, rows),
            np.log(1 - np.minimum(accounts.repeats[rows], 0.9)),
            np.log(accounts.first_turns[rows] + 0.05),
            np.log(np.maximum(accounts.prompts[rows], 1)),
            nats[rows],
        ]
    )
    odds: NDArray[np.float64] = columns @ np.array(WEIGHTS) + INTERCEPT
    return odds


def grow(
    same: SameSource,
    seed: NDArray[np.int64],
    rows: NDArray[np.int64],
    nats: NDArray[np.float64],
    steps: int = 3,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(members, log-odds of all rows) of the list that a seed grows into. rows: float64 account rows that may join.

    Each step keeps whom the log-odds favour, at most doubling the group, so that a seed cannot run away in one step.
    """
    members = seed
    odds = log_odds(same, members, rows, nats)
    for _ in range(steps):
        limit = max(2 * len(members), 10)
        order = np.argsort(-odds, kind="stable")[:limit]
        joined = np.sort(rows[order[odds[order] > 0]])
        if len(joined) < 3 or np.array_equal(joined, members):
            break
        members = joined
        odds = log_odds(same, members, rows, nats)
    return members, odds
