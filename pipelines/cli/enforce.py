"""`scarecrow enforce`: graded actions that a gateway can carry out, and appeals against them."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.cli.context import settings_of

enforce_app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@enforce_app.callback(invoke_without_command=True)
def feed(
    ctx: typer.Context,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("actions.jsonl"),
    form: Annotated[
        Literal["jsonl", "parquet", "envoy", "litellm"], typer.Option("--format", help="Format of the file.")
    ] = "jsonl",
    apply: Annotated[
        bool | None,
        typer.Option("--apply/--dry-run", help="Actions that count, or proposals.", show_default="dry-run"),
    ] = None,
) -> None:
    """One graded action per account and campaign: watch, verify_identity, rate_limit, vary_outputs, review, suspend.

    Proposals unless --apply is given. Nothing goes beyond review without a person's true_positive; everything
    expires by itself. Run it after each ranking.

    Example: `scarecrow enforce --mart mart.duckdb --out actions.jsonl`

    A person hears an appeal: `scarecrow enforce appeal acct-0042 open --by ana --reason 'says it is a class'`
    """
    if ctx.invoked_subcommand is not None:
        return
    from pipelines.enforce.run import enforce

    settings = settings_of(ctx, mart__path=mart, enforce__is_dry_run=None if apply is None else not apply)
    report = enforce(Path(settings.mart.path), out, form, settings, time.time_ns() // 1_000_000)
    will = "proposals" if report.is_dry_run else "actions"
    typer.echo(f"{out}: version {report.version}, {len(report.entries)} {will}, {report.changes} changed")
    for (kind, action), count in sorted(report.actions.items()):
        typer.echo(f"  {kind} {action}: {count}")
    if report.published:
        typer.echo(f"{report.published} records to {settings.enforce.topic}")


@enforce_app.command("appeal")
def appeal_command(
    ctx: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="ID", help="An account or a campaign.")],
    state: Annotated[
        Literal["open", "granted", "rejected", "withdrawn"], typer.Argument(help="Where it stands.")
    ],
    by: Annotated[str, typer.Option("--by", help="Who says so.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    kind: Annotated[Literal["account", "campaign"], typer.Option(help="Which of the two it is.")] = "account",
) -> None:
    """Records an appeal. An open one stops every rise, a granted one ends the action with the next run.

    Example: `scarecrow enforce appeal acct-0042 granted --by ana --reason 'university class'`
    """
    from pipelines.enforce.appeals import AppealRecord, append
    from pipelines.mart.explain import explain
    from pipelines.mart.open import open_mart
    from pipelines.report.inert import terminal

    path = settings_of(ctx, mart__path=mart).mart.path
    with open_mart(path) as opened:
        found = explain(opened, subject, kind)  # raises UsageError, with the nearest id, when there is none
    append(Path(path), AppealRecord(kind, found.id, state, by, reason, time.time_ns() // 1_000_000))
    typer.echo(
        f"{kind} {terminal(found.id)}: appeal {state}, by {terminal(by)}. It counts from the next feed on."
    )
