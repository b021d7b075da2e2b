"""`scarecrow trace`: which accounts received the answers found in a suspect data set or model output."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def trace_command(
    ctx: typer.Context,
    suspect: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines or text.")],
    canaries: Annotated[
        Path | None, typer.Option(help="Registry of canaries.", show_default="canaries.sqlite")
    ] = None,
    lake: Annotated[
        str | None, typer.Option(help="Look for all logged answers of this lake instead.", show_default=False)
    ] = None,
    horizon: Annotated[str, typer.Option(help="How far back in the lake.")] = "90d",
    top: Annotated[int, typer.Option(min=1, help="How many accounts to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Tells who received the answers found in FILE, each with the probability of so much by accident.

    With canaries, only registered answers count; with --lake, the sampled hashes of every answer that was logged.

    Example: `scarecrow trace suspect.jsonl --canaries canaries.sqlite`
    """
    from dataclasses import asdict

    from pipelines.canary.suspect import suspect_shingles
    from pipelines.canary.trace import trace_accounts, trace_answers
    from pipelines.cli.table import print_json, print_table
    from pipelines.cli.times import parse_days
    from pipelines.errors import UsageError
    from pipelines.mart.words import probability
    from pipelines.settings import hash_key

    if canaries is not None and lake is not None:
        raise UsageError("--canaries and --lake exclude each other; choose one.")
    key = hash_key(settings_of(ctx))
    if lake is not None:
        from pipelines.canary.lake import received_shingles
        from pipelines.lake.tables import Lake

        accounts, received = received_shingles(Lake(Path(lake)), parse_days("--horizon", horizon))
        found = trace_accounts(accounts, received, suspect_shingles(suspect, key))
        unit = "hashes"
    else:
        from pipelines.canary.registry import read
        from pipelines.cli.canary import REGISTRY

        registry = canaries or REGISTRY
        answers = read(registry, key)
        if not answers:
            raise UsageError(
                f"the registry {registry} holds no answers, so that nothing could be found; "
                "register them with `scarecrow canary register FILE`"
            )
        found = trace_answers(answers, suspect_shingles(suspect, key))
        unit = "answers"
    if as_json:
        print_json(asdict(found))
        return
    print_table(
        ["account", f"{unit} found", "of", "by accident"],
        [[m.account_id, f"{m.found:,}", f"{m.units:,}", probability(m.p_value)] for m in found.matches[:top]],
        right=[1, 2],
    )
    typer.echo(
        f"{len(found.matches):,} of {found.accounts:,} accounts with a match; {found.units:,} {unit} looked for, "
        f"{found.controls_found} of {found.controls} controls found; chance of any hash collision below "
        f"{found.collision_p:.1g}"
    )
