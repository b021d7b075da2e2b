"""Where the steps of one ranking leave what the next ones need: a folder beside the mart, gone afterwards.

Belongs here: storing and finding step results. Steps run as separate assets, possibly in separate processes.
"""

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Workspace:
    """Step results of one ranking, by name. Only what this product wrote itself is ever loaded."""

    folder: Path

    @classmethod
    def beside(cls, mart: Path, key: str) -> "Workspace":
        """The workspace of a mart and a key that tells rankings apart (a partition, for example)."""
        return cls(mart.with_name(f".{mart.name}.work") / key)

    def put(self, name: str, value: object) -> None:
        """Keep a result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}"
        with temporary.open("wb") as file:
            pickle.dump(value, file, protocol=5)
        os.replace(temporary, self.folder / name)

    def get(self, name: str) -> Any:
        """A result of an earlier step; FileNotFoundError when that step has not run."""
        with (self.folder / name).open("rb") as file:
            return pickle.load(file)  # noqa: S301

    def clear(self) -> None:
        """Drop everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
