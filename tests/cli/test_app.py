import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli.app import INTERRUPTED, READER_LEFT, run
from pipelines.cli.commands import COMMANDS
from pipelines.errors import ScarecrowError, UsageError
from tests.cli.probe import install

ROOT = Path(__file__).parents[2]
SCARECROW = [sys.executable, "-m", "pipelines.cli"]


def shell(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCARECROW, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_command_and_shows_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for spec in COMMANDS:
        assert spec.name in out
    assert "scarecrow demo" in out


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pipelines.cli.app import run; run(['--help']);"
        "heavy = 'duckdb pyarrow numpy pandas polars apache_beam dagster pydantic jinja2 vl_convert'.split();"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.strip() == "[]"


def command_modules() -> list[str]:
    return [spec.target.partition(":")[0] for spec in COMMANDS]


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_every_command_teaches_by_an_example(spec: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = spec.name  # type: ignore[attr-defined]
    assert run([name, "--help"]) == 0
    out = capsys.readouterr().out
    if "COMMAND [ARGS]" not in out:
        assert "Example" in out
        assert f"scarecrow {name}" in " ".join(out.split())


@pytest.mark.parametrize("module", sorted(set(command_modules())))
def test_command_modules_import_heavy_modules_only_when_they_run(module: str) -> None:
    path = ROOT / "pipelines" / "cli" / f"{module}.py"
    heavy = {
        "duckdb",
        "pyarrow",
        "numpy",
        "pandas",
        "polars",
        "apache_beam",
        "dagster",
        "jinja2",
        "deltalake",
    }
    for node in ast.parse(path.read_text()).body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & heavy, f"{module} imports {names} at the top"


def test_done_is_zero(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, None)
    assert run(["probe", "--number", "3"]) == 0
    assert capsys.readouterr().out == "number 3\n"


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ScarecrowError("The lake x is broken; mend it."), 1, "scarecrow: The lake x is broken; mend it.\n"),
        (UsageError("There is no y; name another."), 2, "scarecrow: There is no y; name another.\n"),
        (
            ValueError("bad thing\nwith more lines"),
            1,
            "scarecrow: unexpected ValueError: bad thing; "
            "run the same command with --debug for the traceback\n",
        ),
        (RuntimeError(), 1, "scarecrow: unexpected RuntimeError: no message; run the same command"),
        (ScarecrowError("id \x1b[31mred\u202e is wrong"), 1, "scarecrow: id \\x1b[31mred\\u202e is wrong\n"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    code: int,
    said: str,
) -> None:
    install(monkeypatch, raised)
    assert run(["probe"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments", [["--debug", "probe"], ["probe", "--debug"], ["probe", "--number", "2", "--debug"]]
)
def test_debug_shows_the_traceback_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    install(monkeypatch, ValueError("bad thing"))
    assert run(arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1] == "scarecrow: unexpected ValueError: bad thing"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "no such command 'frobnicate'; see `scarecrow --help`"),
        (["suspect"], "no such command 'suspect', the nearest is 'suspects'; see `scarecrow --help`"),
        (
            ["canary", "regster"],
            "no such command 'regster', the nearest is 'register'; see `scarecrow canary --help`",
        ),
        (["probe", "--colour"], "there is no option --colour; see `scarecrow probe --help`"),
        (
            ["suspects", "--tap", "3"],
            "there is no option --tap, the nearest is --top; see `scarecrow suspects --help`",
        ),
        (["suspects", "-x"], "there is no option -x; see `scarecrow suspects --help`"),
        (
            ["suspects", "--top", "x"],
            "--top takes a whole number from 1 up, not 'x'; see `scarecrow suspects --help`",
        ),
        (
            ["probe", "--number", "0"],
            "--number takes a whole number from 1 up, not '0'; see `scarecrow probe --help`",
        ),
        (
            ["report", "--top", "501"],
            "--top takes a whole number from 1 to 500, not '501'; see `scarecrow report --help`",
        ),
        (
            ["ingest", "--workers", "many", "--source", "a"],
            "--workers takes a whole number from 1 up, not 'many'; see `scarecrow ingest --help`",
        ),
        (
            ["diff", "a", "b", "--step", "y"],
            "--step takes a number from 0 up, not 'y'; see `scarecrow diff --help`",
        ),
        (
            ["explain", "a", "--kind", "\x1b[31mz"],
            "--kind takes account or campaign, not '\\x1b[31mz'; see `scarecrow explain --help`",
        ),
        (
            ["enforce", "appeal", "a", "shut", "--by", "b", "--reason", "c"],
            "state takes open or granted or rejected or withdrawn, not 'shut'; "
            "see `scarecrow enforce appeal --help`",
        ),
        (["explain"], "ID is missing; see `scarecrow explain --help`"),
        (["simulate"], "--out is missing; see `scarecrow simulate --help`"),
        (["suspects", "--top"], "option '--top' requires an argument; see `scarecrow suspects --help`"),
        (["suspects", "--json=3"], "option '--json' does not take a value; see `scarecrow suspects --help`"),
        (
            ["suspects", "acct-1"],
            "got unexpected extra argument(s) (acct-1); see `scarecrow suspects --help`",
        ),
    ],
)
def test_wrong_usage_is_one_sentence_and_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    install(monkeypatch, None)
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"scarecrow: {said}\n"


def test_an_import_error_is_told_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere"))
    assert run(["probe"]) == 1
    assert "unexpected ModuleNotFoundError" in capsys.readouterr().err


def test_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, KeyboardInterrupt())
    assert run(["probe"]) == INTERRUPTED == 130


def test_ctrl_c_of_a_real_process() -> None:
    program = (
        "import sys, time, types, signal; from pipelines.cli import lazy; from pipelines.cli.app import main;"
        "from pipelines.cli.commands import CommandSpec;"
        "m = types.ModuleType('pipelines.cli.sleeper');\n"
        "def sleeper():\n    print('ready', flush=True); time.sleep(60)\n"
        "m.sleeper = sleeper; sys.modules[m.__name__] = m;"
        "lazy.COMMANDS = (CommandSpec('sleeper', 's', 'sleeper:sleeper', 'T'),);"
        "sys.argv = ['scarecrow', 'sleeper']; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores SIGINT, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize("flushed", ["", "1"])
def test_a_reader_that_leaves_is_no_error(flushed: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*SCARECROW, "settings"],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": flushed},
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == READER_LEFT == 141
    assert done.stderr == ""


def test_the_version_is_told() -> None:
    done = shell("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("scarecrow ")


def test_the_settings_file_may_come_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[ingest]\nworkers = 7\n")
    done = shell("settings", "--json", environment={"SCARECROW_SETTINGS": str(file)})
    assert '"value": 7' in done.stdout
    assert str(file) in done.stdout
