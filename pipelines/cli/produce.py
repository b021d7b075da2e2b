"""`scarecrow produce`: replays a log file into a Kafka topic.

Here: flags and progress. Not here: the replay itself (pipelines.produce).
"""

import time
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def produce_command(
    ctx: typer.Context,
    files: Annotated[
        str, typer.Argument(help="Log in the native format: path, glob in quotes, .gz, .zst, or -.")
    ],
    to: Annotated[str, typer.Option(help="kafka://HOST:PORT/TOPIC")],
    rate: Annotated[float | None, typer.Option(help="Records per second.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="The log's own pace times this factor; 1 is as it was.")
    ] = None,
    shift: Annotated[
        str,
        typer.Option(
            help="Move times: none; start (first record now); end (newest record now); sent (each now)."
        ),
    ] = "none",
    repeat: Annotated[
        int, typer.Option(min=1, help="Send the whole log so often, with fresh event ids.")
    ] = 1,
    create_partitions: Annotated[
        int | None,
        typer.Option("--create", min=1, help="Create a missing topic with so many partitions."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Replays a log into a Kafka topic, for load tests and demonstrations.

    Example: `scarecrow produce log.ndjson.zst --to kafka://localhost:9092/llm-requests --rate 20000 --shift
    sent`
    """
    from rich.console import Console

    from pipelines.errors import UsageError
    from pipelines.ingest.kafka.address import parse_address
    from pipelines.ingest.kafka.admin import shared_admin
    from pipelines.produce import Produced, Replay, produce
    from pipelines.stopping import Stop

    if shift not in ("none", "start", "end", "sent"):
        raise UsageError(f"--shift {shift} is unknown; choose none, start, end or sent.")
    address = parse_address(to)
    settings = settings_of(ctx).kafka
    replay = Replay(rate, speed, shift, repeat)  # type: ignore[arg-type]  # checked above
    admin = shared_admin(settings, address.servers)
    if create_partitions is not None:
        admin.create_topic(address.topic, create_partitions)
    admin.topic(address.topic)

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    began = time.monotonic()
    last = began

    def line(produced: Produced) -> str:
        seconds = max(time.monotonic() - began, 1e-9)
        pace = produced.records / seconds
        return f"{produced.records:,} records, {produced.bytes / 2**20:,.0f} MiB, {pace:,.0f} a second"

    def tell(produced: Produced) -> None:
        nonlocal last
        if not quiet and time.monotonic() - last >= 5:
            last = time.monotonic()
            console.print(line(produced))

    with Stop().on_signals() as stop:
        if quiet or not console.is_terminal:
            done = produce(files, address, settings, replay, tell, stop.event.is_set)
        else:
            with console.status("sending") as status:
                done = produce(
                    files, address, settings, replay, lambda p: status.update(line(p)), stop.event.is_set
                )
    unkeyed = f", {done.unkeyed:,} of them without an account" if done.unkeyed else ""
    typer.echo(f"{line(done)}{unkeyed}, to {address.topic}")
