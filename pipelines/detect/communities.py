"""Communities of the same-source graph, cut until each is homogeneous (METHOD 3.2).

Belongs here: which links are searched, phi, the cut in two. Not here: the search (`leiden`), whether a community
harvests (`campaigns`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from pipelines.detect.leiden import labels
from pipelines.detect.same_source import Links, Vectors

PHI_LIMIT: Final = 1.15
MOST_LINKS: Final = 1_500_000
LINKS_PER_ACCOUNT: Final = 20
"""Of more links than MOST_LINKS, the strongest, so many for each account, are searched by themselves too: among many
accounts some campaigns stand out by strong links, others by many weak ones."""
_LLOYD_STEPS: Final = 12
_DEEPEST: Final = 24


@dataclass(frozen=True)
class Community:
    """members: int64[k] account rows, ascending. parent: place of the community it was cut from, -1 for none."""

    members: NDArray[np.int64]
    parent: int


def leiden(
    links: Links, resolutions: Sequence[float], seed: int, smallest: int = 3
) -> list[NDArray[np.int64]]:
    """Communities under the constant Potts model (Traag et al. 2011), for several resolutions: inside, more than that
    share of all pairs is linked; outside, less. Of very many links, those among the strongest first. By resolution,
    ordered by their first member."""
    if len(links.a) == 0:
        return []
    strong = strongest(links)
    every: list[NDArray[np.int64]] = []
    for some in [links] if strong is links else [strong, links]:
        every += _communities(some, resolutions, seed, smallest)
    return every


def _communities(
    links: Links, resolutions: Sequence[float], seed: int, smallest: int
) -> Iterator[NDArray[np.int64]]:
    used, number = _linked(links)
    for label in labels(number[links.a], number[links.b], resolutions, seed):
        order = np.argsort(label, kind="stable")
        bounds = np.flatnonzero(np.diff(label[order])) + 1
        groups = [used[np.sort(part)] for part in np.split(order, bounds) if len(part) >= smallest]
        yield from sorted(groups, key=lambda group: int(group[0]))


def _linked(links: Links) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(accounts with a link, ascending; the place of each account among them, int32)."""
    has = np.zeros(int(max(links.a.max(), links.b.max())) + 1, dtype=np.bool_)
    has[links.a] = has[links.b] = True
    return np.flatnonzero(has), np.cumsum(has, dtype=np.int32) - 1


def strongest(links: Links, most: int = MOST_LINKS) -> Links:
    """All links, or of more than `most` the strongest (ties with the last one are kept)."""
    if len(links.a) <= most:
        return links
    count = max(most, LINKS_PER_ACCOUNT * len(_linked(links)[0]))
    if len(links.a) <= count:
        return links
    kept = links.weight >= np.partition(links.weight, len(links.a) - count)[len(links.a) - count]
    return Links(links.a[kept], links.b[kept], links.weight[kept], links.d2[kept])


def phi(v: Vectors) -> float:
    """Scatter of the members' means over what sampling noise makes of it: 1 for one list."""
    k = len(v.n)
    if k < 2:
        return 1.0
    centre = (v.n @ v.mean) / v.n.sum()
    scatter = float(v.n @ ((v.mean - centre) ** 2).sum(axis=1))
    return scatter / max(float(v.trace.sum()) * (k - 1) / k, 1e-12)


def _leading(rows: NDArray[np.float64], count: int = 3) -> NDArray[np.float64]:
    """The leading right singular directions of rows float64[k, d], not of unit length, by the smaller of the two
    products; float64[at most count, d]."""
    few = min(rows.shape)
    by_rows = len(rows) == few
    product = rows @ rows.T if by_rows else rows.T @ rows
    _, axes = eigh(product, subset_by_index=[max(few - count, 0), few - 1], check_finite=False, driver="evx")
    leading = axes.T[::-1]
    return np.asarray(leading @ rows if by_rows else leading)


def split(v: Vectors) -> NDArray[np.bool_]:
    """Two means weighted by n, the better of several starts: along the leading principal directions of the means
    weighted by their precision. True for the side of the later half."""
    weight = v.n / v.n.sum()
    centred = v.mean - weight @ v.mean
    directions = _leading(np.sqrt(weight)[:, None] * centred)
    best, best_loss = np.zeros(len(v.n), dtype=bool), np.inf
    for direction in directions:
        along = centred @ direction
        side = along > 0
        for _ in range(_LLOYD_STEPS):
            if side.all() or not side.any():
                break
            low = weight[~side] @ centred[~side] / weight[~side].sum()
            high = weight[side] @ centred[side] / weight[side].sum()
            moved = ((centred - high) ** 2).sum(axis=1) < ((centred - low) ** 2).sum(axis=1)
            if bool((moved == side).all()):
                break
            side = moved
        if side.all() or not side.any():
            continue
        loss = sum(
            float(
                weight[part]
                @ ((centred[part] - weight[part] @ centred[part] / weight[part].sum()) ** 2).sum(axis=1)
            )
            for part in (side, ~side)
        )
        if loss < best_loss - 1e-12:
            best, best_loss = side, loss
    return best


def cut(
    v: Vectors, groups: Sequence[NDArray[np.int64]], limit: float = PHI_LIMIT, smallest: int = 3
) -> list[Community]:
    """The groups and all that they are cut into, parents before children; what is below `limit` is not cut further."""
    found: list[Community] = []
    waiting = [(group, -1, 0) for group in reversed(groups)]
    while waiting:
        members, parent, depth = waiting.pop()
        place = len(found)
        found.append(Community(members, parent))
        inside = v.take(members)
        if depth >= _DEEPEST or phi(inside) <= limit:
            continue
        side = split(inside)
        for part in (members[side], members[~side]):
            if smallest <= len(part) < len(members):
                waiting.append((part, place, depth + 1))
    return found
