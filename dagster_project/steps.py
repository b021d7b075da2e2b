"""Runs one step of a ranking for an asset: progress, and errors as people read them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_project.defs.resources import Scarecrow


def run_step(name: str, context: dg.AssetExecutionContext, scarecrow: Scarecrow) -> Mapping[str, Any]:
    """Facts of the step. A ScarecrowError fails the run with its one sentence and is not retried: it would be the
    same again."""
    from pipelines.errors import ScarecrowError
    from pipelines.rank.steps import STEPS

    step = dict(STEPS)[name]
    scarecrow.tell(name, "began", {})
    try:
        facts = step(scarecrow.ranking(context))
    except ScarecrowError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    scarecrow.tell(name, "done", facts)
    return facts
