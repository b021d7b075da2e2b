"""What the SQL models say of themselves: header, the tables they read, and where each column comes from.

Read from the text of the model with DuckDB's own parser, so the graph cannot disagree with the SQL. Not here:
running models (`pipelines.mart.build`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

import sql
from pipelines.mart.models import MODELS, STAGING
from schemas.mart import MART

Origin = tuple[str, str]
"""(table, column)"""
Columns = dict[str, frozenset[Origin]]

_KNOWN = {relation.name: [c.name for c in relation.columns] for relation in MART}
_ANY = "*"
"""Every column of a staged table whose columns are not described."""
_SNAPSHOT = ("suspect_accounts", "suspect_campaigns", "account_reasons", "campaign_reasons")
"""What the macro ranking_snapshot() reads."""


@dataclass(frozen=True)
class Model:
    """A model. says, grain, owner: of its header. reads: tables, staged ones under their names. columns: origins."""

    name: str
    says: str
    grain: str
    owner: str
    reads: tuple[str, ...]
    columns: Mapping[str, frozenset[Origin]]


def models() -> list[Model]:
    """Every model of the mart in order of need; staging models are resolved into what they read."""
    staging = {name: _parsed(f"staging/{name}.sql") for name in STAGING}
    staged_columns = {name: _columns(tree, {}) for name, tree in staging.items()}
    found = []
    for name in MODELS:
        text = sql.load(f"marts/{name}.sql")
        tree = _parsed(f"marts/{name}.sql")
        reads: set[str] = set()
        for table in _tables(tree):
            reads |= set(_tables(staging[table])) if table in staging else {table}
        if "ranking_snapshot" in text:
            reads |= set(_SNAPSHOT)
        wanted = _KNOWN[name]
        columns = {c: o for c, o in _columns(tree, staged_columns, wanted).items() if c in wanted}
        header = " ".join(
            line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")
        )
        says, grain, owner = (
            _said(header, part)
            for part in (r"What: (.*?) Grain:", r"Grain: (.*?)\. Owner:", r"Owner: ([\w-]+)\.")
        )
        found.append(Model(name, says, grain, owner, tuple(sorted(reads)), columns))
    return found


def _said(header: str, pattern: str) -> str:
    match = re.search(pattern, header)
    if match is None:
        raise ValueError(f"a SQL model lacks a header of the form What, Grain, Owner: {header!r}")
    return match[1]


def _parsed(name: str) -> dict[str, Any]:
    with duckdb.connect() as connection:
        text = connection.execute("SELECT json_serialize_sql(?)", [sql.load(name)]).fetchall()[0][0]
    parsed: dict[str, Any] = json.loads(text)
    if parsed["error"]:
        raise ValueError(f"sql/{name} cannot be parsed: {parsed['error_message']}")
    node: dict[str, Any] = parsed["statements"][0]["node"]
    return node


def _walk(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child)


def _tables(tree: dict[str, Any]) -> list[str]:
    ctes = {entry["key"] for node in _walk(tree) if "cte_map" in node for entry in node["cte_map"]["map"]}
    names = {node["table_name"] for node in _walk(tree) if node.get("type") == "BASE_TABLE"}
    return sorted(names - ctes)


def _columns(
    node: dict[str, Any], queries: Mapping[str, Columns], wanted: list[str] | None = None
) -> Columns:
    """Origins of the output columns of a query. queries: those of names that are no base tables."""
    known = dict(queries)
    for entry in node.get("cte_map", {}).get("map", []):
        inner = entry["value"].get("query_node") or entry["value"]["query"]["node"]
        known[entry["key"]] = _columns(inner, known)
    if node["type"] == "SET_OPERATION_NODE":
        branches = node.get("children") or [node["left"], node["right"]]
        sides = [list(_columns(branch, known, wanted).values()) for branch in branches]
        names = _columns(branches[0], known, wanted)
        return {
            name: frozenset[Origin]().union(*(side[place] for side in sides if place < len(side)))
            for place, name in enumerate(names)
        }
    sources = dict(_sources(node.get("from_table"), known))
    found: Columns = {}
    for index, expression in enumerate(node.get("select_list", [])):
        if expression["class"] == "STAR":
            inside = [expression["relation_name"]] if expression["relation_name"] else list(sources)
            for alias in inside:
                found |= _all_columns(sources[alias], wanted or [])
            continue
        name = expression["alias"] or (expression.get("column_names") or [f"column{index}"])[-1]
        found[name] = _origins(expression, sources, known)
    return found


def _sources(
    table: dict[str, Any] | None, known: Mapping[str, Columns]
) -> Iterator[tuple[str, str | Columns]]:
    """(alias, base table or columns) of a FROM clause."""
    if table is None:
        return
    kind = table["type"]
    if kind == "JOIN":
        yield from _sources(table["left"], known)
        yield from _sources(table["right"], known)
    elif kind == "BASE_TABLE":
        name = table["table_name"]
        yield table["alias"] or name, known.get(name, name)
    elif kind == "SUBQUERY":
        yield table["alias"], _columns(table["subquery"]["node"], known)
    elif kind == "TABLE_FUNCTION":
        yield table["alias"] or "function", {}


def _all_columns(source: str | Columns, wanted: list[str]) -> Columns:
    if not isinstance(source, str):
        return source
    names = _KNOWN.get(source, wanted) or [_ANY]
    return {name: frozenset({(source, name)}) for name in names}


def _origins(
    expression: dict[str, Any], sources: Mapping[str, str | Columns], known: Mapping[str, Columns]
) -> frozenset[Origin]:
    found: set[Origin] = set()
    for node in _walk(expression):
        if node.get("class") == "SUBQUERY":
            for inner in _columns(node["subquery"]["node"], known).values():
                found |= inner
        elif node.get("class") == "COLUMN_REF":
            *qualifier, column = node["column_names"]
            for alias, source in sources.items():
                if qualifier and alias != qualifier[-1]:
                    continue
                if not isinstance(source, str):
                    found |= source.get(column, frozenset())
                    if column not in source:
                        found |= {(table, column) for table, _ in source.get(_ANY, ())}
                elif qualifier or column in _KNOWN.get(source, ()):
                    found.add((source, column))
    return frozenset(found)
