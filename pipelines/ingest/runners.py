"""Beam runners by name. Always named: Beam's default tries to download one."""

from typing import Any, Final

from pipelines.errors import UsageError

RUNNERS: Final = ("inprocess", "prism", "dask")


def make_runner(name: str) -> Any:
    """A runner object. Raises UsageError for an unknown name or one whose parts are not installed."""
    if name == "inprocess":
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

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
