"""Elicitation: prompts that draw out training material, and answers that come back as prompts.

The phrases are in `pipelines.ingest.elicitation`; here they are shares of calls.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.profiles import Profiled, per_row, ratio

Floats = NDArray[np.float64]

_KINDS: Final = (
    ("elicit_reasoning", "demand step-by-step reasoning", "a pupil or teacher who wants to see the steps"),
    ("elicit_tags", "demand reasoning inside tags", "a developer's prompt style"),
    ("elicit_judging", "ask for a verdict on answers", "an evaluation team"),
    (
        "elicit_generation",
        "ask for tasks, solutions, tests or data sets",
        "a declared maker of synthetic data, a tester",
    ),
    ("elicit_cleaning", "have model-written text cleaned", "a writer who edits drafts"),
)
_COMMON: Final = 5
"""A shingle that more accounts than this were answered with is a stock phrase and counts for nothing."""
_MIN_SHINGLES: Final = 8


def output_as_input(p: Profiled) -> Floats:
    """Share of an account's sampled prompt shingles that other accounts were answered with: float64[n].

    The sample is by hash and common to all accounts, so it is the same text that is looked for. What the
    account was answered with itself does not count, nor does what more than 5 accounts were. NaN when no
    answers are logged, or fewer than 8 shingles are sampled.
    """
    asked, answered = p.rows.sketches["prompt_shingles"], p.rows.sketches["response_shingles"]
    n = len(p)
    if len(answered.keys) == 0:
        return np.full(n, np.nan)
    asker = np.repeat(np.arange(n), np.diff(asked.offsets))
    answeree = np.repeat(np.arange(n), np.diff(answered.offsets))
    texts, who_many = np.unique(answered.keys, return_counts=True)
    place = np.minimum(np.searchsorted(texts, asked.keys), len(texts) - 1)
    known = texts[place] == asked.keys
    order = np.lexsort((answeree, answered.keys))
    text_of = np.searchsorted(texts, answered.keys[order])
    own_pair = text_of * np.int64(n) + answeree[order]
    wanted = place * np.int64(n) + asker
    at = np.minimum(np.searchsorted(own_pair, wanted), len(own_pair) - 1)
    own = known & (own_pair[at] == wanted)
    taken = known & ~own & (who_many[place] <= _COMMON)
    return enough(
        ratio(per_row(asked.offsets, taken), np.diff(asked.offsets)), np.diff(asked.offsets), _MIN_SHINGLES
    )


def statistics(p: Profiled) -> list[Statistic]:
    """All statistics."""
    prompts = p.rows.sum("with_prompt")
    shares = [
        Statistic(
            name,
            enough(p.share(name, "with_prompt"), prompts),
            "high",
            cause,
            f"{{value:.0%}} of prompts {what}; peers {{peer_median:.0%}}",
        )
        for name, what, cause in _KINDS
    ]
    return [
        *shares,
        Statistic(
            "output_as_input",
            enough(output_as_input(p), prompts),
            "high",
            "colleagues who work on one text, or a quotation that both took from elsewhere",
            "{value:.0%} of its prompts' text was an answer to another account; peers {peer_median:.0%}",
        ),
    ]
