"""One Delta transaction for the rows and positions of a cycle: the arbiter of exactly-once.

Order: files are durable, notes are written, rejects are committed, and last account_hours with one
application transaction per source partition and one for the chain of seen events. A commit that does not
start where the lake stands is refused. What a crash leaves behind before the last step is invisible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError

from pipelines.errors import ScarecrowError
from pipelines.lake.durable import settle, sync_folders
from pipelines.lake.events import EVENTS, Segment, chain_from_json, chain_to_json, sorted_distinct
from pipelines.lake.notes import Note, forget_before, read_note, source_folder, write_note
from pipelines.lake.tables import Lake, table_schema
from pipelines.lake.write import Written, day_partition, write
from schemas.account_hour import ACCOUNT_HOURS, REJECTS

EVENTS_APP: Final = "scarecrow:events"
_CHAIN: Final = "scarecrow.events"
HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


class Conflict(Exception):
    """Another process committed first; plan anew."""


@dataclass(frozen=True)
class Standing:
    """Where the lake stood when a cycle was planned. The commit must happen on this very handle.

    chain: seen events as the newest commit names them; chain_version: how many commits extended the chain.
    """

    table: DeltaTable
    chain: list[Segment]
    chain_version: int

    def position(self, app_id: str) -> int | None:
        """Next offset or byte of a source partition."""
        version = self.table.transaction_version(app_id)
        return None if version is None else int(version)


@dataclass(frozen=True)
class Chain:
    """The seen events as the newest commit of an ingest names them. at_ms: when it was made; the largest
    number where there was none yet."""

    segments: list[Segment]
    at_ms: int


def newest_chain(table: DeltaTable) -> Chain:
    """Looks back in the log. Raises ScarecrowError when the entry is gone."""
    if table.transaction_version(EVENTS_APP) is None:
        return Chain([], 2**63 - 1)
    for limit in (4, 64, None):
        for entry in table.history(limit):
            chain = entry.get(_CHAIN)
            if chain is not None:
                return Chain(chain_from_json(chain), int(entry.get("timestamp", 0)))
    raise ScarecrowError(
        f"lake table {table.table_uri} names no seen events although it counts commits of them; its _delta_log "
        "was truncated: restore it from a backup"
    )


def stand(lake: Lake) -> Standing:
    """A fresh look at the lake."""
    table = lake.hours()
    return Standing(table, newest_chain(table).segments, int(table.transaction_version(EVENTS_APP) or 0))


def standing_note(lake: Lake, standing: Standing, app_id: str) -> Note | None:
    """The note of where a source partition stands; None for a new one, or when the lake lost it.

    Raises Conflict when another process went on and dropped it: counting from nothing would be wrong.
    """
    position = standing.position(app_id)
    if position is None:
        return None
    note = read_note(lake.path, app_id, position)
    if note is None and lake.hours().transaction_version(app_id) != position:
        raise Conflict(app_id)
    return note


@dataclass(frozen=True)
class Advance:
    """A source partition moves from start to note.position."""

    start: int
    note: Note


def commit(
    lake: Lake,
    standing: Standing,
    advances: Sequence[Advance],
    files: Sequence[Written],
    rejects: pa.Table,
    chain: Sequence[Segment],
    name: str,
    now_ms: int,
) -> int:
    """Commit a cycle; returns the new version of account_hours. Raises Conflict when another was first.

    rejects: table of schemas.account_hour.REJECTS. chain: what `SeenEvents.extend` returned. name: unique
    name of the cycle.
    """
    for advance in advances:
        # A partition that is new to the lake starts where its log does, which retention has moved.
        if standing.position(advance.note.app_id) not in (None, advance.start):
            raise Conflict(advance.note.app_id)
    for advance in advances:
        write_note(lake.path, advance.note, standing.chain_version + 1)
    _commit_rejects(lake, advances, rejects, name, now_ms)
    transactions = [Transaction(a.note.app_id, a.note.position) for a in advances]
    transactions.append(Transaction(EVENTS_APP, standing.chain_version + 1))
    root = lake.path / ACCOUNT_HOURS.name
    folders = [(root / file.path).parent for file in files]
    folders.extend(source_folder(lake.path, advance.note.app_id) for advance in advances)
    if chain:
        folders.append(lake.path / EVENTS)
    sync_folders(lake.path, folders)
    try:
        standing.table.create_write_transaction(
            [file.add_action() for file in files],
            mode="append",
            schema=table_schema(ACCOUNT_HOURS),
            partition_by=list(ACCOUNT_HOURS.partition_by),
            commit_properties=CommitProperties(
                custom_metadata={_CHAIN: chain_to_json(chain), "scarecrow.cycle": name},
                app_transactions=transactions,
            ),
            post_commithook_properties=HOOKS,
        )
    except (CommitFailedError, DeltaError) as error:
        after = lake.hours()
        if any(after.transaction_version(a.note.app_id) != a.note.position for a in advances) or not _is_ours(
            after, name
        ):
            raise Conflict(str(error)) from error
    table = lake.hours()
    settle(root, table)
    for advance in advances:
        forget_before(lake.path, advance.note.app_id, advance.note.position)
    return int(table.version())


def _is_ours(table: DeltaTable, name: str) -> bool:
    return any(entry.get("scarecrow.cycle") == name for entry in table.history(16))


def _commit_rejects(
    lake: Lake, advances: Sequence[Advance], rejects: pa.Table, name: str, now_ms: int
) -> None:
    """Append the rejects that the table does not hold yet: an earlier attempt may have got this far."""
    while True:
        table = lake.table(REJECTS)
        done = {a.note.app_id: int(table.transaction_version(a.note.app_id) or 0) for a in advances}
        fresh = rejects.filter(_after(rejects, done))
        if fresh.num_rows == 0:
            return
        root = lake.path / REJECTS.name
        partition = day_partition(now_ms // 3_600_000)
        written = write(root, fresh, partition, f"{name}.parquet", now_ms)
        sync_folders(root, [(root / written.path).parent])
        moved = [a for a in advances if a.note.position > done[a.note.app_id]]
        try:
            table.create_write_transaction(
                [written.add_action()],
                mode="append",
                schema=table_schema(REJECTS),
                partition_by=list(REJECTS.partition_by),
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(a.note.app_id, a.note.position) for a in moved]
                ),
                post_commithook_properties=HOOKS,
            )
        except (CommitFailedError, DeltaError):
            # The same range by another process, or a landed commit that still raised: look again.
            after = lake.table(REJECTS)
            if all(int(after.transaction_version(a.note.app_id) or 0) == done[a.note.app_id] for a in moved):
                raise
            continue
        settle(root, lake.table(REJECTS))
        return


def _after(rejects: pa.Table, done: Mapping[str, int]) -> pa.Array:
    starts = pa.array([done.get(app_id, 0) for app_id in rejects["app_id"].to_pylist()], pa.int64())
    return pc.greater(
        rejects["offset"].combine_chunks() if rejects.num_rows else pa.array([], pa.int64()), starts
    )


def event_union(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Sorted distinct event hashes of several slices."""
    return sorted_distinct(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
