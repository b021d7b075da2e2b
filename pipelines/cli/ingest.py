"""`scarecrow ingest`: logs from files or Kafka into the lake."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def ingest_command(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Option(help="File, folder, glob in quotes, - for standard input, or kafka://HOST:PORT/TOPIC."),
    ],
    lake: Annotated[str | None, typer.Option(help="Folder of the lake.", show_default="lake")] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="native, litellm, otel, envoy, kong, bedrock, langfuse, or mapping.",
            show_default="native",
        ),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--format-option", help="NAME=VALUE for the format; may be repeated.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping file (YAML) of field paths; implies --format mapping.")
    ] = None,
    runner: Annotated[
        str | None, typer.Option(help="inprocess, prism or dask.", show_default="inprocess")
    ] = None,
    runner_option: Annotated[
        list[str] | None, typer.Option("--runner-option", help="Flag for the Beam runner; may be repeated.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cores of this machine to use.", show_default="all")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep going, one cycle every few seconds.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="Only calls from this time on (RFC 3339 or epoch ms).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only calls before this time.")] = None,
    content_free: Annotated[
        bool, typer.Option("--content-free", help="Accept records without a prompt.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Read the first records and tell what is found and missing; write nothing."
        ),
    ] = False,
    health_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Answer /healthz and Prometheus /metrics on this port of loopback."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Reads API logs and commits account_hours to the lake, every record exactly once.

    Run it again at any time: what is committed already is passed over.

    Example: `scarecrow ingest --source 'logs/*.ndjson.gz' --lake lake`

    Example: `scarecrow ingest --source kafka://localhost:9092/llm-requests --lake lake --follow`
    """
    from dataclasses import asdict

    from pipelines.cli.progress import IngestProgress
    from pipelines.cli.table import print_json
    from pipelines.cli.times import parse_time
    from pipelines.errors import UsageError
    from pipelines.ingest.cycle import IngestOptions
    from pipelines.ingest.formats import get_format
    from pipelines.ingest.run import Stop, ingest, open_source
    from pipelines.ingest.runners import RUNNERS
    from pipelines.lake.tables import Lake
    from pipelines.prompt_map.store import NO_MAP
    from pipelines.settings import hash_key

    settings = settings_of(
        ctx,
        lake__path=lake,
        ingest__format="mapping" if mapping else log_format,
        ingest__runner=runner,
        ingest__workers=workers,
    )
    options = format_options(option or [], mapping)
    name = settings.ingest.format
    if name != "native":
        get_format(name, dict(options))
    if settings.ingest.runner not in RUNNERS:
        raise UsageError(f"runner {settings.ingest.runner} is unknown; choose one of {', '.join(RUNNERS)}")
    since_ms = None if since is None else parse_time("--since", since)
    until_ms = None if until is None else parse_time("--until", until)
    opened = Lake(Path(settings.lake.path))
    feed = open_source(source, opened.path, settings.ingest.slice_mib << 20, follow, since_ms, until_ms)
    if dry_run:
        from pipelines.cli.dry_run import show
        from pipelines.ingest.dry_run import look

        show(look(feed, name, dict(options), now_ms()), as_json)
        return
    workers_in_use = settings.ingest.worker_count()
    request = IngestOptions(
        hash_key=hash_key(settings),
        map_version=NO_MAP,
        runner=settings.ingest.runner,
        runner_options=tuple(runner_option or ()),
        threads=workers_in_use,
        shards=1 if settings.ingest.runner == "inprocess" else workers_in_use,
        cycle_bytes=settings.ingest.cycle_mib << 20,
        dedup_horizon=settings.ingest.dedup_horizon,
        log_format=name,
        format_options=options,
        content_free=content_free,
        since_ms=since_ms,
        until_ms=until_ms,
    )
    health = None
    if health_port is not None:
        from pipelines.ingest.health import Health, serve

        health = Health()
        serve(health, "127.0.0.1", health_port)
    with Stop().on_signals() as stop, IngestProgress(source, quiet=as_json) as progress:
        totals = ingest(
            opened,
            source,
            feed,
            request,
            now_ms,
            follow,
            stop,
            progress.on_map,
            progress.on_cycle,
            progress.on_idle,
            health,
        )
    if as_json:
        print_json(asdict(totals) | {"seconds": progress.seconds, "lake": str(opened.path)})
    else:
        progress.summary(totals)


def now_ms() -> int:
    """The clock, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def format_options(given: list[str], mapping: Path | None) -> tuple[tuple[str, str], ...]:
    """NAME=VALUE pairs of a format; --mapping is its option `file`. Raises UsageError for anything else."""
    from pipelines.errors import UsageError

    pairs = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"--format-option {text} is not NAME=VALUE; write for example account=metadata.user"
            )
        pairs.append((name, value))
    if mapping is not None:
        pairs.append(("file", str(mapping)))
    return tuple(pairs)
