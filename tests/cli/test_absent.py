"""What a command leaves out of its process."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli.absent import absent
from tests.ingest.lakes import write_log
from tests.ingest.records import log


def test_a_package_that_is_left_out_is_not_found_inside_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with absent("wave"), pytest.raises(ModuleNotFoundError, match="wave"):
        import wave
    import wave

    with absent("wave"):
        import wave as again
    assert again is wave


INGEST = """
import sys
from pipelines.cli.app import run
code = run(["ingest", "--source", sys.argv[1], "--lake", sys.argv[2]])
assert "apache_beam" in sys.modules
print(code, *sorted({"pandas", "pymongo", "bson", "sklearn", "polars", "matplotlib"} & set(sys.modules)))
"""


def test_an_ingest_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    source = write_log(tmp_path / "log.ndjson", log(1, 2_500))
    done = subprocess.run(
        [sys.executable, "-c", INGEST, str(source), str(tmp_path / "lake")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "0", done.stdout + done.stderr
    assert list((tmp_path / "lake" / "prompt_maps").iterdir())
