"""Leiden (Traag et al. 2019) by igraph, here or in a process beside this one.

igraph keeps the interpreter lock while it searches, so threads cannot search two graphs at once; processes can, and
give the same communities.

Belongs here: igraph and the process. Not here: which links are searched, what is made of the communities
(`communities`).
"""

import itertools
import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import igraph
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ScarecrowError

ITERATIONS: Final = 3
BESIDE: Final = 300_000
"""Links from which a search takes longer than the start of a process."""
_EDGES: Final = 16_384
"""Edges that are Python objects at a time."""
_WATCH_SECONDS: Final = 1.0

Ends = NDArray[np.int32]


def labels(
    a: Ends, b: Ends, resolutions: Sequence[float], seed: int, beside: int = BESIDE
) -> list[NDArray[np.int32]]:
    """The community of each node, int32[nodes], for each resolution, under the constant Potts model. a, b: int32[m],
    nodes that are linked, numbered from 0, the last of them among them. Of at least `beside` links in a process of its
    own, which ends when this one is gone. Raises ScarecrowError when that process fails."""
    asked = (a, b, tuple(resolutions), seed)
    return _search(*asked) if len(a) < beside else _search_beside(asked)


def _search(a: Ends, b: Ends, resolutions: Sequence[float], seed: int) -> list[NDArray[np.int32]]:
    graph = igraph.Graph(n=1 + int(max(a.max(), b.max())), edges=_pairs(a, b))
    found = []
    for resolution in resolutions:
        igraph.set_random_number_generator(random.Random(seed))
        communities = graph.community_leiden(
            objective_function="CPM", resolution=resolution, n_iterations=ITERATIONS
        )
        found.append(np.asarray(communities.membership, dtype=np.int32))
    return found


def _pairs(a: Ends, b: Ends) -> Iterator[tuple[int, int]]:
    """Edges one by one: igraph makes a list of lists of an array, in five times the time and memory."""
    return itertools.chain.from_iterable(
        zip(a[begin : begin + _EDGES].tolist(), b[begin : begin + _EDGES].tolist(), strict=True)
        for begin in range(0, len(a), _EDGES)
    )


def _search_beside(asked: tuple[Ends, Ends, tuple[float, ...], int]) -> list[NDArray[np.int32]]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "pipelines.detect.leiden"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with process.stdin as given:
                pickle.dump(asked, given, protocol=5)
            found: list[NDArray[np.int32]] = pickle.load(process.stdout)  # noqa: S301
        except (BrokenPipeError, EOFError) as error:
            raise ScarecrowError(
                f"the process that searches {len(asked[0]):,} links for communities ended without an answer, with code "
                f"{process.wait()}; it needs some 260 bytes a link: give the ranking more memory and rank again"
            ) from error
        finally:
            process.kill()
    return found


def _watch() -> None:
    """End this process soon after its parent. igraph lets signals through while it searches."""
    parent = os.getppid()
    signal.signal(signal.SIGALRM, lambda *_: None if os.getppid() == parent else os._exit(1))
    signal.setitimer(signal.ITIMER_REAL, _WATCH_SECONDS, _WATCH_SECONDS)


if __name__ == "__main__":
    _watch()
    pickle.dump(_search(*pickle.load(sys.stdin.buffer)), sys.stdout.buffer, protocol=5)  # noqa: S301
