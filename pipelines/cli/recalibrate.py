"""`scarecrow recalibrate`: what labels make of the weights of the evidence families."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.rank.recalibrate import Proposal


def recalibrate_command(
    ctx: typer.Context,
    mart: Annotated[str | None, typer.Option(help="File of the mart.", show_default="mart.duckdb")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Put the proposed weights in force.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put the weights from before in force again.")] = False,
    by: Annotated[
        str | None, typer.Option("--by", help="Who applies or takes back.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "labels",
    min_labels: Annotated[
        int, typer.Option(min=5, help="Labels of either side without which a family keeps its weight.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Shows how labels would move the weights of the evidence families, and which ranks that would change. Nothing is
    changed without --apply; --undo takes the last change back. Both count from the next ranking on.

    Example: `scarecrow recalibrate`, then `scarecrow recalibrate --apply --by ana`
    """
    from pipelines.cli.table import print_json
    from pipelines.errors import UsageError
    from pipelines.mart import weights
    from pipelines.mart.open import open_mart
    from pipelines.rank.recalibrate import propose

    path = Path(settings_of(ctx, mart__path=mart).mart.path)
    if (apply or undo) and not by:
        raise UsageError("weights change in somebody's name; add --by NAME")
    if apply and undo:
        raise UsageError("--apply and --undo exclude each other; choose one")
    now_ms = time.time_ns() // 1_000_000
    if undo:
        made = weights.undo(path, by or "", reason, now_ms)
        typer.echo(f"weights in force from the next ranking on: {_told(made.weights)}")
        return
    with open_mart(str(path)) as opened:
        proposal = propose(opened, min_labels)
    if as_json:
        print_json(asdict(proposal) | {"applied": apply and proposal.changes})
    else:
        _show(proposal)
    if apply and proposal.changes:
        weights.apply(path, weights.Calibration(now_ms, by or "", reason, proposal.labels, proposal.weights))
        if not as_json:
            typer.echo(f"applied: {_told(proposal.weights)}. They count from the next `scarecrow rank` on.")
    elif apply and not as_json:
        typer.echo("nothing to apply")


def _show(proposal: "Proposal") -> None:
    from pipelines.cli.table import print_table

    print_table(
        ["family", "weight", "proposed", "labels: harvest", "ordinary", ""],
        [
            [p.family, f"{p.before:.2f}", f"{p.after:.2f}", str(p.harvest), str(p.ordinary), p.says]
            for p in proposal.families
        ],
        right=[1, 2, 3, 4],
    )
    if proposal.changes:
        print("\nranks that would change most:")
        print_table(
            ["", "id", "rank", "would be"],
            [[kind, subject, f"{before:,}", f"{after:,}"] for kind, subject, before, after in proposal.moves],
            right=[2, 3],
        )
    print(f"{proposal.labels} labels in force." + ("" if proposal.changes else " No weight would change."))


def _told(weights: dict[str, float]) -> str:
    return ", ".join(f"{family} {weight:g}" for family, weight in sorted(weights.items())) or "all 1"
