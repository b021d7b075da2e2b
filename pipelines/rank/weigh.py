"""Multiplies what each evidence family adds by its weight; scores stay the sum of their reasons."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.detect.detect import Detection


def weigh(detection: Detection, weights: Mapping[str, float]) -> Detection:
    """The detection under family weights; the same object when all are 1. p-values are those of the evidence."""
    moved = {family: weight for family, weight in weights.items() if weight != 1}
    if not moved:
        return detection
    account_reasons = replace(detection.account_reasons, weights=moved)
    campaign_reasons = _scaled(detection.campaign_reasons, moved)
    accounts = detection.accounts
    at = accounts.schema.get_field_index("score")
    return replace(
        detection,
        accounts=accounts.set_column(at, "score", pa.array(account_reasons.scores())),
        campaigns=_rescored(detection.campaigns, "campaign_id", campaign_reasons),
        account_reasons=account_reasons,
        campaign_reasons=campaign_reasons,
    )


def _scaled(reasons: pa.Table, weights: Mapping[str, float]) -> pa.Table:
    factor = pa.array([weights.get(family, 1.0) for family in reasons["family"].to_pylist()], pa.float64())
    at = reasons.schema.get_field_index("contribution")
    return reasons.set_column(at, "contribution", pc.multiply(reasons["contribution"], factor))


def _rescored(table: pa.Table, key: str, reasons: pa.Table) -> pa.Table:
    sums = reasons.group_by("id").aggregate([("contribution", "sum")])
    total = dict(zip(sums["id"].to_pylist(), sums["contribution_sum"].to_pylist(), strict=True))
    scores = pa.array([total.get(subject, 0.0) for subject in table[key].to_pylist()], pa.float64())
    return table.set_column(table.schema.get_field_index("score"), "score", scores)
