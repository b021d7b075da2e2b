"""A Typer group that knows its commands from the table and imports each one only when it is run."""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from pipelines.cli.commands import COMMANDS, CommandSpec


class _Placeholder(TyperCommand):
    """Stands for a command in help texts and completion until it is run."""

    def __init__(self, spec: CommandSpec) -> None:
        super().__init__(
            name=spec.name, help=spec.summary, short_help=spec.summary, rich_help_panel=spec.panel
        )
        self.spec = spec


class LazyGroup(TyperGroup):
    """`scarecrow` itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for spec in COMMANDS:
            self.add_command(_Placeholder(spec), spec.name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As in the base class, with the real command in place of its placeholder."""
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, _Placeholder):
            command = load(command.spec)
        return name, command, rest


def load(spec: CommandSpec) -> Any:
    """The command behind a line of the table. Raises what its module raises when it is imported."""
    module_name, _, attribute = spec.target.partition(":")
    target = getattr(importlib.import_module(f"pipelines.cli.{module_name}"), attribute)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    application = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    application.command(spec.name)(target)
    return typer.main.get_command(application)
