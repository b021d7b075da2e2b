"""The wheel: every file of the packages is in it, nothing else is, and it works away from the tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "pipelines", "dagster_project", "sql")
LOADS = """
import sys
from pathlib import Path
from pipelines.cli.app import main
import dagster_project.expectations, pipelines, schemas.generate, sql
assert all(Path(m.__file__).is_relative_to(sys.argv[1]) for m in (pipelines, sql, dagster_project.expectations))
assert all(sql.load(name) for folder in ("staging", "marts", "macros", "audits") for name in sql.listed(folder))
sys.argv = ["scarecrow", "simulate", "--out", "world", "--accounts", "200", "--days", "3", "--base-rate", "0"]
main()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    [built] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")))
    return Path(built)


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_it_holds_every_file_of_the_packages(wheel: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: what belongs in the wheel is not known here")
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    tracked = {name for name in listed if (ROOT / name).exists()}
    assert tracked - names(wheel) == set()
    assert {Path(name).suffix for name in tracked} >= {".py", ".sql", ".json", ".yaml", ".j2", ".css", ".js"}


def test_it_holds_no_leftovers(wheel: Path) -> None:
    held = names(wheel)
    assert {name.split("/")[0] for name in held} == set(PACKAGES)
    assert not [name for name in held if "__pycache__" in name or name.endswith((".nbi", ".nbc", ".duckdb"))]


def test_it_works_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    unpacked, away = tmp_path / "unpacked", tmp_path / "away"
    away.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    environment = os.environ | {
        "PYTHONPATH": str(unpacked),
        "HOME": str(away),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOADS, str(unpacked)],
        cwd=away,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (away / "world" / "truth.json").exists()
