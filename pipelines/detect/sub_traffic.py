"""Sub-traffic: views of the accounts in which cover counts for less (METHOD 3.3).

An account's own interests repeat cells and topics; prompts of a list are spread over it. Capping what one cell and one
topic may contribute therefore takes cover away and leaves the list, without knowing either: in a view capped at one
prompt per cell and six per topic, accounts whose traffic is 80 % one person's own are linked in 40 to 70 % of pairs
against 2 % of ordinary pairs, where the plain histogram links them in 1 %.

Belongs here: the views. What is linked in them is searched like everything else (`same_source`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipelines.detect.arrays import owners_of


@dataclass(frozen=True)
class View:
    """per_cell, per_topic: most prompts that count (0 = no cap). smallest: prompts that an account must keep.
    background: share of ordinary pairs that may be linked. least: log Bayes factor below which no pair is linked, where
    that share is not reached by pairs with much in common."""

    name: str
    per_cell: float
    per_topic: float
    smallest: float
    background: float
    least: float


VIEWS: Final = (
    View("whole", 0, 0, 12, 0.03, 1.2),
    View("spread", 1, 0, 10, 0.03, 0.3),
    View("diffuse", 1, 6, 8, 0.015, 0.3),
    View("thin", 1, 4, 8, 0.02, 0.3),
)


def capped(histogram: csr_matrix, view: View, topics: int) -> csr_matrix:
    """The histogram (csr float64[A, cells]) under the caps of a view."""
    if view.per_cell == 0 and view.per_topic == 0:
        return histogram
    weights: NDArray[np.float64] = histogram.data
    if view.per_cell:
        weights = np.minimum(weights, view.per_cell)
    if view.per_topic:
        owner = owners_of(histogram.indptr)
        key = owner * topics + histogram.indices // (histogram.shape[1] // topics)
        total = np.bincount(key, weights=weights, minlength=histogram.shape[0] * topics)[key]
        weights = weights * np.minimum(1.0, view.per_topic / np.maximum(total, 1e-12))
    return csr_matrix((weights, histogram.indices, histogram.indptr), shape=histogram.shape)
