from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ScarecrowError, UsageError
from pipelines.mart.build import last_run
from pipelines.mart.open import open_mart
from pipelines.mart.queries import ranked, suspects
from tests.small_mart import SmallMart


def test_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"nowhere\.duckdb does not exist; make it with"),
        open_mart(str(tmp_path / "nowhere.duckdb")),
    ):
        pass


def test_what_a_mart_was_made_of_can_be_asked_while_it_is_read(mart_file: Path) -> None:
    """In one process: Dagster's sensors and schedules are evaluated side by side."""
    with open_mart(str(mart_file)) as mart:
        made = last_run(mart_file)
        assert made is not None
        assert mart.rows("SELECT max(lake_version) FROM runs") == [(made.basis[0],)]


def test_a_folder_is_no_mart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"), open_mart(str(tmp_path)):
        pass


@pytest.mark.parametrize("content", [b"", b"not a database", b"\x00" * 9000, bytes(range(256)) * 64])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mart.duckdb"
    path.write_bytes(content)
    with pytest.raises(ScarecrowError, match=r"cannot be read .*make it anew") as error, open_mart(str(path)):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [100, 4096, 0.3, 0.7])
def test_a_truncated_mart(mart_file: Path, tmp_path: Path, kept: float) -> None:
    whole = mart_file.read_bytes()
    path = tmp_path / "mart.duckdb"
    path.write_bytes(whole[: int(kept if kept > 1 else kept * len(whole))])
    with pytest.raises(ScarecrowError, match="cannot be read"), open_mart(str(path)) as mart:
        suspects(mart, 1000)


def test_damage_found_only_while_reading(mart_file: Path, tmp_path: Path) -> None:
    whole = bytearray(mart_file.read_bytes())
    # Every block after the headers is overwritten in its middle: opening may succeed, reading must not lie.
    for start in range(3 * 4096, len(whole) - 4096, 4096):
        whole[start + 100 : start + 200] = b"\xff" * 100
    path = tmp_path / "mart.duckdb"
    path.write_bytes(bytes(whole))
    with pytest.raises(ScarecrowError, match="cannot be read"), open_mart(str(path)) as mart:
        suspects(mart, 1000)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP TABLE runs", "runs.as_of is missing"),
        ("ALTER TABLE suspect_accounts DROP COLUMN p_value", "suspect_accounts.p_value is missing"),
        ("ALTER TABLE labels ALTER author TYPE INTEGER USING 1", "labels.author is INTEGER"),
    ],
)
def test_a_mart_of_another_version(tmp_path: Path, change: str, told: str) -> None:
    path = SmallMart(accounts=20, campaign_sizes=(4,)).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(change)
    with pytest.raises(ScarecrowError, match=f"another version of Scarecrow .{told}"), open_mart(str(path)):
        pass


def test_additional_columns_are_no_other_version(tmp_path: Path) -> None:
    path = SmallMart(accounts=20, campaign_sizes=(4,)).write(tmp_path / "mart.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE runs ADD COLUMN note VARCHAR")
    with open_mart(str(path)) as mart:
        assert ranked(mart) == (20, 1)


def test_reading_changes_nothing_and_reaches_nothing_else(mart_file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a\n1\n")
    with open_mart(str(mart_file)) as mart:
        with pytest.raises(duckdb.Error, match="read-only"):
            mart.connection.execute("DELETE FROM labels")
        with pytest.raises(duckdb.Error, match="disabled"):
            mart.connection.execute("FROM read_csv($1)", [str(tmp_path / "other.csv")])


def test_times_are_utc_whatever_the_machine_says(mart_file: Path) -> None:
    with open_mart(str(mart_file)) as mart:
        first = suspects(mart, 1)[0]
    assert first.as_of.utcoffset() is not None
    assert first.as_of.isoformat() == "2026-11-14T00:00:00+00:00"
