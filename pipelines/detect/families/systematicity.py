"""Systematicity: templates filled without repetition, first turns only, lists worked through in order."""

from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipelines.detect.arrays import per_row, ratio
from pipelines.detect.course import Course
from pipelines.detect.families.statistic import Statistic, enough
from pipelines.detect.profiles import Profiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def template_share(p: Profiled, keys: Literal["openings", "closings"]) -> Floats:
    """Share of distinct prompts whose opening (or closing) another one of the account has too: float64[n].

    Read off the samples of template keys and of prompts: calls per key over calls per prompt. Both are
    uniform samples of distinct keys, so this holds beyond their limits.
    """
    templates, prompts = p.rows.sketches[keys], p.accounts.sample
    per_template = ratio(per_row(templates.offsets, templates.counts), np.diff(templates.offsets))
    per_prompt = ratio(per_row(prompts.offsets, prompts.counts), np.diff(prompts.offsets))
    return np.clip(1 - per_prompt / per_template, 0, 1)


def opening_evenness(p: Profiled) -> Floats:
    """Entropy over the sampled openings relative to its maximum: float64[n] in 0 to 1, NaN below two
    openings.
    """
    openings = p.rows.sketches["openings"]
    kinds = np.diff(openings.offsets)
    share = openings.counts / np.repeat(per_row(openings.offsets, openings.counts), kinds)
    entropy = per_row(openings.offsets, -share * np.log(share))
    return ratio(entropy, np.log(np.maximum(kinds, 1)))


def fewer_repeats(p: Profiled) -> Floats:
    """Repeats of longer prompts missing against the ordinary rate, in standard errors: float64[n].

    Expected as if each call repeated with the population's mean share (drawing with replacement); a list
    worked through once has none. NaN without longer prompts.
    """
    sample = p.accounts.sample
    long = sample.telling
    calls = per_row(sample.offsets, sample.counts * long)
    repeats = calls - per_row(sample.offsets, long)
    some = calls > 1
    rate = float(np.mean(repeats[some] / calls[some])) if some.any() else 0.0
    expected = np.maximum(calls - 1, 0) * rate
    return np.where(calls > 0, (expected - repeats) / np.sqrt(expected + 1), np.nan)


@njit(cache=True, nogil=True)
def _scale(offsets: Ints, minutes: Ints, counts: Ints, out: Floats) -> None:
    for i in range(len(out)):
        begin, end = offsets[i], offsets[i + 1]
        if end - begin < 2:
            continue
        low, high = minutes[begin], minutes[end - 1] + 1
        early = 0.0
        late = 0.0
        for k in range(begin, end):
            if 4 * (minutes[k] - low) < high - low:
                early += counts[k]
            elif 2 * (minutes[k] - low) >= high - low:
                late += counts[k]
        out[i] = np.log((late / 2 + 1) / (early + 1))


def probe_then_scale(p: Profiled) -> Floats:
    """Logarithm of the load in the second half of the account's span over that of its first quarter:
    float64[n].
    """
    minutes = p.rows.sketches["minutes"]
    out = np.full(len(p), np.nan)
    keys, counts = (each.astype(np.int64, copy=False) for each in (minutes.keys, minutes.counts))
    _scale(minutes.offsets, keys, counts, out)
    return out


def statistics(p: Profiled, course: Course) -> list[Statistic]:
    """All statistics. course: of the same accounts."""
    calls = p.requests
    prompts = np.where(np.isnan(p.columns["sample_coverage"]), 0, calls)
    templates, closings = template_share(p, "openings"), template_share(p, "closings")
    repeats = np.where(prompts > 0, p.columns["repeat_share"], np.nan)
    conversations = p.rows.sketches["conversations"]
    per_conversation = ratio(
        per_row(conversations.offsets, conversations.counts), np.diff(conversations.offsets)
    )
    with_conversation = p.rows.sum("with_conversation_id")
    batch = "a batch job on natural inputs fills one template without repetition"
    return [
        Statistic(
            "templates",
            enough(templates, prompts),
            "high",
            "an application with a prompt template",
            "{value:.0%} of its prompts open like another one of its own; peers {peer_median:.0%}",
            weight=0.5,
        ),
        Statistic(
            "closing_templates",
            enough(closings, prompts),
            "high",
            "an application with a prompt template",
            "{value:.0%} of its prompts end like another one of its own; peers {peer_median:.0%}",
            weight=0.5,
        ),
        Statistic(
            "opening_evenness",
            enough(opening_evenness(p), prompts),
            "low",
            "an application with a prompt template",
            "evenness over openings {value:.2f}; peers {peer_median:.2f}",
            weight=0.5,
        ),
        Statistic(
            "filled_templates",
            enough(np.fmax(templates, closings) * (1 - repeats), prompts),
            "high",
            batch,
            "{value:.0%} of its prompts fill a template with something new; peers {peer_median:.0%}",
        ),
        Statistic(
            "first_turns",
            enough(p.columns["first_turn_share"], p.rows.sum("with_turn_index")),
            "high",
            "a job or an application that asks single questions",
            "{value:.0%} of calls open a conversation; peers {peer_median:.0%}",
            weight=2.0,
        ),
        Statistic(
            "conversations",
            enough(per_conversation, with_conversation),
            "low",
            "a job or an application that asks single questions",
            "{value:.1f} calls per conversation; peers {peer_median:.1f}",
        ),
        Statistic(
            "without_replacement",
            enough(fewer_repeats(p), prompts),
            "high",
            batch,
            "{value:.1f} standard errors fewer repeated prompts than usual; peers {peer_median:.1f}",
            weight=2.0,
        ),
        Statistic(
            "ordered_sweeps",
            enough(course.sweeps, prompts),
            "high",
            "projects that follow one another",
            "its topics come in turn ({value:.2f}, 0 mixed, 1 strictly); peers {peer_median:.2f}",
            weight=0.5,
        ),
        Statistic(
            "probe_then_scale",
            enough(probe_then_scale(p), calls),
            "high",
            "a pilot that went into production",
            "load grew by {value:.1f} nats after its first days; peers {peer_median:.1f}",
            weight=0.5,
        ),
    ]
