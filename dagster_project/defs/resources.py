"""Where the lake and the mart are, and which ranking is asked for."""

from pathlib import Path

import dagster as dg

from pipelines.lake.tables import Lake
from pipelines.rank.steps import Ranking
from pipelines.rank.workspace import Workspace


class RankingResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Paths and horizon of rankings; as_of_ms 0 means the end of the newest hour."""

    lake: str = "lake"
    mart: str = "mart.duckdb"
    horizon_days: float = 14.0
    as_of_ms: int = 0
    settings_hash: str = ""

    def of(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Ranking:
        """The ranking that a run works on: the end of its partition, or what the configuration says."""
        as_of_ms = self.as_of_ms or None
        key = "latest" if as_of_ms is None else str(as_of_ms)
        if isinstance(context, dg.AssetExecutionContext) and context.has_partition_key:
            as_of_ms = int(context.partition_time_window.end.timestamp() * 1000)
            key = context.partition_key
        mart = Path(self.mart)
        return Ranking(
            Lake(Path(self.lake)), mart, Workspace.beside(mart, key), self.horizon_days, as_of_ms, self.settings_hash
        )
