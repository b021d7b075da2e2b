"""`scarecrow label`: what a person decided about an account or a campaign."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of
from pipelines.mart.rows import Kind


def label_command(
    ctx: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="ID", help="An account or a campaign.")],
    verdict: Annotated[
        str, typer.Argument(help="false_positive, true_positive, suspicious, benign, insufficient_data or duplicate.")
    ],
    by: Annotated[str, typer.Option("--by", help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    until: Annotated[str | None, typer.Option(help="How long it holds.", show_default="for good")] = None,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Which, where both have the id.", show_default=False)] = None,
) -> None:
    """Records a verdict; the next ranking takes it into account. A false positive stays down until its date.

    Example: `scarecrow label acct-0042 false_positive --by ana --reason 'university class' --until 2027-01-31`
    """
    from pipelines.cli.times import parse_time
    from pipelines.errors import UsageError
    from pipelines.mart.labels import Verdict, append
    from pipelines.mart.open import open_mart
    from pipelines.mart.explain import explain
    from pipelines.report.inert import terminal
    from schemas.mart import VERDICTS

    if verdict not in VERDICTS:
        raise UsageError(f"verdict {terminal(verdict)} is unknown; choose one of {', '.join(VERDICTS)}")
    path = settings_of(ctx, mart__path=mart).mart.path
    with open_mart(path) as opened:
        found = explain(opened, subject, kind).kind
    until_ms = None if until is None else parse_time("--until", until)
    append(Path(path), Verdict(found, subject, verdict, by, reason, time.time_ns() // 1_000_000, until_ms))
    typer.echo(f"{found} {terminal(subject)}: {verdict} by {terminal(by)}. It counts from the next `scarecrow rank` on.")
