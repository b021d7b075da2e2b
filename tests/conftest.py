"""Options of the whole suite."""

# `scarecrow ingest` leaves Pandas out of its process (pipelines.cli.absent), and PyArrow asks once whether it is there:
# loaded before the first test that runs a command in the process of others.
import pandas  # noqa: F401
import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None)  # a first example compiles kernels
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--soak`: the long versions of the tests that have one (100,000 broken records, 200 kills, ...)."""
    parser.addoption("--soak", action="store_true", help="run the long versions of tests that have one")
