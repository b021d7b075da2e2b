"""Signs that a group works through one list: how much of its traffic the list explains, and how evenly and how
thoroughly it was dealt out (METHOD sections 3.3 and 4).

People who share an interest also ask alike. But some ask much and some little, each has his own corner of the matter,
and what one asks another asks too. A list that one hand deals out leaves none of that: every member gets about as much
of it, the topics of every member are a draw from the whole list, and nothing in it is paid for twice.

Belongs here: these measures of a fitted list. Not here: the fit (`list_model`), what they are worth (`campaigns`).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.accounts import Accounts
from pipelines.detect.arrays import entries_of, owners_among
from pipelines.detect.list_model import ListFit, Urn

USUAL_SPREAD: Final = 0.8
"""Coefficient of variation of what members of an ordinary group ask from what they share."""
_USUAL_MEMBERS: Final = 4.0
_LEAST_SPREAD: Final = 0.15
_LEAST_EXPECTED: Final = 0.3
_LEAST_SCATTER: Final = 0.3
"""Below this the members took too little for their topics to say more."""


def list_signs(accounts: Accounts, urn: Urn, members: NDArray[np.int64], fit: ListFit) -> dict[str, float]:
    """The signs by name, for members (int64[k], ascending) and the fit of their list.

    list_share: share of all their prompts that the list explains. load_spread: coefficient of variation of the prompts
    that each took from it, drawn towards the usual one in small groups. list_prompts: what the middle member took.
    topic_scatter: chi-square of the topics of each against the list's, over what it comes to when each is dealt a
    random part of the list; more when everyone has a corner of his own. shared_prompts: share of the longer prompts of
    the list that several members asked. asked_again: share of them that a member asked more than once.
    """
    histogram = accounts.histogram
    entries = entries_of(histogram.indptr, members)
    owner = owners_among(histogram.indptr, members)
    cells = histogram.indices[entries].astype(np.int64)
    taken = histogram.data[entries] * fit.responsible
    prompts = accounts.prompts[members]
    load = np.bincount(owner, weights=taken, minlength=len(members)) * _beyond_sample(accounts, members)
    places, weight = _telling(accounts, members, owner * histogram.shape[1] + cells, fit.responsible)
    return {
        "list_share": float((fit.share * prompts).sum() / max(float(prompts.sum()), 1.0)),
        "load_spread": _load_spread(load),
        "list_prompts": float(np.median(load)),
        "topic_scatter": _topic_scatter(
            owner,
            cells // (histogram.shape[1] // urn.topics),
            histogram.data[entries].astype(np.float64),
            fit.responsible,
            len(members),
            urn.topics,
        ),
        "shared_prompts": _part(weight, _several_ask(accounts.sample.hashes[places])),
        "asked_again": _part(weight, accounts.sample.counts[places] > 1),
    }


def _beyond_sample(accounts: Accounts, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many prompts of each member stand behind one of its sample, float64[k]. Samples that are full are all of one
    size, which would make heavy accounts look evenly fed."""
    sampled = accounts.sample.offsets[members + 1] - accounts.sample.offsets[members]
    return np.asarray(np.maximum(accounts.distinct[members] / np.maximum(sampled, 1), 1.0))


def _load_spread(load: NDArray[np.float64]) -> float:
    k = len(load)
    variation = float(np.var(load)) / max(float(load.mean()), 1e-9) ** 2
    drawn = np.sqrt((k * variation + _USUAL_MEMBERS * USUAL_SPREAD**2) / (k + _USUAL_MEMBERS))
    return max(float(drawn), _LEAST_SPREAD)


def _topic_scatter(
    owner: NDArray[np.int64],
    topic: NDArray[np.int64],
    calls: NDArray[np.float64],
    responsible: NDArray[np.float64],
    k: int,
    topics: int,
) -> float:
    """Pearson's chi-square of what each of k members took from each topic, over what it comes to when every member is
    dealt a random part of the list.

    A prompt of which the list explains a share r counts r, so its count varies by r^2 p (1 - p); what a member took is
    part of the list that it is held against, which takes away its share of that (the finite population). Topics with
    next to nothing expected would make chi-square's mean depend on how the list is spread: both sides divide by the
    same bounded expectation.
    """
    taken = calls * responsible
    counts = np.bincount(owner * topics + topic, weights=taken, minlength=k * topics).reshape(k, topics)
    total = max(float(counts.sum()), 1e-9)
    load = counts.sum(axis=1, keepdims=True)
    share = counts.sum(axis=0) / total
    expected = load * share
    variance = float((taken * responsible).sum()) / total * expected * (1 - share) * (1 - load / total)
    bounded = np.maximum(expected, _LEAST_EXPECTED)
    dealt = float((variance / bounded).sum())
    return max(float(((counts - expected) ** 2 / bounded).sum()) / max(dealt, 1e-9), _LEAST_SCATTER)


def _telling(
    accounts: Accounts, members: NDArray[np.int64], keys: NDArray[np.int64], responsible: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places in the sample of the members' longer prompts that few accounts ask, and how far each comes from the list.
    keys: int64[entries], ascending: place of the member * cells + cell. responsible: of the same entries."""
    sample = accounts.sample
    places = entries_of(sample.offsets, members)
    owner = owners_among(sample.offsets, members)
    kept = sample.telling[places] & (sample.cells[places] >= 0)
    places, owner = places[kept], owner[kept]
    return places, responsible[
        np.searchsorted(keys, owner * accounts.histogram.shape[1] + sample.cells[places])
    ]


def _several_ask(prompts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which entries are prompts that occur more than once."""
    _, prompt, times = np.unique(prompts, return_inverse=True, return_counts=True)
    return np.asarray(times[prompt] > 1)


def _part(weight: NDArray[np.float64], which: NDArray[np.bool_]) -> float:
    """Share of the weight."""
    return float(weight[which].sum() / max(float(weight.sum()), 1e-9))
