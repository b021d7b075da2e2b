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
    """What is committed and what waits, per partition or file, asked of the source now.

    Lag of a topic is in offsets and in seconds since the oldest record that waits; rejects are those that stand;
    lost is what retention removed before it was read.

    Example: `scarecrow lag --source kafka://localhost:9092/llm-requests --lake lake`
    """
    from pipelines.cli.ingest import settings_file
    from pipelines.cli.table import print_json, print_table
    from pipelines.ingest.run import open_source
    from pipelines.lake.commit import stand
    from pipelines.lake.tables import Lake
    from pipelines.rank.sources import source_notes

    settings = settings_of(ctx, lake__path=lake)
    opened = Lake(Path(settings.lake.path))
    standing = stand(opened)
    notes = {note.app_id: note for note in source_notes(opened)}
    feed = open_source(
        source, opened.path, settings.ingest.slice_mib << 20, False, settings_file=settings_file(ctx)
    )
    rows = []
    for status in feed.status(standing.position):
        note = notes.get(status.app_id)
        rows.append(
            asdict(status)
            | {
                "rejects": note.rejects if note else 0,
                "lost_records": (note.lost_records if note else 0) + sum(b - a for a, b in status.lost),
            }
        )
    if as_json:
        print_json(rows)
        return
    print_table(
        ["partition", "committed", "log start", "end", "lag records", "lag seconds", "rejects", "lost"],
        [
            [
                row["name"], _number(row["committed"]), _number(row["log_start"]), _number(row["end"]),
                _number(row["lag_records"]), _number(row["lag_seconds"]), _number(row["rejects"]),
                _number(row["lost_records"]),
            ]
            for row in rows
        ],
        right=[1, 2, 3, 4, 5, 6, 7],
        wide=[0],
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
