"""`scarecrow rejects`: what could not be read, why, and where it stands in the source; and read again after a fix."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.ingest.cycle import IngestOptions
    from pipelines.lake.tables import Lake


def rejects_command(
    ctx: typer.Context,
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many single rejects to show.")] = 10,
    reason: Annotated[str | None, typer.Option(help="Only rejects whose reason holds this text.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Read them again where they stand in the source, after a fix.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(help="With --replay: only rejects of this file, glob or topic, read where it is now."),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--format", help="With --replay: the format.", show_default="native")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--format-option", help="With --replay: NAME=VALUE for the format; may be repeated."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="With --replay: mapping file; implies --format mapping.")
    ] = None,
    content_free: Annotated[
        bool, typer.Option("--content-free", help="With --replay: accept records without a prompt.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Rejected records that stand: how many by reason and source, and the newest with position and masked copy.

    With --replay they are read again, with the mapping or format given now: what is a request then counts, once;
    what is not stays a reject. The lake keeps no text, so file or topic must still have them.

    Example: `scarecrow rejects --lake lake --reason event_time`

    Example: `scarecrow rejects --lake lake --replay --mapping mended.yaml`
    """
    from pipelines.cli.ingest import format_options, settings_file
    from pipelines.errors import UsageError
    from pipelines.lake.tables import Lake

    settings = settings_of(ctx, lake__path=lake, ingest__format="mapping" if mapping else log_format)
    opened = Lake(Path(settings.lake.path))
    if not replay:
        given = (source, log_format, option, mapping, content_free or None)
        if any(each is not None for each in given):
            raise UsageError(
                "--source and what belongs to a format go with --replay; add it, or leave them out."
            )
        _show(opened, top, reason, as_json)
        return
    if reason is not None:
        raise UsageError(
            "--reason does not go with --replay: all rejects of a source are read again; leave it out."
        )
    from pipelines.ingest.run import options_of

    options = options_of(settings, format_options(option or [], mapping), content_free)
    _replay(opened, source, options, settings_file(ctx), as_json)


def _show(lake: "Lake", top: int, reason: str | None, as_json: bool) -> None:
    from pipelines.cli.table import print_json, print_table
    from pipelines.lake.rejects import counted, newest

    groups, latest = counted(lake, reason), newest(lake, top, reason)
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


def _replay(
    lake: "Lake", source: str | None, options: "IngestOptions", settings_file: Path | None, as_json: bool
) -> None:
    from dataclasses import asdict

    from pipelines.cli.ingest import now_ms
    from pipelines.cli.progress import IngestProgress
    from pipelines.cli.table import print_json
    from pipelines.ingest.formats import get_format
    from pipelines.ingest.replay import ReplaySource
    from pipelines.ingest.run import ingest
    from pipelines.stopping import Stop

    if options.log_format != "native":
        get_format(options.log_format, dict(options.format_options))
    lake.hours()  # or there is no lake to speak of
    name = "rejects" if source is None else f"rejects of {source}"
    feed = ReplaySource(lake.path, source, settings_file)
    with Stop().on_signals() as stop, IngestProgress(name, quiet=as_json) as progress:
        totals = ingest(
            lake,
            name,
            feed,
            options,
            now_ms,
            False,
            stop,
            progress.on_map,
            progress.on_cycle,
            progress.on_idle,
        )
    left = [
        {"app_id": app_id, "rejects": count, "why": why} for app_id, (why, count) in sorted(feed.left.items())
    ]
    if as_json:
        print_json(asdict(totals) | {"left": left})
        return
    if totals.cycles:
        typer.echo(
            f"{totals.records:,} rejects read again: {totals.rows:,} measured, {totals.duplicates:,} duplicates, "
            f"{totals.rejects:,} rejected again"
        )
    elif not left:
        typer.echo("No rejects.")
    for each in left:
        typer.echo(f"{each['rejects']:,} rejects of {each['app_id']} left as they stand: {each['why']}")
