"""Tables on a terminal, and the same rows as CSV or JSON. Every cell is made inert first."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

from pipelines.report.inert import spreadsheet, terminal


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Prints a table; right holds the indices of right-aligned columns. Cells are text, never markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    aligned = set(right)
    for index, name in enumerate(header):
        number = index in aligned
        table.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in rows:
        table.add_row(*(Text(terminal(cell)) for cell in row))
    console = Console(highlight=False)
    # A pipe has no width of its own: rows then stay on one line each.
    console.print(table, width=None if console.is_terminal else 400)


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints CSV that a spreadsheet cannot take for formulas; numbers stay numbers."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([spreadsheet(cell) if isinstance(cell, str) else cell for cell in row])


def print_json(value: object) -> None:
    """Prints JSON in ASCII, so that no id can steer the terminal; times as RFC 3339."""
    print(json.dumps(value, indent=2, ensure_ascii=True, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
