"""Synthetic API logs with planted campaigns and hard look-alikes, the truth in a file of its own.

Belongs here: everything that invents traffic. Does not belong here: anything that detects (it must not know
what is planted), or that scores (evaluate).
"""

from pipelines.simulate.campaigns import STRATEGIES
from pipelines.simulate.demo import simulate_demo
from pipelines.simulate.look_alikes import LOOK_ALIKES
from pipelines.simulate.world import SimulationSummary, simulate

__all__ = ["LOOK_ALIKES", "STRATEGIES", "SimulationSummary", "simulate", "simulate_demo"]
