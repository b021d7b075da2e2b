"""Wording: what each piece of evidence says, in which unit it is told, and what would settle it.

Belongs here: sentences for people. Not here: how evidence is computed and weighed (`pipelines.detect`). A
reason without an entry is worded from the meaning of the profile column of its name, or from its name.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pipelines.mart.rows import Campaign, CampaignEvent
from schemas.mart import ACCOUNT_PROFILES

Unit = Literal["share", "count", "number", "hours", "days", "nats", "bytes", "tokens"]


@dataclass(frozen=True)
class Wording:
    """says: what the evidence is about, neutral to its direction. unit: how its values are told."""

    says: str
    unit: Unit


_WORDS: dict[str, Wording] = {
    "shared_list": Wording("Draws on a list of prompts that other accounts draw on too", "nats"),
    "broad_and_unlike_people": Wording(
        "Heavy and broad use that is unlike people's (volume x breadth x divergence)", "number"
    ),
    "list_share": Wording("What the members ask that one common list explains", "share"),
    "load_spread": Wording("How unevenly the members took from that list (0 = each as much)", "number"),
    "topic_scatter": Wording(
        "How far each strays from a random part of that list (1 = not at all)", "number"
    ),
    "accounts_nearby": Wording("Other accounts that ask much the same", "count"),
    "prompts_per_account": Wording("Distinct prompts of a typical member", "count"),
    "members_own_evidence": Wording("What the members' own evidence adds up to, in nats each", "number"),
    "list_prompts": Wording("Prompts of that list that a typical member asked", "count"),
    "asked_again": Wording("Prompts of that list that a member asked more than once", "share"),
    "common_habits": Wording("What the members have in common in how they work, in nats", "number"),
    "separation": Wording(
        "Log-odds of the members above those of as many likeliest others, in nats", "number"
    ),
    "one_organisation": Wording("Members that belong to one organisation", "share"),
    "shared_prompts": Wording("Longer prompts of that list that several members asked", "share"),
    "templates": Wording("Prompts that open like another prompt of the account", "share"),
    "closing_templates": Wording("Prompts that end like another prompt of the account", "share"),
    "opening_evenness": Wording("Evenness over the openings of its prompts", "number"),
    "opening_top_share": Wording("Prompts with its commonest opening", "share"),
    "filled_templates": Wording("Prompts that fill a template with something new", "share"),
    "first_turns": Wording("Calls that open a conversation", "share"),
    "first_turn_share": Wording("Calls that open a conversation", "share"),
    "conversations": Wording("Calls per conversation", "number"),
    "repeat_share": Wording("Calls that repeat a prompt of the same account", "share"),
    "without_replacement": Wording("Fewer repeated prompts than usual, in standard errors", "number"),
    "ordered_sweeps": Wording("Its topics come one after the other (0 mixed, 1 strictly)", "number"),
    "probe_then_scale": Wording("Growth of its load after the first days", "nats"),
    "elicit_reasoning": Wording("Prompts that demand step-by-step reasoning", "share"),
    "elicit_tags": Wording("Prompts that demand reasoning inside tags", "share"),
    "elicit_judging": Wording("Prompts that ask for a verdict on answers", "share"),
    "elicit_generation": Wording("Prompts that ask for tasks, solutions, tests or data sets", "share"),
    "elicit_cleaning": Wording("Prompts that have model-written text cleaned", "share"),
    "elicitation_share": Wording("Prompts that try to draw out training material", "share"),
    "output_as_input": Wording("Text of its prompts that was an answer to another account", "share"),
    "cells_at_30": Wording("Subjects touched by 30 distinct prompts", "number"),
    "cells_at_50": Wording("Subjects touched by 50 distinct prompts", "number"),
    "cells_at_100": Wording("Subjects touched by 100 distinct prompts", "number"),
    "cells_at_300": Wording("Subjects touched by 300 distinct prompts", "number"),
    "sample_coverage": Wording("Share of its own range of subjects that it has shown", "share"),
    "unseen_cells_share": Wording("Share of its subjects that it has not shown yet (Chao1)", "share"),
    "scarcity_nats": Wording("Rarity of its subjects in ordinary use", "nats"),
    "hill_0_at_coverage": Wording("Subjects at equal coverage", "number"),
    "hill_1_at_coverage": Wording("Effective subjects at equal coverage", "number"),
    "hill_2_at_coverage": Wording("Effective frequent subjects at equal coverage", "number"),
    "hill_1_cells": Wording("Effective subjects", "number"),
    "hill_2_cells": Wording("Effective frequent subjects", "number"),
    "evenness": Wording("Evenness over its subjects", "number"),
    "spread_trace": Wording("Scatter of its prompts", "number"),
    "subjects_per_template_nats": Wording("Subjects over templates", "nats"),
    "divergence_nats": Wording("Distance of its subjects from ordinary use", "nats"),
    "no_idle_period": Wording("Longest daily rest", "hours"),
    "longest_idle_hours": Wording("Longest pause", "hours"),
    "hour_of_week_entropy_nats": Wording("Evenness over the hours of the week", "nats"),
    "hour_of_day_entropy_nats": Wording("Evenness over the hours of the day", "nats"),
    "burstiness": Wording("Burstiness of its calls (-1 a clock, 0 chance, 1 bursts)", "number"),
    "ramp": Wording("Full load from the start (0 ramped up late, 1 at once)", "number"),
    "throttle_share": Wording("Calls that ran into the rate limit", "share"),
    "model_move": Wording("Time until it moved to a newly released model", "hours"),
    "network": Wording("Other customers on its networks", "number"),
    "payment": Wording("Other customers with its payment means", "number"),
    "api_key": Wording("Other customers with its API keys", "number"),
    "tls": Wording("Other customers with its TLS fingerprint", "number"),
    "system_prompt": Wording("Other customers with its system prompt", "number"),
    "tool_schema": Wording("Other customers with its tool schema", "number"),
    "birth": Wording("Created in a burst of sign-ups, in standard errors", "number"),
    "respawn": Wording("Accounts whose silence it followed within two days", "count"),
    "synchronous": Wording(
        "Calls in the minutes of a linked account, or avoids them, in standard errors", "number"
    ),
}

FAMILY_NAMES: dict[str, str] = {
    "tempo": "When it calls",
    "coverage": "How much of the range of subjects it covers",
    "diversity": "How varied its prompts are",
    "systematicity": "How methodical its prompts are",
    "elicitation": "What it tries to draw out",
    "linkage": "What it shares with other accounts",
    "group": "What its prompts have in common with a group's",
}

_GATEWAY = "Ask whether a gateway or reseller serves many people; have it pass user ids."

_SETTLES: dict[str, str] = {
    "tempo": "Ask whether a scheduled job is declared: it would explain calls without a pause.",
    "coverage": _GATEWAY,
    "diversity": _GATEWAY,
    "systematicity": (
        "Ask for the use case: a list worked through once, never followed up, fits a data set in the making "
        "as well as a batch job on natural inputs."
    ),
    "elicitation": (
        "Compare with the declared use: evaluation teams and declared makers of synthetic data ask the same."
    ),
    "linkage": "Compare sign-up, billing and key records of the linked accounts: one customer explains them.",
    "group": (
        "Ask the holders of the linked accounts whether they work on a common list. A class, a team's "
        "evaluation set or one application also share a list, but then prompts recur across accounts."
    ),
}

LINK_KINDS: dict[str, str] = {
    "same_source": "same prompt list",
    "network": "same network",
    "payment": "same payment means",
    "api_key": "same API key",
    "tls": "same TLS fingerprint",
    "system_prompt": "same system prompt",
    "tool_schema": "same tool schema",
}


def wording(reason: str) -> Wording:
    """Words for a reason, whether or not it has an entry."""
    known = _WORDS.get(reason.rpartition(".")[2])
    if known is not None:
        return known
    meaning = next((c.meaning for c in ACCOUNT_PROFILES.columns if c.name == reason), None)
    said = meaning.partition(";")[0] if meaning else reason.rpartition(".")[2].replace("_", " ")
    return Wording(said[:1].upper() + said[1:], _unit(reason))


def reason_words() -> dict[str, str]:
    """What every known reason says."""
    return {reason: worded.says for reason, worded in _WORDS.items()}


def _unit(reason: str) -> Unit:
    for suffix in ("share", "hours", "days", "nats", "bytes", "tokens"):
        if reason.endswith("_" + suffix):
            return suffix
    return "number"


def family_name(family: str) -> str:
    """A family as a heading."""
    return FAMILY_NAMES.get(family, family.replace("_", " ").capitalize())


def settles(family: str) -> str | None:
    """What would settle the evidence of a family."""
    return _SETTLES.get(family)


def link_name(kind: str) -> str:
    """A kind of link in words."""
    return LINK_KINDS.get(kind, kind.replace("_", " "))


def told(value: float, unit: Unit) -> str:
    """A value in its unit: 0.31 as a share is `31 %`."""
    if unit == "share":
        return f"{value:.1%}".replace(".0%", "%").replace("%", " %")
    if unit in ("hours", "days", "tokens") and f"{value:.3g}" == "1":
        return f"1 {unit[:-1]}"
    text = f"{value:,.0f}" if unit == "count" or abs(value) >= 1000 else f"{value:.3g}"
    return text if unit in ("count", "number") else f"{text} {unit}"


def times(growth: float | None) -> str:
    """Growth as a factor; empty when unknown."""
    return "" if growth is None else f"x{growth:.3g}"


def instant(at: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def probability(p: float | None) -> str:
    """A p-value; what is too small to tell apart is told as a bound, none as insufficient."""
    if p is None:
        return "insufficient"
    return "below 0.0001" if p < 0.0001 else f"{p:.2g}"


def rate(false_discovery_rate: float, kind: str) -> str:
    """At which false discovery rate a finding would be told, as a sentence."""
    if false_discovery_rate >= 1:
        return f"Its evidence over time does not suffice to tell it at any false discovery rate among {kind}s"
    share = "below 0.01" if false_discovery_rate < 0.0001 else f"{100 * false_discovery_rate:.2g}"
    return f"Its evidence over time tells it at a false discovery rate of {share} % among {kind}s"


def list_said(c: Campaign) -> str:
    """How long its list is and how much of it is taken, as a sentence."""
    taken = f"Its members took {c.prompts_taken:,.0f} distinct longer prompts"
    if c.list_size is None or c.list_size_high is None:
        is_told = c.list_size_high is not None and c.list_size_high <= 100 * c.list_size_low
        most = f" and at most {c.list_size_high:,.0f}" if is_told else ""
        return (
            f"{taken}; how long the list is cannot be told, for hardly any recurs between members "
            f"(it has at least {c.list_size_low:,.0f}{most})"
        )
    share = "" if c.share_taken is None else f", so {told(c.share_taken, 'share')} of it"
    return (
        f"{taken} of a list of some {c.list_size:,.0f} (95 % interval {c.list_size_low:,.0f} to "
        f"{c.list_size_high:,.0f}){share} ({told(c.share_taken_low, 'share')} to {told(c.share_taken_high, 'share')})"
    )


def event_said(e: CampaignEvent, campaign_id: str) -> str:
    """What became of a campaign in one ranking, as seen from it."""
    n = f"{e.accounts:,} account" + ("" if e.accounts == 1 else "s")
    if e.campaign_id != campaign_id:
        return f"{e.campaign_id} {'split off it' if e.event == 'split' else 'merged into it'} with {n}"
    return {
        "born": f"first found, {n}",
        "split": f"split off {e.other_id} with {n}",
        "merged": f"merged into {e.other_id} with {n}",
        "returned": f"found again, {n}",
        "ended": f"no longer found, {n} before",
    }.get(e.event, e.event)


def place(percentile: float) -> str:
    """Where a value lies among peers, given the percentage that is strictly below it (ties are not)."""
    if percentile <= 0:
        return "no peer is lower"
    if percentile >= 100:
        return "all peers are lower"
    share = f"{min(max(percentile, 0.1), 99.9):.1f} % of peers are lower".replace(".0 %", " %")
    return share if percentile >= 50 else f"only {share}"
