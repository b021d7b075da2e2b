"""`scarecrow compact`: upkeep of a lake."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def compact_command(
    ctx: typer.Context,
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    lateness_hours: Annotated[
        int, typer.Option(min=0, help="An hour counts as closed so many hours after its end.")
    ] = 2,
    retention_hours: Annotated[
        int,
        typer.Option(
            min=1, help="Files that are no longer live stay so long, for readers of older versions."
        ),
    ] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Folds closed hours and days and removes old files. Safe beside ingest, at any time, as often as you like.

    Example: `scarecrow compact --lake lake`
    """
    from dataclasses import asdict

    from rich.console import Console

    from pipelines.cli.ingest import now_ms
    from pipelines.cli.table import print_json
    from pipelines.lake.compact import CompactOptions, compact
    from pipelines.lake.tables import Lake

    opened = Lake(Path(settings_of(ctx, lake__path=lake).lake.path))
    console = Console(stderr=True, highlight=False)
    with console.status("compacting") as status:
        report = compact(opened, now_ms(), CompactOptions(lateness_hours, retention_hours), status.update)
    if as_json:
        print_json(asdict(report))
        return
    typer.echo(
        f"{report.hours:,} hours folded from {report.hour_files:,} files, {report.days:,} days written, "
        f"{report.removed_files:,} old files removed; lake version {report.version}"
    )
