"""A process of its own that examines rows, so that importing Great Expectations costs the ranking no time.

`scarecrow rank` starts it first and asks it when they are there; meanwhile it has imported the library on the
other core. It ends with its standard input, whatever happens to its parent. Not here: the rules.
"""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

from dagster_project.expectations import Examined, Rows, Rule, examine
from pipelines.errors import ScarecrowError

_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


class Gatekeeper:
    """A process that examines rows. Use as a context manager."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="scarecrow-gate-")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "dagster_project.gatekeeper"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._folder.cleanup()

    def examine(self, name: str, rows: Rows) -> Examined:
        """What `expectations.examine` says, computed there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        path = Path(self._folder.name) / f"{name}.arrow"
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, rows.schema, options=_OPTIONS) as writer,
        ):
            for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
                writer.write_batch(batch)
        try:
            self._process.stdin.write(json.dumps({"suite": name, "path": str(path)}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        path.unlink(missing_ok=True)
        if not answer:
            raise ScarecrowError(
                f"the process that checks {name} ended without an answer; rank again, and if it stays so see whether "
                "`python -c 'import great_expectations'` works"
            )
        found = json.loads(answer)
        return Examined(found["rows"], found["rules"], [Rule(**rule) for rule in found["failed"]])


def _serve() -> None:
    import great_expectations  # noqa: F401  imported while nobody waits yet

    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        with pa.OSFile(asked["path"]) as file, pa.ipc.open_stream(file) as rows:
            answers.write(json.dumps(asdict(examine(asked["suite"], rows))) + "\n")
        answers.flush()


if __name__ == "__main__":
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    _serve()
