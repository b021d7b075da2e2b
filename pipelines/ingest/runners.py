"""Beam runners by name. Always named: Beam's default tries to download one."""

import os
import shutil
from collections.abc import Sequence
from typing import Any, Final

from pipelines.errors import UsageError

RUNNERS: Final = ("inprocess", "prism", "dask")
PRISM_VARIABLE: Final = "SCARECROW_PRISM"


def make_runner(name: str) -> Any:
    """A runner object. Raises UsageError for an unknown name or one whose parts are not installed."""
    if name == "inprocess":
        from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

        return FnApiRunner()
    if name == "prism":
        return "PrismRunner"
    if name == "dask":
        try:
            from apache_beam.runners.dask.dask_runner import DaskRunner
        except ImportError as error:
            raise UsageError("runner dask needs Dask; install scarecrow[dask] and try again") from error
        return DaskRunner()
    raise UsageError(f"runner {name} is unknown; choose one of {', '.join(RUNNERS)}")


def runner_flags(name: str, given: Sequence[str]) -> list[str]:
    """Beam flags for a runner: those given, and what it cannot do without.

    Prism: where its binary is (unless given; Beam would download it), workers in this process, and a job server
    that does not end a job that waits. Raises UsageError when there is no binary.
    """
    flags = list(given)
    if name != "prism":
        return flags
    if not any(flag.startswith("--prism_location") for flag in flags):
        binary = os.environ.get(PRISM_VARIABLE) or shutil.which("prism")
        if binary is None:
            raise UsageError(
                "runner prism needs the prism binary on PATH or named by SCARECROW_PRISM; build it with `go install "
                "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0`"
            )
        flags.append(f"--prism_location={binary}")
    return [*flags, "--environment_type=LOOPBACK", "--job_server_timeout=86400"]
