"""Opens a mart for reading, and says in one sentence what is wrong with a file that is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import ScarecrowError, UsageError
from schemas.describe import sql_type
from schemas.mart import MART

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # A reader needs neither the network nor other files, whatever a macro in the file asks for.
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


@dataclass(frozen=True)
class Mart:
    """An open mart. Times come back in UTC."""

    path: str
    connection: duckdb.DuckDBPyConnection

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises ScarecrowError when the file turns out to be damaged."""
        try:
            return self.connection.execute(sql, list(parameters)).fetchall()
        except duckdb.ProgrammingError:
            raise  # a query of ours is wrong; the file is not
        except duckdb.Error as error:
            raise ScarecrowError(_damaged(self.path, error)) from error


def reader(path: str) -> duckdb.DuckDBPyConnection:
    """A connection that reads a mart; to be closed. Raises duckdb.Error as `connect` does.

    One way for all of ours: DuckDB refuses a second connection of one process to one file under another
    configuration, and Dagster evaluates its sensors and schedules side by side in one process.
    """
    return duckdb.connect(path, read_only=True, config=_CONFIG)


@contextmanager
def open_mart(path: str) -> Iterator[Mart]:
    """A mart, read-only, for the time of a with statement; a file that replaces it meanwhile is not seen.

    Raises UsageError when there is no such file; ScarecrowError when it is no mart, damaged, or made by
    another version (a relation or column of schemas.mart is missing or has another type).
    """
    if not Path(path).is_file():
        raise UsageError(f"The mart {path} does not exist; make it with `scarecrow rank --mart {path}`.")
    try:
        connection = reader(path)
    except duckdb.Error as error:
        raise ScarecrowError(_damaged(path, error)) from error
    try:
        mart = Mart(path, connection)
        mart.rows("SET TimeZone = 'UTC'")
        _check_version(mart)
        yield mart
    finally:
        connection.close()


def _damaged(path: str, error: duckdb.Error) -> str:
    said = str(error).partition("\n")[0].rstrip(".!")
    return f"The mart {path} cannot be read ({said}); make it anew with `scarecrow rank --mart {path}`."


def _check_version(mart: Mart) -> None:
    found: dict[tuple[str, str], str] = {
        (relation, column): kind
        for relation, column, kind in mart.rows(
            "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        )
    }
    for relation in MART:
        for column in relation.columns:
            wanted = sql_type(column.type).replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")
            kind = found.get((relation.name, column.name))
            if kind != wanted:
                what = f"{relation.name}.{column.name} " + ("is missing" if kind is None else f"is {kind}")
                raise ScarecrowError(
                    f"The mart {mart.path} was made by another version of Scarecrow ({what}); "
                    f"make it anew with `scarecrow rank --mart {mart.path}`."
                )
