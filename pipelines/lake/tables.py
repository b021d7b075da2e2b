"""The lake's Delta tables: create, open, and read by file list.

Belongs here: where tables lie and how they are opened. Not here: committing (`commit`), compaction (`compact`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from pipelines.errors import ScarecrowError, UsageError
from pipelines.lake.durable import sync_folders, sync_log
from schemas.account_hour import ACCOUNT_DAYS, ACCOUNT_HOURS, REJECTS
from schemas.describe import Relation

CONFIGURATION: Final = {
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
    "delta.checkpointInterval": "50",
}
PARTITION_TYPES: Final = {"date": pa.date32(), "hour": pa.int32()}


def table_schema(relation: Relation) -> pa.Schema:
    """Columns of the Delta table: those of the relation, nullable for readers' sake, and the partition columns."""
    fields = [pa.field(field.name, field.type) for field in relation.arrow()]
    return pa.schema([*fields, *(pa.field(name, PARTITION_TYPES[name]) for name in relation.partition_by)])


@dataclass(frozen=True)
class Lake:
    """A lake in a folder."""

    path: Path

    def create(self) -> None:
        """Make the tables that are missing. Safe when several processes do it at once."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "prompt_maps").mkdir(exist_ok=True)
            for relation in (ACCOUNT_HOURS, ACCOUNT_DAYS, REJECTS):
                self._create_table(relation)
        except OSError as error:
            raise ScarecrowError(
                f"lake {self.path} cannot be made ({error.strerror}); choose a folder that can be written to"
            ) from error

    def _create_table(self, relation: Relation) -> None:
        folder = self.path / relation.name
        if DeltaTable.is_deltatable(str(folder)):
            return
        try:
            DeltaTable.create(
                str(folder),
                schema=table_schema(relation),
                mode="ignore",
                partition_by=list(relation.partition_by),
                name=relation.name,
                description=relation.meaning,
                configuration=CONFIGURATION,
            )
        except DeltaError:
            # Another process made it between the look and the attempt.
            if not DeltaTable.is_deltatable(str(folder)):
                raise
        sync_log(folder, DeltaTable(str(folder)))
        sync_folders(self.path, [folder / "_delta_log"])

    def table(self, relation: Relation) -> DeltaTable:
        """A fresh handle on one table."""
        folder = self.path / relation.name
        try:
            return DeltaTable(str(folder))
        except TableNotFoundError as error:
            raise UsageError(
                f"{self.path} is no lake (it has no {relation.name}); name the folder that `scarecrow ingest "
                "--lake` wrote, or ingest first"
            ) from error
        except (DeltaError, OSError) as error:
            raise ScarecrowError(
                f"lake {self.path} cannot be read ({relation.name}: {type(error).__name__}); restore its "
                "_delta_log from a backup or ingest anew into another folder"
            ) from error

    def hours(self) -> DeltaTable:
        """A fresh handle on account_hours."""
        return self.table(ACCOUNT_HOURS)


def read(
    table: DeltaTable, relation: Relation, files: Sequence[str], columns: Sequence[str] | None = None
) -> pa.Table:
    """Rows of the given files (absolute paths of the table) with the relation's columns, without partition columns."""
    schema = relation.arrow()
    if not files:
        return schema.empty_table() if columns is None else schema.empty_table().select(list(columns))
    dataset = pads.dataset(list(files), schema=schema, format="parquet")
    return dataset.to_table(columns=None if columns is None else list(columns))
