"""Where the steps of one ranking leave what the next ones need: a folder beside the mart, gone afterwards.

Belongs here: storing and finding step results. Steps run as separate assets, possibly in separate processes;
those of one process may keep their results in memory instead. Large tables that only the mart reads are files always.
"""

import pickle
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ScarecrowError
from pipelines.replacing import replacing

STALE_SECONDS: Final = 2 * 86_400
"""Age of a workspace that a killed ranking left behind and nobody will come back to."""


@dataclass(frozen=True)
class Workspace:
    """Step results of one ranking, by name. Only what this product wrote itself is ever loaded.

    memory: what is `put` is kept there instead of in files, for steps that share a process.
    """

    folder: Path
    memory: dict[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def beside(cls, mart: Path, key: str, memory: dict[str, Any] | None = None) -> "Workspace":
        """The workspace of a mart and a key that tells rankings apart (a run, for example)."""
        return cls(mart.with_name(f".{mart.name}.work") / key, memory)

    @property
    def draft(self) -> Path:
        """Where the next mart is built."""
        return self.folder / "draft.duckdb"

    def scratch(self) -> Path:
        """The folder, made: for files that a step itself removes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder

    def put(self, name: str, value: object) -> None:
        """Keep a result."""
        if self.memory is not None:
            self.memory[name] = value
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / name, durable=False) as file:
            pickle.dump(value, file, protocol=5)

    def write(self, name: str, tables: Iterable[pa.Table]) -> int:
        """Keep rows that come table by table, all of one schema, in a Parquet file; how many they are."""
        rows = 0
        path = self.scratch() / f"{name}.parquet"
        with replacing(path, durable=False) as file, ExitStack() as stack:
            writer = None
            for table in tables:
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(file, table.schema, store_schema=False))
                writer.write_table(table)
                rows += len(table)
        return rows

    def written(self, name: str) -> Path:
        """Where `write` keeps rows. Raises ScarecrowError when that step has not run in this ranking."""
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            raise _missing(name)
        return path

    def get(self, name: str) -> Any:
        """A result of an earlier step. Raises ScarecrowError when that step has not run in this ranking."""
        try:
            if self.memory is not None:
                return self.memory[name]
            with (self.folder / name).open("rb") as file:
                return pickle.load(file)  # noqa: S301
        except (KeyError, FileNotFoundError) as error:
            raise _missing(name) from error

    def drop(self, name: str) -> None:
        """Forget a result that no later step asks for."""
        if self.memory is not None:
            self.memory.pop(name, None)
        else:
            (self.folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Drop everything."""
        if self.memory is not None:
            self.memory.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sweep(self, now: float) -> None:
        """Drop what killed rankings of this mart left behind. now: seconds since 1970."""
        if not self.folder.parent.is_dir():
            return
        for other in self.folder.parent.iterdir():
            if other != self.folder and now - other.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(other, ignore_errors=True)


def _missing(name: str) -> ScarecrowError:
    return ScarecrowError(
        f"the result {name} of an earlier step is not there; a ranking runs whole: materialise account_profiles and "
        "everything after it"
    )
