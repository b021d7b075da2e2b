"""`scarecrow lag`: how far the lake is behind a source."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def lag_command(
    ctx: typer.Context,
    source: Annotated[str, typer.Option(help="File, folder, glob in quotes, or kafka://HOST:PORT/TOPIC.")],
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """What is committed and what waits, per partition or file.

    Example: `scarecrow lag --source kafka://localhost:9092/llm-requests --lake lake`
    """
    from pipelines.cli.ingest import settings_file
    from pipelines.cli.table import print_json, print_table
    from pipelines.ingest.run import open_source
    from pipelines.lake.commit import stand
    from pipelines.lake.notes import read_note
    from pipelines.lake.tables import Lake

    settings = settings_of(ctx, lake__path=lake)
    opened = Lake(Path(settings.lake.path))
    standing = stand(opened)
    feed = open_source(
        source, opened.path, settings.ingest.slice_mib << 20, False, settings_file=settings_file(ctx)
    )
    rows = []
    for status in feed.status(standing.position):
        note = read_note(opened.path, status.app_id, status.committed or 0)
        rows.append(asdict(status) | {"rejects": note.rejects if note else 0})
    if as_json:
        print_json(rows)
        return
    print_table(
        ["partition", "committed", "log start", "end", "lag records", "lag seconds", "rejects", "lost"],
        [
            [
                row["name"], _number(row["committed"]), _number(row["log_start"]), _number(row["end"]),
                _number(row["lag_records"]), _number(row["lag_seconds"]), _number(row["rejects"]),
                _number(sum(end - start for start, end in row["lost"])),
            ]
            for row in rows
        ],
        right=[1, 2, 3, 4, 5, 6, 7],
        wide=[0],
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
