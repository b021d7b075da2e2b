"""`scarecrow diff`: what another mart ranks differently."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.mart.diff import Difference, Moved


def diff_command(
    a: Annotated[Path, typer.Argument(metavar="A", help="A mart.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The mart to compare with it.")],
    top: Annotated[
        int, typer.Option(min=1, help="Accounts that count as ranked high; campaigns all count.")
    ] = 100,
    step: Annotated[float, typer.Option(min=0, help="Nats from which a score has moved.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """What B ranks differently from A, and why: entered, left, rose, fell, and how the two were made.

    Example: `scarecrow diff mart.duckdb mart.shadow.duckdb`
    """
    from pipelines.cli.table import print_json
    from pipelines.mart.diff import compare

    found = compare(a, b, top, step)
    if as_json:
        print_json(asdict(found))
        return
    show(found)


def show(found: "Difference", most: int = 15) -> None:
    """Tables of a difference, the first `most` of each part."""
    from pipelines.cli.table import print_table
    from pipelines.report.inert import terminal

    for name, (before, after) in found.made_of.items():
        print(f"{name}: {terminal(before)} -> {terminal(after)}")
    for other, name in found.matched.items():
        print(f"campaign {terminal(other)} of B is {terminal(name)} of A")
    for part, moved in (
        ("entered", found.entered), ("left", found.left), ("rose", found.rose), ("fell", found.fell),
    ):  # fmt: skip
        if not moved:
            continue
        print(f"\n{part}: {len(moved):,}")
        print_table(["", "id", "rank", "score", "why"], [_row(m) for m in moved[:most]], wide=[1, 4])
        if len(moved) > most:
            print(f"... and {len(moved) - most:,} more (--json lists all)")
    if not (found.entered or found.left or found.rose or found.fell):
        print(f"Nothing moved among the first {found.k:,} accounts and all campaigns.")


def _row(moved: "Moved") -> list[str]:
    def side(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return [
        moved.kind,
        moved.id,
        f"{side(moved.rank_a, ',')} -> {side(moved.rank_b, ',')}",
        f"{side(moved.score_a, '.1f')} -> {side(moved.score_b, '.1f')}",
        ", ".join(f"{family} {nats:+.2f}" for family, nats in list(moved.why.items())[:4]),
    ]
