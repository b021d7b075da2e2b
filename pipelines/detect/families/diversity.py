"""Diversity: how evenly an account spreads over what it covers, at equal sample coverage. Two-sided."""

from typing import Final

import numpy as np

from pipelines.detect import diversity
from pipelines.detect.arrays import ratio
from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.profiles import Profiled

COVERAGE: Final = 0.5
"""Sample coverage at which accounts are compared: about the median account's own."""


def statistics(p: Profiled) -> list[Statistic]:
    """Hill numbers of order 0, 1, 2 at equal coverage, evenness, tr S, cells against templates.

    Evenness is (D1 - 1) / (D0 - 1) (Chao & Ricotta 2019, Ecology 100:e02852), at equal coverage. The gap is
    the logarithm of cells over openings among the prompts that have one: high when few templates carry many
    subjects.
    """
    cells = p.cells
    n = cells.individuals
    at = diversity.at_coverage(cells, COVERAGE, range(3))
    openings = p.rows.sketches["openings"]
    kinds = np.diff(openings.offsets)
    gap = np.log(ratio(cells.species, np.where(cells.species > 0, kinds, 0)))
    many = "many people behind one account, or one person with many interests"
    few = "an application with one task"
    words = "{value:.1f} effective subjects (order %d) at equal coverage; peers {peer_median:.1f}"
    return [
        *(
            Statistic(
                f"hill_{order}_at_coverage", enough(at[order], n), "both", f"{many}; or {few}", words % order
            )
            for order in range(3)
        ),
        Statistic(
            "evenness",
            enough(ratio(at[1] - 1, at[0] - 1), n),
            "both",
            f"{many}; or {few}",
            "evenness {value:.2f}; peers {peer_median:.2f}",
        ),
        Statistic(
            "spread_trace",
            enough(p.columns["spread_trace"], n),
            "both",
            f"{many}; or {few}",
            "its prompts scatter by {value:.2f}; peers {peer_median:.2f}",
        ),
        Statistic(
            "subjects_per_template_nats",
            enough(gap, np.minimum(n, kinds * 12)),
            "both",
            "a prompt template in an application that people fill in",
            "subjects over templates {value:.1f} nats; peers {peer_median:.1f}",
        ),
    ]
