"""What every asset is given: where lake and mart are, the settings, and which ranking is asked for."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster_project.expectations import Examined, Rows
    from dagster_project.gatekeeper import Gatekeeper
    from pipelines.lake.tables import Lake
    from pipelines.rank.steps import Ranking

Tell = Callable[[str, str, Mapping[str, Any]], None]
"""(step, "began" or "done", facts)"""

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


class Scarecrow(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Paths and settings. Empty fields are taken from the settings in force where a run executes.

    as_of_ms: end of the ranked horizon for runs without a partition; 0 is the end of the newest hour.
    """

    lake: str = ""
    mart: str = ""
    settings_file: str = ""
    as_of_ms: int = 0

    def settings(self) -> Settings:
        """The settings in force, under the fields of this resource."""
        flags = {"lake.path": self.lake or None, "mart.path": self.mart or None}
        return load_settings(Path(self.settings_file) if self.settings_file else None, flags)

    def open_lake(self) -> "Lake":
        """The lake."""
        from pipelines.lake.tables import Lake

        return Lake(Path(self.settings().lake.path))

    def mart_path(self) -> Path:
        """File of the mart in force."""
        return Path(self.settings().mart.path)

    def ranking(self, context: Context) -> "Ranking":
        """The ranking that a run works on: as of the end of its partition, clipped to the end of the newest hour."""
        from pipelines.rank.newest import newest_hour_end_ms
        from pipelines.rank.steps import Ranking
        from pipelines.rank.workspace import Workspace

        settings, lake, mart = self.settings(), self.open_lake(), self.mart_path()
        as_of_ms = self.as_of_ms or None
        if context.run.tags.get("dagster/partition") is not None:
            end = datetime.fromisoformat(context.run.tags["dagster/partition"]).replace(
                tzinfo=UTC
            ) + timedelta(days=1)
            as_of_ms = min(int(end.timestamp() * 1000), newest_hour_end_ms(lake))
        # A re-execution goes on where the failed run stopped.
        workspace = Workspace.beside(mart, context.run.root_run_id or context.run.run_id)
        return Ranking.under(settings, lake, mart, workspace, as_of_ms)

    def tell(self, step: str, event: str, facts: Mapping[str, Any]) -> None:
        """Progress; Dagster shows it by itself."""

    def examine(self, name: str, rows: "Rows") -> "Examined":
        """Rows against the suite of their relation."""
        from dagster_project.expectations import examine

        return examine(name, rows)


class InProcess(Scarecrow):
    """The resource of `scarecrow rank`: one given ranking, results in memory, progress to a listener."""

    _ranking: Any = PrivateAttr()
    _tell: Any = PrivateAttr()
    _gatekeeper: Any = PrivateAttr()

    @classmethod
    def of(cls, ranking: "Ranking", tell: Tell, gatekeeper: "Gatekeeper") -> "InProcess":
        """The resource for one ranking."""
        made = cls()
        made._ranking, made._tell, made._gatekeeper = ranking, tell, gatekeeper
        return made

    def ranking(self, context: Context) -> "Ranking":
        """The given ranking."""
        ranking: Ranking = self._ranking
        return ranking

    def tell(self, step: str, event: str, facts: Mapping[str, Any]) -> None:
        """Passes progress on."""
        self._tell(step, event, facts)

    def examine(self, name: str, rows: "Rows") -> "Examined":
        """Asks the process that does nothing else."""
        found: Examined = self._gatekeeper.examine(name, rows)
        return found
