"""`scarecrow settings`: what is in force and where each value comes from."""

from typing import Annotated

import typer

from pipelines.cli.context import settings_of


def settings_command(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """What is in force and where each value comes from; secrets stay hidden.

    Flags win over environment variables, those over the settings file, that over defaults.

    Example: `SCARECROW_INGEST__WORKERS=4 scarecrow --settings prod.toml settings`
    """
    from pipelines.cli.table import print_json, print_table
    from pipelines.settings import setting_rows, settings_hash

    settings = settings_of(ctx)
    rows = setting_rows(settings)
    if as_json:
        listed = [{"name": r.name, "value": r.value, "origin": r.origin, "secret": r.is_secret} for r in rows]
        print_json({"settings_hash": settings_hash(settings), "settings": listed})
        return
    print_table(
        ["setting", "value", "from", "meaning"],
        [[r.name, "" if r.value is None else str(r.value), r.origin, r.meaning] for r in rows],
    )
    typer.echo(f"settings hash {settings_hash(settings)}")
