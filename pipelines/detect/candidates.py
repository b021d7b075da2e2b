"""Candidate groups: communities of every view, cut until homogeneous, and what is measured of each.

Belongs here: the search over views and the measures of a group. Not here: what the measures are worth (`campaigns`).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipelines.detect.accounts import Accounts
from pipelines.detect.communities import cut, leiden, phi
from pipelines.detect.disjointness import overlap
from pipelines.detect.list_model import Urn, fit_urn
from pipelines.detect.neighbours import Neighbours, linked_pairs
from pipelines.detect.same_source import (
    THREADS,
    Links,
    Vectors,
    bayes_factor,
    link,
    sampled_weights,
    usable_centroids,
    vectors,
)
from pipelines.detect.sub_traffic import VIEWS, View, capped

RESOLUTIONS: Final = (0.15, 0.4)
SMALLEST: Final = 4
_MEAN_DEGREE: Final = 400.0
_MOST_LINKS: Final = 8_000_000
"""Links per view that are aimed at, at most: memory, and the time of everything that follows."""


@dataclass(frozen=True)
class Graph:
    """One view of the accounts and the pairs linked in it. Links name account rows."""

    view: View
    vectors: Vectors
    links: Links


@dataclass(frozen=True)
class SameSource:
    """Accounts, their prompt urn and the graphs of all views, the plain one first."""

    accounts: Accounts
    urn: Urn
    graphs: tuple[Graph, ...]

    @property
    def vectors(self) -> Vectors:
        """Of the plain view."""
        return self.graphs[0].vectors

    @property
    def links(self) -> Links:
        """Of the plain view."""
        return self.graphs[0].links


@dataclass(frozen=True)
class Group:
    """A candidate. members: int64[k] account rows, ascending. graph: place of its view. measures: by name."""

    members: NDArray[np.int64]
    graph: int
    measures: dict[str, float]


def build_graph(accounts: Accounts, z: NDArray[np.float64], topics: int, view: View) -> Graph:
    """Links of one view: the threshold is the weight that a given share of random pairs exceeds."""
    v = vectors(capped(accounts.histogram, view, topics), z)
    rows = np.flatnonzero((v.n >= view.smallest) & (accounts.repeats < 0.5))
    inside = v.take(rows)
    if len(rows) < 2:
        return Graph(view, v, Links.room(0))
    factor = bayes_factor(inside, np.arange(len(rows)))
    background = min(view.background, _MEAN_DEGREE / len(rows), 2 * _MOST_LINKS / len(rows) ** 2)
    # In a small world nearly every random pair has no weight at all (-inf), between which no quantile can be drawn.
    weights = np.maximum(sampled_weights(inside, factor), -1e9)
    threshold = max(float(np.quantile(weights, 1 - background)), view.least)
    found = link(inside, factor, threshold)
    number = rows.astype(np.int32)
    return Graph(view, v, Links(number[found.a], number[found.b], found.weight, found.d2))


def same_source(accounts: Accounts, centroids: NDArray[np.float32], topics: int) -> SameSource:
    """The graphs of all views."""
    z = usable_centroids(centroids)
    # One thread for each product: those of the library would fight with ours.
    with threadpool_limits(1), ThreadPoolExecutor(THREADS) as pool:
        urn = pool.submit(fit_urn, accounts.histogram, topics)
        graphs = pool.map(lambda view: build_graph(accounts, z, topics, view), VIEWS)
        return SameSource(accounts, urn.result(), tuple(graphs))


def candidates(same: SameSource, nearby: Sequence[Neighbours]) -> list[Group]:
    """Groups of all views, each set of members once, with the measures of METHOD 3.2. nearby: of each view."""
    with ThreadPoolExecutor(THREADS) as pool:
        views = pool.map(
            lambda graph: cut(graph.vectors, leiden(graph.links, RESOLUTIONS, seed=0)), same.graphs
        )
        found: list[Group] = []
        seen: set[bytes] = set()
        for place, (graph, near, communities) in enumerate(zip(same.graphs, nearby, views, strict=True)):
            for community in communities:
                members = community.members
                if len(members) < SMALLEST or members.tobytes() in seen:
                    continue
                seen.add(members.tobytes())
                measures = habits(same.accounts, members) | repetition(same.accounts, members)
                measures["density"] = linked_pairs(near, members) / (len(members) * (len(members) - 1) / 2)
                measures["phi"] = phi(graph.vectors.take(members))
                found.append(Group(members, place, measures))
        return found


def habits(accounts: Accounts, members: NDArray[np.int64]) -> dict[str, float]:
    """What is measured of a group whatever the view, seed or grown."""
    return {
        "size": float(len(members)),
        "first_turns": float(np.average(accounts.first_turns[members], weights=accounts.requests[members])),
        "prompts": float(np.median(accounts.prompts[members])),
    }


def repetition(accounts: Accounts, members: NDArray[np.int64]) -> dict[str, float]:
    """How far the members of a seed ask again what another, or they themselves, have asked."""
    return {
        "duplicates": overlap(accounts, members).duplicated,
        "repeats": float(
            np.average(accounts.repeats[members], weights=np.maximum(accounts.prompts[members], 1))
        ),
    }
