"""`scarecrow ingest`: logs from files or Kafka into the lake."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.absent import absent
from pipelines.cli.context import GlobalOptions, settings_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    import pyarrow as pa

    from pipelines.ingest.cycle import BeforeCommit
    from pipelines.settings import Settings


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
    dead_letters: Annotated[
        str | None,
        typer.Option(
            help="kafka://HOST:PORT/TOPIC that also gets every rejected record of a Kafka source, unchanged."
        ),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--log-json", help="Progress and log as JSON lines on standard error.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Reads API logs and commits account_hours to the lake, every record exactly once.

    Run it again at any time: what is committed already is passed over.

    Example: `scarecrow ingest --source 'logs/*.ndjson.gz' --lake lake`

    Example: `scarecrow ingest --source kafka://localhost:9092/llm-requests --lake lake --follow`
    """
    ctx.with_resource(absent("pandas", "pymongo", "bson"))
    from contextlib import ExitStack
    from dataclasses import asdict, replace

    from pipelines.cli.logs import log_json
    from pipelines.cli.progress import IngestProgress
    from pipelines.cli.table import print_json
    from pipelines.cli.times import parse_time
    from pipelines.errors import UsageError
    from pipelines.ingest.formats import get_format
    from pipelines.ingest.run import ingest, open_source, options_of
    from pipelines.ingest.runners import RUNNERS
    from pipelines.lake.tables import Lake
    from pipelines.stopping import Stop

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
    if json_lines:
        log_json()
    opened = Lake(Path(settings.lake.path))
    feed = open_source(
        source, opened.path, settings.ingest.slice_mib << 20, follow, since_ms, until_ms, settings_file(ctx)
    )
    if dry_run:
        from pipelines.cli.dry_run import show
        from pipelines.ingest.dry_run import look

        show(look(feed, name, dict(options), now_ms(), content_free), as_json)
        return
    request = replace(
        options_of(settings, options, content_free),
        runner_options=tuple(runner_option or ()),
        since_ms=since_ms,
        until_ms=until_ms,
    )
    health = None
    if health_port is not None:
        from pipelines.ingest.health import Health, serve

        health = Health()
        serve(health, "127.0.0.1", health_port)
    with ExitStack() as stack:
        stop = stack.enter_context(Stop().on_signals())
        progress = stack.enter_context(IngestProgress(source, quiet=as_json, is_logged=json_lines))
        before_commit = letters_to(dead_letters, source, settings, stack)
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
            before_commit,
            settings.ingest.cycle_seconds,
        )
    if as_json:
        print_json(asdict(totals) | {"seconds": progress.seconds, "lake": str(opened.path)})
    else:
        progress.summary(totals)


def letters_to(address: str | None, source: str, settings: "Settings", stack: "ExitStack") -> "BeforeCommit":
    """What sends a cycle's rejects to a dead-letter topic before the cycle is committed; nothing without an address.

    Raises UsageError for a source whose records have no topic of their own, KafkaUnavailable without the topic.
    """
    if address is None:
        return lambda rejects: None
    from pipelines.errors import UsageError
    from pipelines.ingest.kafka import is_kafka
    from pipelines.ingest.kafka.address import parse_address
    from pipelines.ingest.kafka.admin import shared_admin
    from pipelines.ingest.kafka.dead_letters import DeadLetters

    dead = parse_address(address)
    if not is_kafka(source):
        raise UsageError(
            f"--dead-letters {address} needs a Kafka source and {source} is none; leave it out, a file keeps its "
            "rejected lines."
        )
    origin = parse_address(source)
    if dead == origin:
        raise UsageError(f"--dead-letters {address} is the source itself; name another topic.")
    shared_admin(settings.kafka, dead.servers).topic(dead.topic)
    letters = stack.enter_context(DeadLetters(settings.kafka, dead.servers, dead.topic, origin.servers))

    def send(rejects: "pa.Table") -> None:
        letters.send_rejects(rejects)

    return send


def now_ms() -> int:
    """The clock, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def settings_file(ctx: typer.Context) -> Path | None:
    """The file that --settings names."""
    return (ctx.find_object(GlobalOptions) or GlobalOptions()).settings_file


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
