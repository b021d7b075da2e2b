"""Detection as one paragraph: accounts, links, campaigns, ranking. Each step is an asset of its own in Dagster."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.detect import campaigns, lifecycle, score
from pipelines.detect.accounts import Accounts, view
from pipelines.detect.campaigns import Campaigns
from pipelines.detect.candidates import SameSource, same_source
from pipelines.detect.evidence import Evidence
from pipelines.detect.options import DEFAULT, Options
from pipelines.detect.score import Detection
from pipelines.ingest.fold import Rows
from pipelines.prompt_map.fit import TOPICS

__all__ = ["Campaigns", "Detection", "SameSource", "detect", "find_campaigns", "find_links", "make_ranking"]


class Map(Protocol):
    """What detection needs of a prompt map: centroids float32[cells, d], cells in order of their topic."""

    @property
    def centroids(self) -> NDArray[np.float32]: ...


def find_links(accounts: Accounts, prompt_map: Map) -> SameSource:
    """Same-source links in every view of the accounts, measured with this map."""
    return same_source(accounts, prompt_map.centroids, TOPICS)


def find_campaigns(
    same: SameSource, previous: pa.Table, evidence: Sequence[Evidence] = (), options: Options = DEFAULT
) -> Campaigns:
    """Campaigns, under the ids of earlier ones where they are the same. previous: rows of lifecycle.MEMORY."""
    found = campaigns.find(same, evidence, options)
    return lifecycle.name(found, same.accounts.ids.to_pylist(), previous)


def make_ranking(
    same: SameSource,
    found: Campaigns,
    evidence: Sequence[Evidence],
    as_of_ms: int,
    options: Options = DEFAULT,
) -> Detection:
    """Scores, reasons and members as tables."""
    return score.rank(same, found, evidence, as_of_ms, options)


def detect(
    profiles: Rows,
    prompt_map: Map,
    as_of_ms: int,
    evidence: Sequence[Evidence] = (),
    previous: pa.Table | None = None,
    options: Options = DEFAULT,
) -> Detection:
    """Everything at once: profiles, map and account-level evidence in, tables out."""
    same = find_links(view(profiles, len(prompt_map.centroids)), prompt_map)
    known = previous if previous is not None else lifecycle.MEMORY.empty_table()
    found = find_campaigns(same, known, evidence, options)
    return make_ranking(same, found, evidence, as_of_ms, options)
