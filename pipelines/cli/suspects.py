"""`scarecrow suspects`: the most suspect accounts."""

from dataclasses import asdict, fields
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
    from pipelines.cli.table import one_format, print_csv, print_json, print_table
    from pipelines.mart.open import open_mart
    from pipelines.mart.queries import ranked, suspects
    from pipelines.mart.rows import Suspect
    from pipelines.mart.words import instant

    one_format(as_json, as_csv)
    with open_mart(settings_of(ctx, mart__path=mart).mart.path) as opened:
        found = suspects(opened, top)
        among = ranked(opened)[0]
    if as_json:
        print_json({"among": among, "accounts": [asdict(s) for s in found]})
        return
    if as_csv:
        header = [f.name for f in fields(Suspect)]
        print_csv(header, ([getattr(s, name) for name in header] for s in found))
        return
    print_table(
        ["#", "account", "score", "campaign", "calls", "last seen", "state", "strongest reason"],
        [
            [
                str(s.rank),
                s.account_id,
                f"{s.score:.1f}",
                s.campaign_id or "",
                f"{s.requests:,}",
                f"{s.last_seen:%Y-%m-%d}",
                s.label or s.state,
                s.reasons[0] if s.reasons else "",
            ]
            for s in found
        ],
        right=[0, 2, 4],
        wide=[1, 7],
    )
    if found:
        at = instant(found[0].as_of)
        typer.echo(f"{len(found):,} of {among:,} accounts, as of {at}. Next: scarecrow explain ACCOUNT")
    else:
        typer.echo("The ranking holds no accounts.")
