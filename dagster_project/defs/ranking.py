"""Assets of a ranking, from the lake to scored accounts and campaigns. Each calls one step of `pipelines.rank`."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.describe import SAFETY, schema_metadata
from dagster_project.defs.partitions import HORIZON
from dagster_project.defs.resources import Scarecrow
from dagster_project.steps import run_step
from schemas.mart import ACCOUNT_PROFILES, LABELS

_OF_FAMILY = {
    "tempo": "when it asks: no idle period, no ramp, bursts, hugging the throttle, moving to a new model at once.",
    "coverage": "how much of the space of topics it touches, at equal numbers of prompts. Both tails count.",
    "diversity": "how evenly it spreads over what it touches, at equal sample coverage. Both tails count.",
    "systematicity": "templates, first turns only, no repeats, ordered sweeps: work through a list.",
    "elicitation": "demands for reasoning, judging, data sets; one account's output as another's input.",
    "linkage": "payment, network, keys, tool schema or system prompt shared with others, popular ones discounted.",
}


def ranking_assets(partitions: dg.PartitionsDefinition | None) -> list[dg.AssetsDefinition]:
    """The assets of a ranking; by partition, or without for one ranking in process."""
    from_lake = [
        "account_hours" if partitions is None else dg.AssetDep("account_hours", partition_mapping=HORIZON),
        "account_days",
    ]
    shared: dict[str, Any] = {"group_name": "ranking", "partitions_def": partitions, "owners": [SAFETY]}

    def step(
        name: str, deps: list[Any], kinds: set[str], says: str, metadata: Mapping[str, Any] | None = None,
        read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> dg.AssetsDefinition:  # fmt: skip
        @dg.asset(name=name, deps=deps, kinds=kinds, description=says, metadata=metadata, **shared)
        def compute(context: dg.AssetExecutionContext, scarecrow: Scarecrow) -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(metadata=read(run_step(name, context, scarecrow)))

        made: dg.AssetsDefinition = compute
        return made

    @dg.multi_asset(
        name="evidence",
        specs=[
            dg.AssetSpec(
                ["evidence", family],
                deps=["account_profiles"],
                description=f"Evidence of the family {family}: {says} Each account against peers of like volume, age "
                "and surface, as a conformal p-value.",
                kinds={"numpy"},
                **shared,
            )
            for family, says in _OF_FAMILY.items()
        ],
    )
    def evidence(context: dg.AssetExecutionContext, scarecrow: Scarecrow) -> Any:
        facts = run_step("evidence", context, scarecrow)
        for family in _OF_FAMILY:
            yield dg.MaterializeResult(
                asset_key=["evidence", family], metadata=facts["families"].get(family, {})
            )

    families = [dg.AssetKey(["evidence", family]) for family in _OF_FAMILY]
    return [
        step(
            "labels", [], {"duckdb", "json"},
            "What people decided: by `scarecrow label`, by CSV, or inserted by SQL into the inbox beside the "
            "mart, which "
            "this step empties. Also the weights of the evidence families that labels have calibrated.",
            schema_metadata(LABELS),
        ),
        step(
            "account_profiles", [*from_lake, "prompt_map", "labels"], {"python", "parquet"},
            "One row per account: the hours of the horizon, folded. Its checks look for drift: volume, rejects, fields "
            "that stopped coming, topics that the prompt map does not know.",
            schema_metadata(ACCOUNT_PROFILES),
            lambda facts: {**facts, "dagster/row_count": facts["accounts"]},
        ),
        evidence,
        step(
            "links", ["account_profiles"], {"numpy"},
            "Pairs of accounts that draw on one list of prompts (same-source test on the cells of the prompt "
            "map), or that "
            "share rare metadata.",
            None,
            lambda facts: {**facts, "dagster/row_count": sum(facts.values())},
        ),
        step(
            "campaigns", [*(["evidence", family] for family in _OF_FAMILY), "links"], {"numpy"},
            "Groups of accounts that one hand seems to drive: communities of the links, cut until homogeneous. "
            "Ids survive "
            "re-ranking by the largest overlap.",
            None,
            lambda facts: {**facts, "dagster/row_count": facts["campaigns"]},
        ),
        step(
            "suspects", ["campaigns", *families, "labels"], {"numpy"},
            "Every account and campaign, scored: additive log-odds over the families, each with its reasons "
            "and what argues "
            "against them.",
            None,
            lambda facts: {**facts, "weights": dg.MetadataValue.json(facts["weights"])},
        ),
    ]  # fmt: skip
