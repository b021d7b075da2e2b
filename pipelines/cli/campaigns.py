"""`scarecrow campaigns`: the most suspect campaigns."""

from dataclasses import asdict, fields
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def campaigns_command(
    ctx: typer.Context,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV that a spreadsheet opens safely.")] = False,
) -> None:
    """The most suspect campaigns: groups of accounts that one hand seems to drive.

    Example: `scarecrow campaigns --mart mart.duckdb --json`
    """
    from pipelines.cli.table import one_format, print_csv, print_json, print_table
    from pipelines.mart.open import open_mart
    from pipelines.mart.queries import campaigns, ranked
    from pipelines.mart.rows import Campaign
    from pipelines.mart.words import instant, times

    one_format(as_json, as_csv)
    with open_mart(settings_of(ctx, mart__path=mart).mart.path) as opened:
        found = campaigns(opened, top)
        among = ranked(opened)[1]
    if as_json:
        print_json({"among": among, "campaigns": [asdict(c) for c in found]})
        return
    if as_csv:
        header = [f.name for f in fields(Campaign)]
        print_csv(header, ([getattr(c, name) for name in header] for c in found))
        return
    print_table(
        ["#", "campaign", "score", "accounts", "calls", "7 days", "last seen", "state", "strongest reason"],
        [
            [
                str(c.rank),
                c.campaign_id,
                f"{c.score:.1f}",
                f"{c.accounts:,}",
                f"{c.requests:,}",
                times(c.growth_7d),
                f"{c.last_seen:%Y-%m-%d}",
                c.label or c.state,
                c.reasons[0] if c.reasons else "",
            ]
            for c in found
        ],
        right=[0, 2, 3, 4, 5],
        wide=[1, 8],
    )
    if found:
        at = instant(found[0].as_of)
        typer.echo(f"{len(found):,} of {among:,} campaigns, as of {at}. Next: scarecrow explain CAMPAIGN")
    else:
        typer.echo("The ranking found no campaign.")
