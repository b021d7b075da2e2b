"""The small world of the demonstration: built-in prompts, every look-alike, four campaigns, in seconds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pipelines.simulate.world import DEFAULT_START, Progress, SimulationSummary, simulate

DEMO_ACCOUNTS = 800
DEMO_CAMPAIGNS = ("round_robin:18", "paraphrased_templates:15", "human_seeds:15", "generic_cover_50:14")


def simulate_demo(
    out: Path, *, seed: int = 7, start: datetime = DEFAULT_START, progress: Progress | None = None
) -> SimulationSummary:
    """Writes the demonstration world into `out`: a fortnight of 800 accounts, some 45,000 requests."""
    return simulate(
        out, accounts=DEMO_ACCOUNTS, days=14, seed=seed, strategies=DEMO_CAMPAIGNS, start=start,
        requests_per_account=32.0, progress=progress,
    )  # fmt: skip
