"""`scarecrow suspects`: the most suspect accounts."""

from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def suspects_command(
    ctx: typer.Context,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV that a spreadsheet opens safely.")] = False,
) -> None:
    """The most suspect accounts, with the strongest reason of each.

    Example: `scarecrow suspects --mart mart.duckdb --top 50`
    """
    from pipelines.cli.findings import account_row, as_of_line, ACCOUNT_HEADER
    from pipelines.cli.table import print_csv, print_json, print_table
    from pipelines.mart.open import open_mart
    from pipelines.mart.queries import ranked, suspects

    with open_mart(settings_of(ctx, mart__path=mart).mart.path) as opened:
        rows = suspects(opened, top)
        among = ranked(opened)[0]
