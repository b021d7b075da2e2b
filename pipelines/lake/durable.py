"""What of a lake is on the disk, and not only in the memory of the operating system, when it matters.

Belongs here: flushing files, folders and the log of a table. Delta writes the entries of its log and its checkpoints
without flushing them: after a power cut an entry may be empty that later entries build on, which ends the table. So
whoever commits flushes his entry, and those of others before it, before anything is acknowledged or removed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from pipelines.replacing import sync

CHECKPOINT_EVERY: Final = 50
"""Versions."""
_flushed: Final[dict[tuple[str, int], int]] = {}
"""By log folder (path, inode): the newest version up to which this process has flushed the log."""


def sync_folders(root: Path, folders: Iterable[Path]) -> None:
    """Flush folders and those above them up to root, so that what is in them can be reached."""
    above = {each for folder in folders for each in (folder, *folder.parents)}
    for each in above:
        if each.is_relative_to(root):
            sync(each)


def sync_log(root: Path, table: DeltaTable) -> None:
    """Flush the log of the table in root up to the version of the handle.

    Entries of others too: one that committed a moment ago may not have come to it. The first time in a process, from
    the last regular checkpoint on.
    """
    log = root / "_delta_log"
    version = int(table.version())
    key = (str(log), log.stat().st_ino)
    before = _flushed.get(key, version - version % CHECKPOINT_EVERY - 1)
    for number in range(before + 1, version + 1):
        entry = log / f"{number:020d}.json"
        if entry.exists():
            sync(entry)
    sync(log)
    _flushed[key] = max(before, version)


def settle(root: Path, table: DeltaTable) -> None:
    """What a commit ends with: the log is flushed, and every so often a checkpoint is made."""
    sync_log(root, table)
    if table.version() % CHECKPOINT_EVERY == 0:
        checkpoint(root, table)


def checkpoint(root: Path, table: DeltaTable) -> None:
    """Write a checkpoint of the handle's version and flush it: entries before it may go then."""
    table.create_checkpoint()
    log = root / "_delta_log"
    for path in log.glob(f"{int(table.version()):020d}.checkpoint*.parquet"):
        sync(path)
    sync(log / "_last_checkpoint")
    sync(log)
