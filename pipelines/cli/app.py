"""The entry point: global options, and the one place where errors become a sentence and an exit code.

Exit codes: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted by Ctrl-C, 141 the reader of a pipe
left. Commands raise ScarecrowError (1) or UsageError (2) and never print errors themselves.
"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pipelines.cli.context import GlobalOptions
from pipelines.cli.lazy import LazyGroup
from pipelines.cli.usage import sentence
from pipelines.errors import ScarecrowError, UsageError
from pipelines.report.inert import terminal

INTERRUPTED = 128 + signal.SIGINT
READER_LEFT = 128 + signal.SIGPIPE

app = typer.Typer(
    name="scarecrow",
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""
See it work: `scarecrow demo`

Your own logs, in two commands:

`scarecrow ingest --source 'logs/*.ndjson' --lake lake`

`scarecrow rank --lake lake --mart mart.duckdb`

Then: `scarecrow suspects --mart mart.duckdb`, and `scarecrow COMMAND --help` for an example of each.
""",
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"scarecrow {version('scarecrow')}")
        raise typer.Exit


@app.callback()
def scarecrow(
    ctx: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with settings.", envvar="SCARECROW_SETTINGS", show_default="scarecrow.toml"
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Finds harvesting campaigns (model distillation through an API) in LLM API logs."""
    ctx.obj = GlobalOptions(settings, debug)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; errors go to standard error as one sentence.

    `--debug` is accepted anywhere before a lone `--`, so that it can be added to the end of a failed command.
    """
    # Libraries speak when something is wrong; configured before them, or some configure it themselves.
    logging.basicConfig(level=logging.WARNING, format="scarecrow: %(message)s")
    options = list(arguments)
    ahead = options[: options.index("--")] if "--" in options else options
    debug = "--debug" in ahead
    given = [a for a in ahead if a != "--debug"] + options[len(ahead) :]
    try:
        code = app(args=given, prog_name="scarecrow", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.TyperException as error:
        return _wrong_usage(error, given)
    except UsageError as error:
        return _failed(error, 2, debug)
    except ScarecrowError as error:
        return _failed(error, 1, debug)
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as leaving:
        # Typer turns a broken pipe below a command into an exit of its own.
        if isinstance(leaving.__context__, BrokenPipeError):
            return _reader_left()
        raise
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("scarecrow: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:  # the last resort: a person reads one sentence, whatever broke
        return _unexpected(error, debug)


def _reader_left() -> int:
    # `| head` has what it wanted. Without this the interpreter complains when it flushes on exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_LEFT


def _wrong_usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    message = sentence(error, arguments)
    if message:
        typer.echo(f"scarecrow: {terminal(message)}", err=True)
    return error.exit_code


def _failed(error: ScarecrowError, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    typer.echo(f"scarecrow: {terminal(str(error))}", err=True)
    return code


def _unexpected(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    said = terminal(str(error).strip().partition("\n")[0]) or "no message"
    hint = "" if debug else "; run the same command with --debug for the traceback"
    typer.echo(f"scarecrow: unexpected {type(error).__name__}: {said}{hint}", err=True)
    return 1


def main() -> NoReturn:
    """Console script."""
    sys.exit(run(sys.argv[1:]))
