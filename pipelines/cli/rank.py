"""`scarecrow rank`: the Dagster asset graph below the lake, in process."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def rank_command(
    ctx: typer.Context,
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Use only hours that end before this time.", show_default="end of the newest hour"),
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="How far back, such as 14d or 36h.", show_default="14d")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Ranks every account of the horizon, and the campaigns behind them, into a mart.

    The mart in force is replaced only by a sound one: broken input or a broken ranking leaves it as it is.

    Example: `scarecrow rank --lake lake --mart mart.duckdb`

    Example: `scarecrow rank --as-of 2026-11-01 --horizon 7d`
    """
    from pipelines.cli.times import parse_days, parse_time
    from pipelines.settings import settings_hash

    settings = settings_of(
        ctx, lake__path=lake, mart__path=mart,
        rank__horizon_days=None if horizon is None else parse_days("--horizon", horizon),
    )  # fmt: skip
    as_of_ms = None if as_of is None else parse_time("--as-of", as_of)
    rank(
        Path(settings.lake.path), Path(settings.mart.path), settings.rank.horizon_days, as_of_ms,
        settings_hash(settings), as_json,
    )  # fmt: skip


def rank(lake: Path, mart: Path, horizon_days: float, as_of_ms: int | None, settings_hash: str, as_json: bool) -> None:
    """Rank and print what came of it."""
    from dagster_project.in_process import rank_in_process
    from pipelines.cli.table import print_json
    from pipelines.lake.tables import Lake
    from pipelines.mart.open import open_mart
    from pipelines.mart.words import instant

    began = time.monotonic()
    Lake(lake).hours()
    rank_in_process(lake, mart, horizon_days, as_of_ms, settings_hash)
    with open_mart(str(mart)) as opened:
        rows = opened.rows("SELECT as_of, accounts, campaigns, links, account_hours FROM runs")
    as_of, accounts, campaigns, links, hours = rows[0]
    seconds = time.monotonic() - began
    if as_json:
        print_json(
            {
                "mart": str(mart), "as_of": as_of, "accounts": accounts, "campaigns": campaigns, "links": links,
                "account_hours": hours, "seconds": round(seconds, 2),
            }
        )  # fmt: skip
        return
    typer.echo(
        f"{accounts:,} accounts ranked as of {instant(as_of)}: {campaigns:,} campaigns, {links:,} links, from "
        f"{hours:,} account-hours in {seconds:.1f} s. Next: scarecrow suspects --mart {mart}"
    )
