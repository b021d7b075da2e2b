"""How good a ranking is, measured against the truth of a simulated world (METHOD section 8).

Belongs here: figures over tables of scores, members and truth; reading a mart and a truth file for them; two
baselines. Does not belong here: anything that detection uses, or that makes worlds (simulate).
"""

from pipelines.evaluate.evaluation import Evaluation, evaluate, evaluate_mart

__all__ = ["Evaluation", "evaluate", "evaluate_mart"]
