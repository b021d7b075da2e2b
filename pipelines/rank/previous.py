"""What the mart in force says: members of its campaigns (for stable ids) and its history of rankings."""

from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.errors import ScarecrowError
from schemas.mart import CAMPAIGN_MEMBERS, RANKING_HISTORY


def _table(mart: Path, query: str, schema: pa.Schema) -> pa.Table:
    if not mart.exists():
        return schema.empty_table()
    try:
        with duckdb.connect(str(mart), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.sql(query).to_arrow_table().cast(schema)
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise ScarecrowError(
            f"mart {mart} cannot be read ({str(error).splitlines()[0]}); move it away to rank without its history"
        ) from error


def previous_members(mart: Path) -> pa.Table:
    """Rows of schemas.mart.CAMPAIGN_MEMBERS of the mart in force; empty without one."""
    names = ", ".join(column.name for column in CAMPAIGN_MEMBERS.columns)
    return _table(mart, f"SELECT {names} FROM campaign_members", CAMPAIGN_MEMBERS.arrow())  # noqa: S608


def previous_history(mart: Path) -> pa.Table:
    """Rows of schemas.mart.RANKING_HISTORY of the mart in force; empty without one."""
    names = ", ".join(column.name for column in RANKING_HISTORY.columns)
    return _table(mart, f"SELECT {names} FROM ranking_history", RANKING_HISTORY.arrow())  # noqa: S608
