"""Questions about the rejects table. Where rejects come from is in `pipelines.ingest`."""

from typing import Any

import duckdb

from pipelines.lake.tables import Lake
from schemas.account_hour import REJECTS


def _ask(lake: Lake, query: str, *parameters: object) -> list[dict[str, Any]]:
    files = lake.table(REJECTS).file_uris()
    if not files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE files = $files", {"files": files})
        connection.execute("CREATE VIEW rejects AS SELECT * FROM read_parquet(getvariable('files'))")
        result = connection.execute(query, list(parameters))
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def counted(lake: Lake, reason: str | None = None) -> list[dict[str, Any]]:
    """rejects, reason, source: how many by reason and source, most first."""
    query = (
        "SELECT count(*) AS rejects, reason, source FROM rejects WHERE contains(reason, ?) "
        "GROUP BY reason, source ORDER BY rejects DESC, reason, source"
    )
    return _ask(lake, query, reason or "")


def newest(lake: Lake, top: int, reason: str | None = None) -> list[dict[str, Any]]:
    """position, reason, size, copy, rejected_at_ms of the newest rejects."""
    query = (
        "SELECT position, reason, size, copy, rejected_at_ms FROM rejects WHERE contains(reason, ?) "
        'ORDER BY rejected_at_ms DESC, app_id, "offset" LIMIT ?'
    )
    return _ask(lake, query, reason or "", top)
