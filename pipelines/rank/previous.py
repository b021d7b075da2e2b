"""What the mart in force says: its campaigns of before (for stable ids) and its history of rankings."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.detect.lifecycle import MEMORY
from pipelines.errors import ScarecrowError
from schemas.mart import RANKING_HISTORY


def _table(mart: Path, query: str, schema: pa.Schema) -> pa.Table:
    if not mart.exists():
        return schema.empty_table()
    try:
        with duckdb.connect(str(mart), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.sql(query).to_arrow_table()
        # A mart of an earlier version lacks columns: they are null.
        columns = [
            found[field.name] if field.name in found.column_names else pa.nulls(len(found), field.type)
            for field in schema
        ]
        return pa.table(columns, names=schema.names).cast(schema)
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise ScarecrowError(
            f"mart {mart} cannot be read ({str(error).splitlines()[0]}); move it away to rank without its history"
        ) from error


def previous_members(mart: Path) -> pa.Table:
    """Members of every campaign of the kept rankings, as of the last ranking that had it: rows of
    pipelines.detect.lifecycle.MEMORY; empty without a mart."""
    history = _table(
        mart,
        """
        SELECT * FROM ranking_history WHERE subject_kind = 'campaign'
        QUALIFY row_number() OVER (PARTITION BY id ORDER BY as_of DESC) = 1 ORDER BY id""",
        RANKING_HISTORY.arrow(),
    )
    if history["members"].null_count:  # of an earlier version: its own campaigns are all it remembers
        return _table(
            mart, "SELECT as_of, campaign_id, account_id FROM campaign_members ORDER BY ALL", MEMORY
        )
    members = history["members"].combine_chunks()
    owner = pc.list_parent_indices(members)
    return pa.table(
        [history["as_of"].take(owner), history["id"].take(owner), pc.list_flatten(members)], schema=MEMORY
    )


def previous_history(mart: Path) -> pa.Table:
    """Rows of schemas.mart.RANKING_HISTORY of the mart in force; empty without one."""
    return _table(mart, "SELECT * FROM ranking_history", RANKING_HISTORY.arrow())
