"""What every command may ask of the command line around it: the options before its name, and the settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pipelines.settings import Settings


@dataclass(frozen=True)
class GlobalOptions:
    """Options of `scarecrow` itself. settings_file: the TOML file named by --settings, if any."""

    settings_file: Path | None = None
    debug: bool = False


def settings_of(ctx: typer.Context, **flags: object) -> "Settings":
    """The settings in force with this command's flags on top.

    flags: dotted names with two underscores for the dot (`lake__path=lake`); None means not given.
    """
    from pipelines.settings import load_settings

    options = ctx.find_object(GlobalOptions) or GlobalOptions()
    dotted = {name.replace("__", "."): value for name, value in flags.items()}
    return load_settings(options.settings_file, dotted)
