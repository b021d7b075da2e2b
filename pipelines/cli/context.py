"""What every command may ask of the command line around it: the options that stand before the command's name."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GlobalOptions:
    """Options of `scarecrow` itself. settings_file: the TOML file named by --settings, if any."""

    settings_file: Path | None = None
    debug: bool = False
