"""How well a prompt map tells unrelated accounts apart (METHOD section 3): D2 of random pairs of the lake.

Most pairs of a log are unrelated people: their D2 should lie near 0.13, and few of them should pass for one
source. A pair is looked at when both accounts have enough distinct prompts to tell.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix

from pipelines.detect.same_source import pair_d2, usable_centroids, vectors
from pipelines.ingest.fold import Rows
from pipelines.prompt_map.store import PromptMap

MIN_PROMPTS: Final = 12
LINK: Final = 0.03
PAIRS: Final = 200_000


@dataclass(frozen=True)
class Separation:
    """accounts: with at least MIN_PROMPTS distinct prompts. pairs: looked at. median_d2; linked: share of pairs
    with D2 + 2 SE under LINK, which pass for one source. NaN where there are fewer than two accounts."""

    accounts: int
    pairs: int
    median_d2: float
    linked: float


def separation(profiles: Rows, prompt_map: PromptMap, seed: int = 0) -> Separation:
    """profiles: one row per account, measured with the map. Up to 200,000 random pairs, by seed."""
    entries = profiles.sketches["prompts"]
    cells = np.asarray(entries.payloads["prompt_cells"])
    owners = np.repeat(np.arange(len(profiles)), np.diff(entries.offsets))
    known = cells >= 0
    shape = (len(profiles), len(prompt_map.centroids))
    histogram = csr_matrix((np.ones(int(known.sum())), (owners[known], cells[known])), shape)
    found = vectors(histogram, usable_centroids(prompt_map.centroids))
    enough = np.flatnonzero(found.n >= MIN_PROMPTS)
    if len(enough) < 2:
        return Separation(len(enough), 0, float("nan"), float("nan"))
    v = found.take(enough)
    if len(enough) * (len(enough) - 1) // 2 <= PAIRS:
        a, b = np.triu_indices(len(enough), 1)
    else:
        rng = np.random.default_rng(seed)
        a = rng.integers(0, len(enough), PAIRS)
        b = (a + rng.integers(1, len(enough), PAIRS)) % len(enough)
    d2 = pair_d2(v, a, b)
    error = v.noise[a] + v.noise[b]
    return Separation(len(enough), len(a), float(np.median(d2)), float(np.mean(d2 + 2 * error < LINK)))
