"""The lone account: one heavy account that is broad and yet unlike people (METHOD 3.4).

Breadth alone does not show it (a gateway is as broad), volume alone neither (a batch job is as heavy).

Belongs here: the product of volume, breadth, divergence, no repeats and first turns, and what it is worth. Not here:
groups.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from pipelines.detect.accounts import Accounts
from pipelines.detect.arrays import owners_of

AT: Final = 100
"""Prompts at which breadth is compared (rarefaction)."""
_EVIDENT: Final = 2.0
_NATS_PER_UNIT: Final = 6.0
_MOST: Final = 9.0


def products(accounts: Accounts, ordinary: NDArray[np.float64]) -> NDArray[np.float64]:
    """sqrt(n) x R x KL x (1 - repeats)^2 x first turns^2, float64[accounts]; NaN below AT sampled prompts.

    n: distinct prompts (the square root, where METHOD 3.4 has the logarithm: ordinary accounts that are broad and
    unlike people are common at some hundred prompts and unknown at thousands). R: expected cells among AT prompts. KL:
    divergence from `ordinary`, the ordinary cell distribution, in nats.
    """
    out = np.full(len(accounts), np.nan)
    rows = np.flatnonzero(accounts.prompts >= AT)
    if len(rows) == 0:
        return out
    part = accounts.histogram[rows]
    owner = owners_of(part.indptr)
    total = accounts.prompts[rows][owner]
    share = part.data / total
    divergence = np.bincount(
        owner, weights=share * np.log(share / ordinary[part.indices]), minlength=len(rows)
    )
    rest = total - part.data
    absent = np.where(rest >= AT, np.exp(_log_choose(np.maximum(rest, AT)) - _log_choose(total)), 0.0)
    breadth = np.bincount(owner, weights=1 - absent, minlength=len(rows))
    out[rows] = (
        np.sqrt(accounts.distinct[rows]) * breadth * divergence
        * (1 - accounts.repeats[rows]) ** 2 * accounts.first_turns[rows] ** 2
    )  # fmt: skip
    return out


def _log_choose(n: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(AT + 1) - gammaln(n - AT + 1))


def nats(product: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a product is worth: 0 up to the 99th percentile of the accounts that have one, then in proportion to the
    logarithm of the excess; float64[accounts]."""
    known = product[~np.isnan(product)]
    if len(known) < 20:
        return np.zeros(len(product))
    usual = max(float(np.quantile(known, 0.98)), 1e-9)
    excess = np.log(np.maximum(np.nan_to_num(product, nan=0.0), 1e-9) / usual)
    return np.asarray(np.clip(_NATS_PER_UNIT * excess + _EVIDENT * (excess > 0), 0.0, _MOST))
