"""`scarecrow rejects`: what could not be read, why, and where it stands in the source."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def rejects_command(
    ctx: typer.Context,
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many single rejects to show.")] = 10,
    reason: Annotated[str | None, typer.Option(help="Only rejects whose reason holds this text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Rejected records: how many by reason and source, and the newest with position and masked copy.

    Example: `scarecrow rejects --lake lake --reason event_time`
    """
    from pipelines.cli.table import print_json, print_table
    from pipelines.lake.rejects import counted, newest
    from pipelines.lake.tables import Lake

    opened = Lake(Path(settings_of(ctx, lake__path=lake).lake.path))
    groups, latest = counted(opened, reason), newest(opened, top, reason)
    if as_json:
        print_json({"by_reason": groups, "newest": latest})
        return
    if not groups:
        typer.echo("No rejects.")
        return
    print_table(
        ["rejects", "reason", "source"],
        [[f"{g['rejects']:,}", str(g["reason"]), str(g["source"])] for g in groups],
        right=[0], wide=[2],
    )  # fmt: skip
    typer.echo("")
    print_table(
        ["position", "reason", "bytes", "shape"],
        [[str(r["position"]), str(r["reason"]), f"{r['size']:,}", str(r["copy"])[:120]] for r in latest],
        right=[2], wide=[0, 3],
    )  # fmt: skip
