"""`scarecrow simulate`: API logs with planted campaigns, the truth in a file of its own."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def simulate_command(
    out: Annotated[Path, typer.Option(help="Folder to write the log and the truth into.")],
    corpora: Annotated[
        Path | None,
        typer.Option(
            help="Folder with harvest/*.parquet and ordinary/*.parquet (column prompt).",
            envvar="SCARECROW_CORPORA",
            show_default="built-in prompts",
        ),
    ] = None,
    accounts: Annotated[int, typer.Option(help="Accounts in all.")] = 5_000,
    days: Annotated[int, typer.Option(help="Length of the log in days.")] = 14,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    base_rate: Annotated[float, typer.Option(help="Share of accounts that harvest.")] = 0.035,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="A campaign: NAME, NAME:ACCOUNTS or NAME:ACCOUNTS:LOW-HIGH (prompts each); none for a world "
            "in which nobody harvests. Repeatable.",
            show_default="as many as the base rate allows",
        ),
    ] = None,
    start: Annotated[
        str, typer.Option(help="First moment: a date or a time, UTC without a zone.")
    ] = "2026-01-05",
    requests_per_account: Annotated[float, typer.Option(help="Mean for ordinary people.")] = 45.0,
    shared_infrastructure: Annotated[
        float, typer.Option(help="Share of campaigns that share payment or network, 0 to 1.")
    ] = 0.0,
    compression: Annotated[str, typer.Option(help="none, gz or zst.")] = "none",
    by_day: Annotated[bool, typer.Option("--by-day", help="One file per day.")] = False,
    omit: Annotated[
        list[str] | None, typer.Option(help="An optional field that the log leaves out. Repeatable.")
    ] = None,
    background: Annotated[
        float,
        typer.Option(help="How many times the ordinary accounts there are; campaigns stay as they are."),
    ] = 1.0,
    retries: Annotated[
        float, typer.Option(help="Share of throttled and failed calls that the client sends again, 0 to 1.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """API logs with planted campaigns and ordinary accounts that look like them; the truth in `truth.json`.

    Example: `scarecrow simulate --out world --accounts 5000 --seed 1 --strategy hydra --strategy relay:40`
    """
    from rich.console import Console
    from rich.progress import Progress

    from pipelines.cli.table import print_json, print_table
    from pipelines.cli.times import parse_time
    from pipelines.simulate import simulate

    first = datetime.fromtimestamp(parse_time("--start", start) / 1000, UTC)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=None)
        summary = simulate(
            out, corpora=corpora, accounts=accounts, days=days, seed=seed, base_rate=base_rate,
            strategies=strategy or (), start=first, requests_per_account=requests_per_account,
            shared_infrastructure=shared_infrastructure, compression=compression, by_day=by_day,
            omit=omit or (), background=background, retries=retries,
            progress=lambda _, done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if as_json:
        print_json(summary.to_dict())
        return
    planted = set(summary.strategies)
    print_table(
        ["class", "accounts", "requests", ""],
        [
            [
                name,
                f"{count:,}",
                f"{summary.requests_by_class[name]:,}",
                "harvesting" if name in planted else "",
            ]
            for name, count in summary.accounts_by_class.items()
        ],
        right=[1, 2],
    )
    typer.echo(
        f"{summary.requests:,} requests of {summary.accounts:,} accounts in {out}; "
        f"{summary.harvesting_accounts:,} accounts harvest in {summary.campaigns} campaigns (see truth.json)."
    )
