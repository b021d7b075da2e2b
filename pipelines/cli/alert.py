"""`scarecrow alert`: tell people and systems what a published mart has new."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.alerts.run import AlertReport


def alert_command(
    ctx: typer.Context,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be told; send and note nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Tells what is new, worse or gone, by every channel that the settings switch on.

    Run it after each ranking. A finding is told once; what a receiver did not take waits for the next run.
    Channels are settings: `scarecrow settings` lists alerts.slack.url and the others.

    Example: `SCARECROW_ALERTS__SLACK__URL=... scarecrow alert --mart mart.duckdb --dry-run`
    """
    from pipelines.alerts.run import preview, send_alerts
    from pipelines.errors import ScarecrowError, UsageError

    settings = settings_of(ctx, mart__path=mart)
    path, now_ms = Path(settings.mart.path), time.time_ns() // 1_000_000
    report = (preview if dry_run else send_alerts)(path, settings, now_ms)
    if report.without_channel:
        raise UsageError(
            "No alert channel is set; set for example SCARECROW_ALERTS__SLACK__URL, or look with --dry-run."
        )
    if as_json:
        _print_json(report)
    else:
        _print_text(report)
    if report.waiting or report.given_up:
        said = "; ".join(f"{d.channel}: {s}" for d in report.deliveries for s in d.said[:1])
        raise ScarecrowError(
            f"{report.waiting} deliveries wait and {report.given_up} were given up ({said.rstrip('.')}); "
            "mend the receiver and run the same command again."
        )


def _print_text(report: "AlertReport") -> None:
    from pipelines.alerts.text import headline, shown

    will = "would tell" if report.is_dry_run else "told"
    if not report.is_news:
        typer.echo("This ranking was decided on before; nothing new to tell.")
    else:
        typer.echo(f"{will}: {len(report.told)}, held back: {len(report.held)}")
    for alert in report.told:
        typer.echo(f"  {headline(alert)}")
    for held in report.held:
        typer.echo(
            f"  held back ({held.why}): {held.event} {held.kind} {shown(held.id)}, score {held.score:.1f}"
        )
    if report.has_digest:
        typer.echo("The daily digest is on its way.")
    for d in report.deliveries:
        typer.echo(f"{d.channel}: {d.sent} sent, {d.waiting} waiting, {d.given_up} given up, {d.tries} tries")


def _print_json(report: "AlertReport") -> None:
    from dataclasses import asdict

    from pipelines.cli.table import print_json

    print_json(asdict(report))
