"""What assets say of themselves: owners, column schemas, lineage. Belongs here: nothing that computes."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project.sql_models import Model
from schemas.describe import Relation, sql_type

DATA, SAFETY = "team:data-engineering", "team:trust-and-safety"
OWNERS = {"data-engineering": DATA, "trust-and-safety": SAFETY, "scarecrow": DATA}

STAGED_ASSETS: Mapping[str, str] = {
    "staged_accounts": "suspects",
    "staged_campaigns": "suspects",
    "staged_members": "suspects",
    "staged_account_reasons": "suspects",
    "staged_campaign_reasons": "suspects",
    "staged_links": "links",
    "staged_profiles": "account_profiles",
    "staged_activity": "account_profiles",
    "staged_horizon": "account_profiles",
    "staged_runs": "account_profiles",
    "staged_sources": "account_hours",
    "staged_labels": "labels",
    "staged_weights": "labels",
    "staged_audit": "labels",
}
"""Which asset a staged table comes from. The history and the fields of evidence come from no asset."""

DRAFT = "draft"


def table_schema(relation: Relation) -> dg.TableSchema:
    """Columns of a relation with types, meanings and constraints."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=sql_type(c.type),
                description=c.meaning,
                constraints=dg.TableColumnConstraints(nullable=not c.required, unique=c.unique),
            )
            for c in relation.columns
        ]
    )


def asset_of(table: str) -> dg.AssetKey | None:
    """The asset of a table that a model reads; None for what is no asset."""
    if table.startswith("staged_"):
        name = STAGED_ASSETS.get(table)
        return None if name is None else dg.AssetKey(name)
    return dg.AssetKey([DRAFT, table])


def lineage(model: Model) -> dg.TableColumnLineage:
    """Where each column of a model comes from; two tables of one asset are one origin."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(key, origin)
                for key, origin in dict.fromkeys(
                    (asset_of(table), origin) for table, origin in sorted(origins)
                )
                if key is not None
            ]
            for column, origins in model.columns.items()
        }
    )


def schema_metadata(relation: Relation) -> dict[str, Any]:
    """Static metadata of a relation."""
    return {"dagster/column_schema": table_schema(relation), "grain": relation.grain}
