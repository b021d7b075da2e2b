"""What the documents tell a reader to type is there: commands with their options and values, make targets, settings."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from pipelines.cli.app import app
from pipelines.cli.commands import COMMANDS
from pipelines.cli.lazy import load
from pipelines.settings import load_settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "infra" / "RUNBOOK.md", *sorted((ROOT / "docs").glob("*.md"))]
SPECS = {spec.name: spec for spec in COMMANDS}


def typed(text: str) -> Iterator[str]:
    """Command lines in blocks (with or without `$`) and between backticks."""
    outside = []
    for index, part in enumerate(text.split("```")):
        if index % 2:
            lines = part.replace("\\\n", " ").splitlines()[1:]
            yield from (line.strip().removeprefix("$ ") for line in lines)
        else:
            outside.append(part)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", "\n".join(outside)))


def commands(text: str) -> Iterator[list[str]]:
    """Arguments of every `scarecrow ...` in a text, up to a pipe or a redirection; of a|b the first."""
    for line in typed(text):
        if line.startswith("scarecrow "):
            words = shlex.split(line, comments=True)[1:]
            ends = [i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")]
            yield [word.partition("|")[0] for word in (words[: ends[0]] if ends else words)]


def refused(words: list[str]) -> str:
    """What the option library finds wrong; empty when it would run, or when it is only shortened."""
    name = words[0]
    if name.startswith("-"):
        command, rest = typer.main.get_command(app), words
    elif name not in SPECS:
        return f"no command {name}"
    else:
        command, rest = load(SPECS[name]), words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        if rest and hasattr(command, "commands") and not rest[0].startswith("-"):
            return f"no command {name} {rest[0]}"
    try:
        command.make_context("scarecrow", [word for word in rest if word != "--debug"])
    except typer.TyperException as error:
        return "" if hasattr(error, "param_type") else error.format_message()
    except typer.Exit:  # --help, --version
        return ""
    return ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_the_documents_exist_with_their_options(document: Path) -> None:
    wrong = {" ".join(words): said for words in commands(document.read_text()) if (said := refused(words))}
    assert wrong == {}


def helps() -> dict[str, str]:
    """Help texts of all commands and sub-commands."""
    found = {}
    for spec in COMMANDS:
        command = load(spec)
        below = getattr(command, "commands", {})
        for name, one in {"": command, **below}.items():
            found[f"{spec.name} {name}".strip()] = f"{one.help or ''}\n{one.epilog or ''}"
    return found


@pytest.mark.parametrize(("name", "text"), helps().items(), ids=list(helps()))
def test_examples_of_the_help_exist_with_their_options(name: str, text: str) -> None:
    wrong = {" ".join(words): said for words in commands(text) if (said := refused(words))}
    assert wrong == {}


def test_the_documents_have_commands_and_a_wrong_one_is_found() -> None:
    assert sum(len(list(commands(document.read_text()))) for document in DOCUMENTS) > 50
    block = "```\n$ scarecrow suspects --tap 3 \\\n  --mart m | head   # comment\n```"
    assert list(commands(block)) == [["suspects", "--tap", "3", "--mart", "m"]]
    assert "--tap" in refused(["suspects", "--tap", "3"])
    assert refused(["suspects", "--top", "x"]) != ""
    assert refused(["canary", "regster", "a"]) != ""
    assert refused(["suspcts"]) != ""
    assert refused(["ingest", "--follow"]) == ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_and_variables_of_the_documents_exist(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[1] for line in typed(text) if line.startswith("make ")} <= targets
    for name in set(re.findall(r"SCARECROW_[A-Z]+__[A-Z_]+", text)):
        monkeypatch.setenv(name, "2026-01-01" if name.endswith("DAY") else "a value that is long enough")
        load_settings(None, {})  # raises for a name that is no setting
