"""The one place where wrong usage of a command, found by the option library, becomes Scarecrow's own sentence.

The library's kinds of error are private to it; they are told apart by the attributes that its base classes document.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from pipelines.cli.commands import COMMANDS

_COMMANDS = frozenset(spec.name for spec in COMMANDS)


def sentence(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """One sentence with the thing, the value and the remedy; empty where the library has shown the help itself."""
    said = _said(error)
    return f"{said}; see `{_command(error, arguments)} --help`" if said else ""


def _said(error: Any) -> str:
    parameter = getattr(error, "param", None)
    if parameter is not None and hasattr(error, "param_type"):
        return f"{_name(parameter)} is missing"
    if parameter is not None:
        return _refused(error, parameter)
    if hasattr(error, "possibilities"):
        nearest = error.possibilities
        there_is = f", the nearest is {' or '.join(sorted(nearest))}" if nearest else ""
        return f"there is no option {error.option_name}{there_is}"
    message = str(error.format_message())  # such as: No such command 'x'. Did you mean 'y'?
    return (message[:1].lower() + message[1:]).replace("'. Did you mean ", "', the nearest is ").rstrip("?.")


def _refused(error: Any, parameter: Any) -> str:
    """A value of a wrong type, out of range, or outside a list."""
    errors = getattr(error.__cause__, "errors", None)
    if errors is None:
        return f"{_name(parameter)}: {str(error.message).rstrip('.')}"
    first: Mapping[str, Any] = errors()[0]
    wanted = _wanted(parameter.type_descriptor, str(first["type"]))
    takes = f"takes {wanted}" if wanted else f"cannot take it ({first['msg']})"
    return f"{_name(parameter)} {takes}, not {first['input']!r}"


def _wanted(descriptor: Any, kind: str) -> str:
    if descriptor.choices:
        return " or ".join(str(choice) for choice in descriptor.choices)
    is_whole = kind.startswith("int") or "int" in str(descriptor.annotation)
    if not (is_whole or kind.startswith("float") or "float" in str(descriptor.annotation)):
        return ""
    low, high = descriptor.parameter_info.min, descriptor.parameter_info.max
    lowest = "" if low is None else f" from {low}" + (" up" if high is None else "")
    highest = "" if high is None else f" to {high}"
    return f"a {'whole ' if is_whole else ''}number{lowest}{highest}"


def _name(parameter: Any) -> str:
    """`--top`, or the name of an argument as the help writes it."""
    options = [name for name in parameter.opts if name.startswith("--")]
    return options[0] if options else str(parameter.get_error_hint()).strip("'")


def _command(error: Any, arguments: Sequence[str]) -> str:
    """Errors of the library's parser carry no context; the first word that is a command names it then."""
    context = getattr(error, "ctx", None)
    if context is not None:
        return str(context.command_path)
    return " ".join(["scarecrow", *[a for a in arguments if a in _COMMANDS][:1]])
