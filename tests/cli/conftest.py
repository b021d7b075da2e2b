from pathlib import Path

import pytest

from tests.small_mart import SmallMart


@pytest.fixture(scope="session")
def mart_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary small mart; read it, never write it."""
    return SmallMart().write(tmp_path_factory.mktemp("mart") / "mart.duckdb")
