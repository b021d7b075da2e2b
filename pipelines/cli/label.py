"""`scarecrow label`: what a person decided about an account or a campaign, one or a CSV of them."""

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of
from pipelines.mart.rows import Kind

if TYPE_CHECKING:
    from pipelines.mart.labels import Verdict
    from pipelines.mart.open import Mart


def label_command(
    ctx: typer.Context,
    subject: Annotated[
        str | None, typer.Argument(metavar="ID", help="An account or a campaign.", show_default=False)
    ] = None,
    verdict: Annotated[
        str | None,
        typer.Argument(
            help="false_positive, true_positive, suspicious, benign, insufficient_data or duplicate.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who decides.", show_default=False)] = None,
    reason: Annotated[str | None, typer.Option(help="Why.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(help="How long it holds.", show_default="for good")] = None,
    from_csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="A CSV of labels: id, verdict, by, reason and, if wanted, until and kind.",
            show_default=False,
        ),
    ] = None,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="Which, where both have the id.", show_default=False)
    ] = None,
) -> None:
    """Records a verdict; the next ranking takes it into account. A false positive stays down until its date, while its
    evidence stays visible. Analysts may also insert labels by SQL into the inbox `MART.inbox` (table `labels`).

    Example: `scarecrow label acct-0042 false_positive --by ana --reason 'university class' --until 2027-01-31`

    Example: `scarecrow label --csv verdicts.csv`
    """
    from pipelines.errors import UsageError
    from pipelines.mart.labels import append
    from pipelines.mart.open import open_mart
    from pipelines.report.inert import terminal

    path = settings_of(ctx, mart__path=mart).mart.path
    now_ms = time.time_ns() // 1_000_000
    if from_csv is not None:
        if subject is not None or verdict is not None or by is not None or reason is not None:
            raise UsageError("--csv brings ids, verdicts, authors and reasons along; leave the others out")
        with open_mart(path) as opened:
            verdicts = read_csv(from_csv, opened, now_ms)
        append(Path(path), verdicts)
        typer.echo(f"{len(verdicts)} labels recorded. They count from the next `scarecrow rank` on.")
        return
    if subject is None or verdict is None or by is None or reason is None:
        raise UsageError("a label needs ID, VERDICT, --by and --reason (or --csv FILE)")
    with open_mart(path) as opened:
        made = one_verdict(opened, subject, verdict, by, reason, until, kind, now_ms)
    append(Path(path), [made])
    typer.echo(
        f"{made.subject_kind} {terminal(made.subject_id)}: {verdict} by {terminal(by)}. "
        "It counts from the next `scarecrow rank` on."
    )


def one_verdict(
    mart: "Mart",
    subject: str,
    verdict: str,
    by: str,
    reason: str,
    until: str | None,
    kind: Kind | None,
    now_ms: int,
) -> "Verdict":
    """A checked verdict. Raises UsageError for an unknown id or verdict, an empty author or reason, a past date."""
    from pipelines.cli.times import parse_time
    from pipelines.errors import UsageError
    from pipelines.mart.explain import explain
    from pipelines.mart.labels import Verdict
    from pipelines.report.inert import terminal
    from schemas.mart import VERDICTS

    if verdict not in VERDICTS:
        raise UsageError(f"verdict {terminal(verdict)} is unknown; choose one of {', '.join(VERDICTS)}")
    if not by.strip() or not reason.strip():
        raise UsageError(
            f"a label on {terminal(subject)} needs an author and a reason; say who decides, and why"
        )
    until_ms = None if until is None else parse_time("--until", until)
    if until_ms is not None and until_ms <= now_ms:
        raise UsageError(f"--until {terminal(until or '')} is over already; give a later date")
    found = explain(mart, subject, kind)
    return Verdict(found.kind, found.id, verdict, by, reason, now_ms, until_ms)


def read_csv(path: Path, mart: "Mart", now_ms: int) -> "list[Verdict]":
    """Verdicts of a CSV file, all or none. Raises UsageError with the line of the first that does not fit."""
    from pipelines.errors import UsageError

    needed = ("id", "verdict", "by", "reason")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"labels {path} cannot be read ({error}); give a CSV file in UTF-8") from error
    rows = csv.DictReader(text.splitlines())
    missing = [name for name in needed if name not in (rows.fieldnames or [])]
    if missing:
        raise UsageError(
            f"labels {path} lack the column {missing[0]}; the first line names {', '.join(needed)}"
        )
    found = []
    for row in rows:
        kind = _kind(row.get("kind") or None, f"{path}:{rows.line_num}")
        subject, verdict, by, reason = (row[name] or "" for name in needed)
        try:
            made = one_verdict(mart, subject, verdict, by, reason, row.get("until") or None, kind, now_ms)
        except UsageError as error:
            raise UsageError(f"{path}:{rows.line_num}: {error}") from error
        found.append(made)
    return found


def _kind(text: str | None, where: str) -> Kind | None:
    from pipelines.errors import UsageError

    if text is None:
        return None
    if text == "account":
        return "account"
    if text == "campaign":
        return "campaign"
    raise UsageError(f"{where}: kind {text!r} is neither account nor campaign")
