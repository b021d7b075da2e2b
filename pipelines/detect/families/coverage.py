"""Coverage: how much of the prompt space an account touches, at equal numbers of distinct prompts. Two-sided.

Published comparisons show attackers below ordinary users in most cases, so both tails count (METHOD section
5).
"""

import numpy as np

from pipelines.detect import diversity
from pipelines.detect.arrays import per_row, ratio
from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.profiles import Profiled


def statistics(p: Profiled) -> list[Statistic]:
    """Rarefied cells, sample coverage, unseen cells, scarcity: all over distinct prompts of the sample.

    300 prompts lie beyond the 256 of the sample and are extrapolated from it (Chao & Jost 2012, at most twice
    n). Scarcity is the mean of -ln(ordinary share) over the account's prompts, its cross-entropy with
    ordinary use.
    """
    cells = p.cells
    n = cells.individuals
    unseen = diversity.unseen(cells)
    scarcity = ratio(per_row(cells.offsets, -cells.counts * np.log(p.ordinary[p.cell_index])), n)
    broad = "a gateway or reseller in front of many people is broad, a job with one task is narrow"
    out = [
        Statistic(
            f"cells_at_{m}",
            diversity.at_size(cells, m, 0)
            if m == 300
            else np.where(n >= m, diversity.at_size(cells, m, 0), np.nan),
            "both",
            broad,
            f"{{value:.0f}} subjects in {m} distinct prompts; peers {{peer_median:.0f}}",
        )
        for m in (50, 100, 300)
    ]
    return [
        *out,
        Statistic(
            "sample_coverage",
            enough(diversity.sample_coverage(cells), n),
            "both",
            broad,
            "{value:.0%} of its own range of subjects seen; peers {peer_median:.0%}",
        ),
        Statistic(
            "unseen_cells_share",
            enough(ratio(unseen, unseen + cells.species), n),
            "both",
            broad,
            "{value:.0%} of its subjects still unseen (Chao1); peers {peer_median:.0%}",
        ),
        Statistic(
            "scarcity_nats",
            enough(scarcity, n),
            "both",
            "a profession with subjects of its own",
            "its subjects are {value:.1f} nats rare in ordinary use; peers {peer_median:.1f}",
        ),
    ]
