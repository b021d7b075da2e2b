"""Tables on a terminal, and the same rows as CSV or JSON. Every cell is made inert first."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import typer

from pipelines.errors import UsageError
from pipelines.report.inert import spreadsheet, terminal


def one_format(as_json: bool, as_csv: bool) -> None:
    """Raises UsageError when both formats are asked for."""
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; choose one.")


def print_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Iterable[int] = (),
    wide: Iterable[int] = (),
) -> None:
    """Prints a table. right: indices of right-aligned columns. wide: columns that are broken before others.

    Cells are text, never markup. Into a pipe every row is one line.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    aligned, foldable = set(right), set(wide)
    for index, name in enumerate(header):
        number = index in aligned
        table.add_column(
            name,
            justify="right" if number else "left",
            no_wrap=bool(foldable) and index not in foldable,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(terminal(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table, crop=False)


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints CSV that a spreadsheet cannot take for formulas; numbers stay numbers."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([_cell(value) for value in row])


def _cell(value: object) -> object:
    if isinstance(value, list):
        return spreadsheet("; ".join(str(part) for part in value))
    if isinstance(value, datetime):
        return value.isoformat()
    return spreadsheet(value) if isinstance(value, str) else value


def print_json(value: object) -> None:
    """Prints JSON in ASCII, so that no id can steer the terminal; times as RFC 3339."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
