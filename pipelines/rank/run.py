"""A ranking from beginning to end in this process, without Dagster: for shadow rankings and backtests.

`scarecrow rank` and the schedules run the same steps as Dagster assets, with every gate; here the SQL audits are
the gate.
"""

from pathlib import Path

from pipelines.errors import ScarecrowError
from pipelines.mart import build
from pipelines.rank.steps import STEPS, Facts, Ranking


def run(ranking: Ranking) -> dict[str, Facts]:
    """Every step, audits before publishing. Raises ScarecrowError when an audit fails; the mart then stays."""
    facts: dict[str, Facts] = {}
    try:
        for name, step in STEPS:
            if name == "mart":
                _audit(ranking.workspace.draft, ranking.mart)
            facts[name] = step(ranking)
    finally:
        ranking.workspace.clear()
    return facts


def _audit(draft: Path, mart: Path) -> None:
    failed = {name: rows for name, rows in build.audit(draft).items() if rows}
    if failed:
        said = ", ".join(f"{name}: {rows} rows" for name, rows in failed.items())
        raise ScarecrowError(f"audits of the new ranking failed ({said}); the mart {mart} stays as it was")
