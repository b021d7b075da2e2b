"""A small disk of its own for a lake, which can be filled up to any number of bytes (needs root)."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PAGE = 4096


class NoDisk(Exception):
    """A file system cannot be mounted here."""


@dataclass(frozen=True)
class SmallDisk:
    """A mounted tmpfs. path: where it is."""

    path: Path

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"

    def free_bytes(self) -> int:
        """What is left."""
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self, leave: int) -> None:
        """Takes all space but about so many bytes."""
        self.empty()
        size = (self.free_bytes() - leave) // _PAGE * _PAGE
        if size > 0:
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)

    def empty(self) -> None:
        """Gives the space back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, mib: int) -> Iterator[SmallDisk]:
    """A disk of that size at `path` inside the block. Raises NoDisk where none can be mounted."""
    path.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NoDisk(done.stderr.strip() or "mount failed")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
