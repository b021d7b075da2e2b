"""Questions about the rejects table: which rejects still stand, how many, why, where. Where they come from is in
`pipelines.ingest`.

A replay reads rejects of a source partition again and commits how far it got under a source partition of its own
(`replay_id`). So a reject stands until a replay has passed it; what a replay rejects again is a reject of the
replay's partition, which the next replay reads in turn.
"""

from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from pipelines.lake.tables import Lake
from schemas.account_hour import REJECTS

_REPLAY: Final = "replay:"
_STANDING: Final = (
    "SELECT r.* FROM read_parquet(getvariable('files')) AS r JOIN passed ON passed.app_id = r.app_id "
    'WHERE r."offset" > passed."offset"'
)


def replay_id(app_id: str) -> str:
    """The source partition under which the rejects of another one are read again: `replay:<times>:<app_id>`."""
    if not app_id.startswith(_REPLAY):
        return f"{_REPLAY}1:{app_id}"
    _, times, origin = app_id.split(":", 2)
    return f"{_REPLAY}{int(times) + 1}:{origin}"


def origin_id(app_id: str) -> str:
    """The source partition that was read first; app_id itself unless it is a replay's."""
    return app_id.split(":", 2)[2] if app_id.startswith(_REPLAY) else app_id


@dataclass(frozen=True)
class Reject:
    """A standing reject. app_id: partition under which it was rejected last; offset: where the record ends in it."""

    app_id: str
    source: str
    position: str
    offset: int
    size: int
    reason: str


def _ask(lake: Lake, query: str, parameters: list[object]) -> list[dict[str, Any]]:
    """Rows of a query over `rejects`, those that stand."""
    files = lake.table(REJECTS).file_uris()
    if not files:
        return []
    hours = lake.hours()
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE files = $files", {"files": files})
        names = connection.execute(
            "SELECT DISTINCT app_id FROM read_parquet(getvariable('files'))"
        ).fetchall()
        passed = pa.table(
            {
                "app_id": pa.array([name for (name,) in names], pa.string()),
                "offset": pa.array(
                    [int(hours.transaction_version(replay_id(name)) or 0) for (name,) in names], pa.int64()
                ),
            }
        )
        connection.register("passed", passed)
        connection.execute(f"CREATE TEMP VIEW rejects AS {_STANDING}")
        result = connection.execute(query, parameters)
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def counted(lake: Lake, reason: str | None = None) -> list[dict[str, Any]]:
    """rejects, reason, source: how many stand by reason and source, most first."""
    query = (
        "SELECT count(*) AS rejects, reason, source FROM rejects WHERE contains(reason, ?) "
        "GROUP BY reason, source ORDER BY rejects DESC, reason, source"
    )
    return _ask(lake, query, [reason or ""])


def newest(lake: Lake, top: int, reason: str | None = None) -> list[dict[str, Any]]:
    """position, reason, size, copy, rejected_at_ms of the newest rejects that stand."""
    query = (
        "SELECT position, reason, size, copy, rejected_at_ms FROM rejects WHERE contains(reason, ?) "
        'ORDER BY rejected_at_ms DESC, app_id, "offset" LIMIT ?'
    )
    return _ask(lake, query, [reason or "", top])


def partitions(lake: Lake) -> list[tuple[str, str, int, int]]:
    """(app_id, source, offset of the last, how many) of each partition with rejects that stand, by app_id."""
    query = (
        'SELECT app_id, max(source) AS source, max("offset") AS last, count(*) AS rejects FROM rejects '
        "GROUP BY app_id ORDER BY app_id"
    )
    return [(r["app_id"], r["source"], r["last"], r["rejects"]) for r in _ask(lake, query, [])]


def standing(lake: Lake, app_id: str, after: int, until: int, most: int) -> list[Reject]:
    """The first rejects of a partition with after < offset <= until, by offset; at most about `most`, but all of one
    offset or none."""
    query = (
        'SELECT app_id, source, position, "offset", size, reason FROM rejects '
        'WHERE app_id = ? AND "offset" > ? AND "offset" <= ? ORDER BY "offset", position LIMIT ?'
    )
    found = [Reject(**row) for row in _ask(lake, query, [app_id, after, until, most + 1])]
    if len(found) <= most:
        return found
    cut = found[-1].offset
    return [reject for reject in found if reject.offset < cut] or found
