"""How a relation is described: columns with type, meaning and checks, and what derives from that.

Belongs here: the vocabulary (Column, Relation) and derivations that need nothing but it (Arrow schema,
DuckDB DDL with comments, documentation table). Not here: any particular relation.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Merge = Literal["key", "sum", "min", "max", "sketch"]


@dataclass(frozen=True)
class Column:
    """One column.

    type: its Arrow type. meaning: one sentence for the catalogue. required: null is an error.
    merge: how two rows of one key become one (lake tables only).
    minimum, maximum: bounds that a check enforces. values: the only values allowed. unique: within the relation.
    critical: whether a broken check blocks publication (otherwise it warns).
    """

    name: str
    type: pa.DataType
    meaning: str
    required: bool = False
    merge: Merge | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    unique: bool = False
    critical: bool = True


@dataclass(frozen=True)
class Relation:
    """A table: its grain, its owner and its columns."""

    name: str
    grain: str
    meaning: str
    columns: tuple[Column, ...]
    owner: str = "scarecrow"
    partition_by: tuple[str, ...] = ()
    unique: tuple[str, ...] = field(default=())

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def arrow(self) -> pa.Schema:
        """Arrow schema, comments as field metadata."""
        return pa.schema(
            [
                pa.field(c.name, c.type, nullable=not c.required, metadata={"comment": c.meaning})
                for c in self.columns
            ]
        )

    def ddl(self) -> str:
        """CREATE TABLE and COMMENT statements for DuckDB."""
        lines = ",\n".join(
            f"    {quoted(c.name)} {sql_type(c.type)}{' NOT NULL' if c.required else ''}"
            for c in self.columns
        )
        comments = "".join(
            f"COMMENT ON COLUMN {self.name}.{quoted(c.name)} IS {literal(c.meaning)};\n" for c in self.columns
        )
        return (
            f"CREATE TABLE {self.name} (\n{lines}\n);\n"
            f"COMMENT ON TABLE {self.name} IS {literal(self.meaning + ' Grain: ' + self.grain + '.')};\n{comments}"
        )

    def markdown(self) -> str:
        """Documentation table."""
        rows = "\n".join(
            f"| {c.name} | {sql_type(c.type)} | {'required' if c.required else ''} | {c.meaning} |"
            for c in self.columns
        )
        return (
            f"### {self.name}\n{self.meaning} Grain: {self.grain}.\n\n"
            f"| column | type | need | meaning |\n|---|---|---|---|\n{rows}\n"
        )


def quoted(identifier: str) -> str:
    """A SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_type(kind: pa.DataType) -> str:
    """The DuckDB type of an Arrow type."""
    if pa.types.is_list(kind):
        return sql_type(kind.value_type) + "[]"
    names: dict[pa.DataType, str] = {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int8(): "TINYINT",
        pa.int16(): "SMALLINT",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
        pa.timestamp("ms"): "TIMESTAMP",
        pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
    }
    return names[kind]


def names(relations: Iterable[Relation]) -> list[str]:
    """Names of relations in order."""
    return [relation.name for relation in relations]
