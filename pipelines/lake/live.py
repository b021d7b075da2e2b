"""Which files of account_hours and account_days are live, and which days hold what their hours hold.

A day's file carries in its name the fingerprint of the hour files that it was folded from. Readers take the day
only while that fingerprint is the one of the live hour files, so a late hour never goes missing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from pipelines.lake.tables import Lake
from schemas.account_hour import ACCOUNT_DAYS


@dataclass(frozen=True)
class HourFile:
    """A live file of account_hours. path: relative to the table."""

    path: str
    epoch_hour: int
    rows: int
    size: int


@dataclass(frozen=True)
class DayFile:
    """A live file of account_days. day: days since 1970."""

    path: str
    day: int
    rows: int

    @property
    def fingerprint(self) -> str:
        """Of the hour files that it was folded from."""
        return self.path.rsplit("/", 1)[-1].split("-", 1)[0]


def hour_files(table: DeltaTable) -> list[HourFile]:
    """The live files of account_hours, in order of hour and path."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if actions.num_rows == 0:
        return []
    found = zip(
        actions["path"].to_pylist(), _days(actions), actions["partition.hour"].to_pylist(),
        actions["num_records"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True,
    )  # fmt: skip
    files = [
        HourFile(path, day * 24 + int(hour), int(rows), int(size)) for path, day, hour, rows, size in found
    ]
    return sorted(files, key=lambda file: (file.epoch_hour, file.path))


def day_files(table: DeltaTable) -> list[DayFile]:
    """The live files of account_days, in order of day."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if actions.num_rows == 0:
        return []
    found = zip(actions["path"].to_pylist(), _days(actions), actions["num_records"].to_pylist(), strict=True)
    return sorted((DayFile(path, day, int(rows)) for path, day, rows in found), key=lambda f: (f.day, f.path))


def _days(actions: pa.Table) -> list[int]:
    days: list[int] = pc.cast(pc.cast(actions["partition.date"], pa.date32()), pa.int32()).to_pylist()
    return days


def fingerprint(files: Iterable[HourFile]) -> str:
    """Tells whether a day was folded from exactly these files."""
    names = "\n".join(sorted(file.path for file in files))
    return hashlib.blake2b(names.encode(), digest_size=10).hexdigest()


def by_day(files: Iterable[HourFile]) -> dict[int, list[HourFile]]:
    """Hour files of each day, days ascending."""
    days: dict[int, list[HourFile]] = defaultdict(list)
    for file in sorted(files, key=lambda file: (file.epoch_hour, file.path)):
        days[file.epoch_hour // 24].append(file)
    return dict(days)


def fresh_days(lake: Lake, hours: Iterable[HourFile]) -> dict[int, DayFile]:
    """The day files that hold exactly what the given live hour files hold, by day."""
    wanted = {day: fingerprint(files) for day, files in by_day(hours).items()}
    return {
        file.day: file
        for file in day_files(lake.table(ACCOUNT_DAYS))
        if wanted.get(file.day) == file.fingerprint
    }
