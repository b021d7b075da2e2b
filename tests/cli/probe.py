"""Stands in for a command module, so that the way of an error through the command line can be watched."""

import sys
from types import ModuleType
from typing import Annotated

import pytest
import typer

from pipelines.cli import commands, lazy
from pipelines.cli.commands import CommandSpec


def install(monkeypatch: pytest.MonkeyPatch, raised: BaseException | None) -> None:
    """Adds a command `probe` that raises what is given, or prints its number."""

    def probe_command(number: Annotated[int, typer.Option(min=1)] = 1) -> None:
        """Probes.

        Example: `scarecrow probe --number 2`
        """
        if raised is not None:
            raise raised
        typer.echo(f"number {number}")

    module = ModuleType("pipelines.cli.probe_module")
    module.probe_command = probe_command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipelines.cli.probe_module", module)
    specs = (*commands.COMMANDS, CommandSpec("probe", "Probes.", "probe_module:probe_command", "Test"))
    monkeypatch.setattr(lazy, "COMMANDS", specs)
