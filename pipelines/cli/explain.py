"""`scarecrow explain`: why an account or campaign stands where it stands."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of
from pipelines.mart.rows import Kind

if TYPE_CHECKING:
    from rich.console import Console

    from pipelines.mart.explain import Explanation


def explain_command(
    ctx: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="ID", help="An account or a campaign.")],
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="Which, where both have the id.", show_default=False)
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many links and members.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Why an account or campaign stands where it does.

    What was seen, what peers do, what argues against it, with whom, what could not be seen, what would settle
    it.

    Example: `scarecrow explain acct-0042 --mart mart.duckdb`
    """
    from pipelines.cli.table import print_json
    from pipelines.mart.explain import explain
    from pipelines.mart.open import open_mart

    with open_mart(settings_of(ctx, mart__path=mart).mart.path) as opened:
        explained = explain(opened, subject, kind, top)
    if as_json:
        print_json(asdict(explained))
    else:
        _print_text(explained, top)


def _print_text(explained: "Explanation", top: int) -> None:
    from rich.console import Console

    from pipelines.mart.explain import standing
    from pipelines.mart.words import instant, link_name
    from pipelines.report.inert import terminal

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 110

    def heading(text: str) -> None:
        console.print()
        console.print(text, style="bold")

    def item(text: str, bullet: str = "-", style: str | None = None) -> None:
        _print_indented(console, f"{bullet} ", terminal(text), style)

    for number, sentence in enumerate(standing(explained)):
        _print_wrapped(console, terminal(sentence), "bold" if number == 0 else None)

    heading("What was seen")
    for finding in explained.told_found:
        item(f"{finding.says}: {finding.seen}", f"{finding.contribution:+7.2f}")
        if finding.peers:
            _print_indented(console, " " * 8, finding.peers[:1].upper() + finding.peers[1:], "dim")
    if not explained.found:
        item("No evidence for it.")

    heading("What argues against it")
    for finding in explained.told_against:
        item(f"{finding.says}: {finding.seen}", f"{finding.contribution:+7.2f}")
        if finding.peers:
            _print_indented(console, " " * 8, finding.peers[:1].upper() + finding.peers[1:], "dim")
    count, together = explained.small
    if count:
        pieces = (
            "1 smaller piece of evidence" if count == 1 else f"{count} smaller pieces of evidence together"
        )
        item(f"{pieces} (--json lists all)", f"{together:+7.2f}")
    for cause in explained.ordinary_causes:
        item(f"Ordinary cause: {cause.cause}")
        _print_indented(console, "  ", "would explain: " + terminal("; ".join(cause.explains)), "dim")
    if not explained.against and not explained.ordinary_causes:
        item("Nothing that was looked at.")

    if explained.kind == "campaign":
        heading(f"With whom: {explained.accounts:,} accounts")
        for member in explained.members[:top]:
            item(
                f"{member.account_id}, rank {member.rank:,}, {member.requests:,} calls, belongs to it with "
                f"{member.membership:.0%} certainty"
            )
        if len(explained.members) > top:
            item(f"and {len(explained.members) - top:,} more (--top {len(explained.members)} lists all)")
    else:
        heading(f"With whom: linked to {explained.linked_accounts:,} accounts")
        for link in explained.links:
            rank = f", rank {link.rank:,}" if link.rank is not None else ""
            item(f"{link.other}{rank}: {link_name(link.kind)}, {link.evidence}")

    if explained.labels:
        heading("What people decided")
        for label in explained.labels:
            until = f" until {instant(label.until)}" if label.until else ""
            verdict = label.verdict.replace("_", " ")
            item(f"{verdict}{until}, by {label.author} on {instant(label.at)}: {label.reason}")

    heading("What could not be seen")
    for text in explained.unavailable:
        item(text)
    if not explained.unavailable:
        item("Every field that the evidence needs was there.")

    heading("What would settle it")
    for text in explained.settle:
        item(text)
    if not explained.settle:
        item("Nothing to settle: there is no evidence for it.")


def _print_wrapped(console: "Console", text: str, style: str | None) -> None:
    """A sentence over as many lines as it needs, none with a space at its end."""
    from rich.text import Text

    for line in Text(text).wrap(console, console.width):
        line.rstrip()
        console.print(line.plain, style=style)


def _print_indented(console: "Console", first: str, text: str, style: str | None) -> None:
    from rich.text import Text

    indent = 2 + len(first)
    lines = Text(text).wrap(console, max(20, console.width - indent))
    for number, line in enumerate(lines):
        line.rstrip()
        console.print(Text(("  " + first if number == 0 else " " * indent) + line.plain), style=style)
