"""A ranking beside the one in force: same lake, same labels, other settings. Nobody is alerted by it."""

import os
from pathlib import Path

from pipelines.lake.tables import Lake
from pipelines.rank.run import run
from pipelines.rank.steps import Ranking
from pipelines.rank.workspace import Workspace
from pipelines.settings import load_settings


def shadow_mart(mart: Path) -> Path:
    """Where the shadow of a mart is."""
    return mart.with_name(f"{mart.stem}.shadow{mart.suffix}")


def rank_shadow(lake: Lake, mart: Path, settings_file: str, as_of_ms: int | None = None) -> Path:
    """Rank under a settings file into the shadow of `mart`; returns where it is.

    Labels, weights and campaign ids are those of `mart`. Raises ScarecrowError as a ranking does.
    """
    settings = load_settings(Path(settings_file))
    made = shadow_mart(mart)
    workspace = Workspace.beside(made, f"pid-{os.getpid()}", {})
    run(Ranking.under(settings, lake, made, workspace, as_of_ms, live=mart, replace=True))
    return made
