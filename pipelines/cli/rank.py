"""`scarecrow rank`: the Dagster asset graph below the lake, in process."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.settings import Settings


def rank_command(
    ctx: typer.Context,
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="Use only hours that end before this time.", show_default="end of the newest hour"
        ),
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="How far back, such as 14d or 36h.", show_default="14d")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the mart even when its ranking is of a later time.")
    ] = False,
    shadow: Annotated[
        Path | None,
        typer.Option(
            help="Rank under this settings file too, into a shadow mart beside the one in force.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Ranks every account of the horizon, and the campaigns behind them, into a mart.

    The mart in force is replaced only by a sound one: broken input or a broken ranking leaves it as it is, and a
    ranking as of an earlier time only adds to its history.

    Example: `scarecrow rank --lake lake --mart mart.duckdb`

    Example: `scarecrow rank --as-of 2026-11-01 --horizon 7d --mart november.duckdb`

    Example: `scarecrow rank --shadow new.toml`, then `scarecrow diff mart.duckdb mart.shadow.duckdb`
    """
    from pipelines.cli.times import parse_days, parse_time

    settings = settings_of(
        ctx, lake__path=lake, mart__path=mart,
        rank__horizon_days=None if horizon is None else parse_days("--horizon", horizon),
    )  # fmt: skip
    as_of_ms = None if as_of is None else parse_time("--as-of", as_of)
    rank(settings, as_of_ms, replace, as_json)
    if shadow is not None:
        from pipelines.lake.tables import Lake
        from pipelines.rank.shadow import rank_shadow

        made = rank_shadow(Lake(Path(settings.lake.path)), Path(settings.mart.path), str(shadow), as_of_ms)
        if not as_json:
            typer.echo(
                f"Shadow ranking under {shadow}: {made}. Next: scarecrow diff {settings.mart.path} {made}"
            )


def rank(settings: "Settings", as_of_ms: int | None, replace: bool, as_json: bool) -> None:
    """Rank and print what came of it."""
    from pipelines.cli.table import print_json
    from pipelines.mart.open import open_mart
    from pipelines.mart.words import instant

    began = time.monotonic()
    mart = Path(settings.mart.path)
    ranked = rank_settings(settings, as_of_ms, replace, quiet=as_json)
    seconds = time.monotonic() - began
    if not ranked:
        from pipelines.mart.build import as_of as newest

        if as_json:
            print_json(
                {"mart": str(mart), "is_in_force": False, "as_of_ms": as_of_ms, "seconds": round(seconds, 2)}
            )
            return
        end = instant_of(newest(mart) or 0)
        typer.echo(
            f"The ranking is in ranking_history only: the mart {mart} is of a later time ({end}) and stays. "
            "--replace puts the earlier one in force; --mart names another file for it."
        )
        return
    with open_mart(str(mart)) as opened:
        rows = opened.rows("SELECT as_of, accounts, campaigns, links, account_hours FROM runs")
    as_of, accounts, campaigns, links, hours = rows[0]
    if as_json:
        print_json(
            {
                "mart": str(mart), "as_of": as_of, "accounts": accounts, "campaigns": campaigns, "links": links,
                "account_hours": hours, "is_in_force": True, "seconds": round(seconds, 2),
            }
        )  # fmt: skip
        return
    typer.echo(
        f"{accounts:,} accounts ranked as of {instant(as_of)}: {campaigns:,} campaigns, {links:,} links, from "
        f"{hours:,} account-hours in {seconds:.1f} s. Next: scarecrow suspects --mart {mart}"
    )


def rank_settings(
    settings: "Settings", as_of_ms: int | None = None, replace: bool = False, quiet: bool = False
) -> bool:
    """Rank as the settings say, with progress unless quiet. Returns whether the ranking is in force now."""
    from dagster_project.gatekeeper import Gatekeeper

    # It imports what checks need while this process imports what ranks.
    with Gatekeeper() as gatekeeper:
        from dagster_project.in_process import rank_in_process
        from pipelines.cli.rank_progress import RankProgress
        from pipelines.lake.tables import Lake
        from pipelines.mart.build import as_of as newest
        from pipelines.rank.steps import Ranking
        from pipelines.rank.workspace import Workspace

        mart, lake = Path(settings.mart.path), Lake(Path(settings.lake.path))
        lake.hours()
        workspace = Workspace.beside(mart, f"pid-{os.getpid()}", {})
        ranking = Ranking.under(settings, lake, mart, workspace, as_of_ms, replace=replace)
        with RankProgress(quiet) as progress:
            rank_in_process(ranking, gatekeeper, progress.tell)
    made = newest(mart)
    return replace or as_of_ms is None or made is None or made <= as_of_ms


def instant_of(at_ms: int) -> str:
    """A moment for people."""
    from datetime import UTC, datetime

    from pipelines.mart.words import instant

    return instant(datetime.fromtimestamp(at_ms / 1000, UTC))
