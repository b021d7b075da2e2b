"""Elicitation: prompts that draw out training material, and answers that come back as prompts.

The phrases are in `pipelines.ingest.elicitation`; here they are shares of calls.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.detect.arrays import owners_of, per_row, ratio, run_lengths, run_starts
from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.profiles import Profiled

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


def _maybe_in(keys: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of keys that may be among others: all that are, few that are not (a one-hash Bloom filter).

    Keys are uniform in their low bits, and this spares sorting the many that occur nowhere else.
    """
    mask = (1 << max(10, min(27, int(8 * len(among)).bit_length()))) - 1
    present = np.zeros(mask + 1, dtype=np.bool_)
    present[among & mask] = True
    return np.flatnonzero(present[keys & mask])


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
    again, given = _maybe_in(asked.keys, answered.keys), _maybe_in(answered.keys, asked.keys)
    asker = owners_of(asked.offsets)[again]
    answeree = owners_of(answered.offsets)[given]
    order = np.lexsort((answeree, answered.keys[given]))
    texts, answeree = answered.keys[given][order], answeree[order]
    starts = run_starts(texts)
    users, texts = run_lengths(starts, len(texts)), texts[starts]
    by_text = np.argsort(
        asked.keys[again], kind="stable"
    )  # neighbours in memory are asked for one after another
    again, asker = again[by_text], asker[by_text]
    place = np.searchsorted(texts, asked.keys[again])
    found = np.append(texts, -1)[place] == asked.keys[again]
    again, asker, place = again[found], asker[found], place[found]
    own = np.zeros(len(again), dtype=np.bool_)
    for k in range(_COMMON):  # the few accounts that were answered with the text, one after another
        more = users[place] > k
        own[more] |= answeree[starts[place[more]] + k] == asker[more]
    taken = np.zeros(len(asked.keys))
    taken[again] = ~own & (users[place] <= _COMMON)
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
