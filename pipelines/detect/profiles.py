"""Profiles: every feature of an account, as the mart shows it (`schemas.mart.ACCOUNT_PROFILES`).

Belongs here: how each column follows from folded rows. Not here: what is unusual about a value (`families`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from pipelines.detect import diversity
from pipelines.detect.accounts import Accounts, view
from pipelines.detect.activity import Activity, activity
from pipelines.detect.arrays import owners_of, per_row, ratio, run_starts
from pipelines.detect.diversity import Abundances
from pipelines.detect.same_source import usable_centroids, vectors
from pipelines.ingest.fold import Entries, Rows
from pipelines.prompt_map.fit import FittedMap
from pipelines.prompt_map.store import PromptMap
from schemas.account_hour import ELICITATION, UNKNOWN_TIME
from schemas.mart import ACCOUNT_PROFILES

Floats = NDArray[np.float64]
Map = PromptMap | FittedMap

DAY_MS: Final = 86_400_000
SHARE_CAP: Final = 0.05
"""No account counts for more than this in what is ordinary in a cell (METHOD section 3.4)."""
_ACCOUNTS: Final = 50_000


@dataclass(frozen=True)
class Profiled:
    """What profiles and evidence families read: n accounts in the order of `rows`.

    rows: one row per account. accounts: the view of them. cells: distinct prompts of the sample by cell, and
    cell_index: int64[m], which cell each entry is. ordinary: float64[cells], the ordinary share of each cell.
    columns: by profile column, float64[n], NaN where unavailable.
    """

    rows: Rows
    accounts: Accounts
    cells: Abundances
    cell_index: NDArray[np.int64]
    ordinary: Floats
    activity: Activity
    columns: dict[str, Floats]
    as_of_ms: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def requests(self) -> NDArray[np.int64]:
        """Calls, int64[n]."""
        counts: NDArray[np.int64] = self.accounts.requests
        return counts

    def share(self, part: str, whole: str) -> Floats:
        """Sum of column part over that of whole, float64[n]; NaN where whole is 0."""
        return ratio(self.rows.sum(part), self.rows.sum(whole))


def largest(entries: Entries) -> Floats:
    """Largest count of each row, float64[rows]; 0 for none."""
    out = np.zeros(len(entries.offsets) - 1)
    some = np.diff(entries.offsets) > 0
    if some.any():
        out[some] = np.maximum.reduceat(entries.counts, entries.offsets[:-1][some])
    return out


def ordinary_shares(cells: Abundances, cell_index: NDArray[np.int64], size: int) -> Floats:
    """Mean over accounts of their capped share of each cell, float64[size], sums to 1 (METHOD section
    3.4).
    """
    shares = cells.counts / np.repeat(cells.individuals, cells.species)
    mean = np.bincount(cell_index, weights=np.minimum(shares, SHARE_CAP), minlength=size)
    return np.asarray(mean / max(mean.sum(), 1e-300))


def _traces(histogram: csr_matrix, centroids: Floats) -> Floats:
    """tr S of every account, float64[n], NaN below two prompts; means, which are large, of some accounts at a time."""
    parts = [np.empty(0)]
    for begin in range(0, histogram.shape[0], _ACCOUNTS):
        scatter = vectors(histogram[begin : begin + _ACCOUNTS], centroids)
        parts.append(np.where(scatter.n >= 2, scatter.trace, np.nan))
    return np.concatenate(parts)


def _divergence(cells: Abundances, cell_index: NDArray[np.int64], ordinary: Floats) -> Floats:
    shares = cells.counts / np.repeat(cells.individuals, cells.species)
    terms = shares * np.log(shares / ordinary[cell_index])
    return np.where(cells.individuals > 0, per_row(cells.offsets, terms), np.nan)


def _topics(cells: Abundances, cell_index: NDArray[np.int64], per_topic: int) -> Floats:
    """Entropy over topics, nats: float64[n], NaN without prompts."""
    owner, topic = owners_of(cells.offsets), cell_index // per_topic
    starts = run_starts(owner, topic)
    entropy = np.zeros(len(cells.offsets) - 1)
    if len(starts):
        shares = np.add.reduceat(cells.counts, starts) / cells.individuals[owner[starts]]
        entropy += np.bincount(owner[starts], weights=-shares * np.log(shares), minlength=len(entropy))
    return np.where(cells.individuals > 0, entropy, np.nan)


def _distinct_topics(cells: Entries, per_topic: int) -> Floats:
    owner = owners_of(cells.offsets)
    starts = run_starts(owner, cells.keys // per_topic)
    return np.bincount(owner[starts], minlength=len(cells.offsets) - 1).astype(np.float64)


def profile(rows: Rows, prompt_map: Map | None, as_of_ms: int, accounts: Accounts | None = None) -> Profiled:
    """Every feature of every account.

    rows: folded to one row per account. prompt_map: the map that gave the cells; None when there are no
    prompts. as_of_ms: end of the horizon, epoch ms. accounts: the view of the rows, made when None.
    """
    centroids = usable_centroids(prompt_map.centroids) if prompt_map is not None else np.zeros((1, 1))
    per_topic = prompt_map.quantiser.cell_norms.shape[1] if prompt_map is not None else 1
    accounts = view(rows, len(centroids)) if accounts is None else accounts
    histogram = accounts.histogram
    cells = Abundances(histogram.indptr.astype(np.int64), histogram.data.astype(np.int64))
    cell_index = histogram.indices.astype(np.int64)
    ordinary = ordinary_shares(cells, cell_index, len(centroids))
    when = activity(rows.sketches["minutes"])
    n = accounts.requests.astype(np.float64)
    enough = {m: np.where(cells.individuals >= m, diversity.at_size(cells, m, 0), np.nan) for m in (30, 100)}
    elicited = np.max([rows.sum(name) for name, _ in ELICITATION], axis=0)
    prompted = rows.sum("with_prompt")
    known = rows.created != UNKNOWN_TIME
    age = np.where(known, np.maximum(as_of_ms - np.where(known, rows.created, 0), 0) / DAY_MS, np.nan)

    def share(part: str, whole: str) -> Floats:
        return ratio(rows.sum(part), rows.sum(whole))

    def count(sketch: str) -> Floats:
        return np.diff(rows.sketches[sketch].offsets).astype(np.float64)

    columns = {
        "requests": n,
        "active_days": when.days.astype(np.float64),
        "active_hours": when.hours.astype(np.float64),
        "requests_per_active_day": n / np.maximum(when.days, 1),
        "distinct_prompts": accounts.distinct,
        "repeat_share": accounts.repeats,
        "first_turn_share": share("first_turns", "with_turn_index"),
        "failure_share": share("failures", "with_status"),
        "throttle_share": share("throttles", "with_status"),
        "prompt_tokens_mean": share("prompt_tokens", "with_prompt_tokens"),
        "completion_tokens_mean": share("completion_tokens", "with_completion_tokens"),
        "completion_tokens": rows.sum("completion_tokens").astype(np.float64),
        "prompt_bytes_mean": share("prompt_bytes", "with_prompt"),
        "temperature_mean": share("temperature_milli", "with_temperature") / 1000,
        "cells_distinct": count("cells"),
        "cells_at_100": enough[100],
        "cells_at_30": enough[30],
        "sample_coverage": diversity.sample_coverage(cells),
        "hill_1_cells": diversity.hill(cells, 1),
        "hill_2_cells": diversity.hill(cells, 2),
        "topics_distinct": _distinct_topics(rows.sketches["cells"], per_topic),
        "topic_entropy_nats": _topics(cells, cell_index, per_topic),
        "spread_trace": _traces(histogram, centroids),
        "divergence_nats": _divergence(cells, cell_index, ordinary),
        "opening_top_share": ratio(largest(rows.sketches["openings"]), prompted),
        "system_prompts_distinct": count("system_prompts"),
        "networks_distinct": count("networks"),
        "user_agents_distinct": count("user_agents"),
        "models_distinct": count("models"),
        "elicitation_share": ratio(elicited, prompted),
        "longest_idle_hours": np.nan_to_num(when.idle_hours),
        "hour_of_day_entropy_nats": np.nan_to_num(when.day_entropy),
        "account_age_days": age,
    }
    return Profiled(rows, accounts, cells, cell_index, ordinary, when, columns, as_of_ms)


def table(profiled: Profiled) -> pl.DataFrame:
    """As a table of ACCOUNT_PROFILES, in the order of the accounts."""
    as_of = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=profiled.as_of_ms)
    series = []
    for column in ACCOUNT_PROFILES.columns:
        if column.name == "as_of":
            series.append(
                pl.repeat(as_of, len(profiled), dtype=pl.Datetime("us", "UTC"), eager=True).alias("as_of")
            )
        elif column.name == "account_id":
            series.append(pl.Series("account_id", profiled.accounts.ids))
        else:
            values = pl.Series(column.name, profiled.columns[column.name]).fill_nan(None)
            series.append(values.cast(pl.Int64) if column.type == pa.int64() else values)
    return pl.DataFrame(series)
