from pathlib import Path

import pytest

from tests.hostile import HOSTILE
from tests.small_mart import SmallMart


@pytest.fixture(scope="session")
def mart_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary small mart; read it, never write it."""
    return SmallMart().write(tmp_path_factory.mktemp("mart") / "mart.duckdb")


@pytest.fixture(scope="session")
def hostile_mart_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mart in which ids, reasons, evidence, authors and sources are attacks."""
    return SmallMart(ids=HOSTILE, campaign_ids=HOSTILE[:3], texts=HOSTILE, campaign_sizes=(12, 8, 4)).write(
        tmp_path_factory.mktemp("hostile") / "mart.duckdb"
    )
