import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.settings import Settings, load_settings
from tests.small_mart import SmallMart


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith("SCARECROW_"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings_with() -> Callable[..., Settings]:
    """Settings of alerts: names with two underscores for the dot."""

    def made(**flags: object) -> Settings:
        flags = {"first_accounts": 0, **flags}  # campaigns only, unless a test asks for accounts
        return load_settings(flags={f"alerts.{k.replace('__', '.')}": v for k, v in flags.items()})

    return made


@pytest.fixture
def mart(tmp_path: Path) -> Path:
    """Three campaigns of 24, 12 and 6 accounts."""
    return SmallMart(campaign_sizes=(24, 12, 6)).write(tmp_path / "mart.duckdb")
