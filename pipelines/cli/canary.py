"""`scarecrow canary`: answers that were varied or watermarked per account, remembered as keyed hashes."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of

canary_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Register answers that tell who received them.",
    epilog="Example: `scarecrow canary register answers.jsonl`, then `scarecrow trace suspect.jsonl`",
)

_Registry = Annotated[Path, typer.Option("--canaries", help="File of the registry.")]
REGISTRY = Path("canaries.sqlite")


@canary_app.command("register")
def register_command(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines with account_id and text.")],
    canaries: _Registry = REGISTRY,
) -> None:
    """Registers answers as they were given; only keyed hashes are kept. account_id null makes a control.

    Example: `scarecrow canary register answers.jsonl --canaries canaries.sqlite`
    """
    from pipelines.canary.registry import read_given, register
    from pipelines.settings import hash_key

    key = hash_key(settings_of(ctx))
    done = register(canaries, read_given(source), key, time.time_ns() // 1_000_000)
    typer.echo(
        f"{canaries}: {done.answers} answers registered, {done.known} known before, {done.short} too short to tell."
        " Next: scarecrow trace FILE"
    )


@canary_app.command("show")
def show_command(ctx: typer.Context, canaries: _Registry = REGISTRY) -> None:
    """Tells how much is registered.

    Example: `scarecrow canary show --canaries canaries.sqlite`
    """
    from pipelines.canary.registry import read
    from pipelines.settings import hash_key

    answers = read(canaries, hash_key(settings_of(ctx)))
    accounts = {a.account_id for a in answers if a.account_id is not None}
    controls = sum(a.account_id is None for a in answers)
    typer.echo(
        f"{canaries}: {len(answers) - controls} answers to {len(accounts)} accounts, {controls} controls"
    )
