"""`scarecrow simulate` on the command line."""

import json
from pathlib import Path

import pytest

from pipelines.cli.app import run

SMALL = ["--accounts", "200", "--seed", "4", "--strategy", "relay:15", "--requests-per-account", "10"]


def test_it_writes_a_world_and_tells_what_is_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "world"
    assert run(["simulate", "--out", str(out), *SMALL]) == 0
    shown = capsys.readouterr().out
    assert "15 accounts harvest in 1 campaigns" in shown
    assert "classroom" in shown
    assert {path.name for path in out.iterdir()} == {"requests.ndjson", "truth.json"}


def test_json_and_compressed_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "simulate",
        "--out",
        str(tmp_path),
        *SMALL,
        "--json",
        "--by-day",
        "--compression",
        "gz",
        "--start",
        "2026-03-01",
    ]
    assert run(arguments) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["strategies"] == ["relay"]
    assert content["accounts_by_class"]["relay"] == 15
    assert Path(content["files"][0]).name == "requests-2026-03-01.ndjson.gz"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--strategy", "burglary"], "'burglary' is unknown"),
        (["--start", "yesterday"], "--start yesterday is not a time"),
        (["--corpora", "nowhere"], "nowhere has no harvest"),
        (["--days", "0"], "A world of 0 days"),
    ],
)
def test_wrong_use_is_one_sentence(
    more: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SCARECROW_CORPORA", raising=False)
    assert run(["simulate", "--out", str(tmp_path), "--accounts", "400", *more]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert error.count("\n") == 1
