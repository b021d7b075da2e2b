"""`scarecrow report`: one self-contained HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def report_command(
    ctx: typer.Context,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
    top: Annotated[int, typer.Option(min=1, max=500, help="Accounts with a page of their own.")] = 50,
) -> None:
    """One self-contained HTML page: campaigns, the first accounts with reasons, and what cannot be seen.

    It needs no network.

    Example: `scarecrow report --mart mart.duckdb --out report.html`
    """
    from pipelines.mart.open import open_mart
    from pipelines.report.page import write_report

    with open_mart(settings_of(ctx, mart__path=mart).mart.path) as opened:
        data = write_report(opened, out, top)
    size = out.stat().st_size / 2**20
    typer.echo(
        f"{out}: {len(data.campaigns):,} campaigns, {len(data.accounts):,} accounts in detail, {size:.1f} MiB"
    )
