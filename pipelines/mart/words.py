"""Wording: what each piece of evidence says, in which unit it is told, and what would settle it.

Belongs here: sentences for people. Not here: how evidence is computed and weighed (`pipelines.detect`). A
reason without an entry is worded from the meaning of the profile column of its name, or from its name.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from schemas.mart import ACCOUNT_PROFILES

Unit = Literal["share", "count", "number", "hours", "days", "nats", "bytes", "tokens"]


@dataclass(frozen=True)
class Wording:
    """says: what the evidence is about, neutral to its direction. unit: how its values are told."""

    says: str
    unit: Unit


_WORDS: dict[str, Wording] = {
    "same_source": Wording("Draws its prompts from the same list as other accounts", "count"),
    "density": Wording("Its members are linked to each other by a common source of prompts", "share"),
    "homogeneity": Wording("Scatter of the members around one common list (1 = a single list)", "number"),
    "duplicates": Wording("Prompts that recur among members of one list", "share"),
    "disjointness": Wording("The list is shared, yet almost no prompt is asked twice", "number"),
    "members": Wording("Accounts that seem to be driven by one hand", "count"),
    "verified_share": Wording("Share of prompts from a list that others in the group also use", "share"),
    "lone_breadth": Wording("Heavy, broad and unlike people, without a group", "number"),
    "first_turns": Wording("Calls that open a conversation and are never followed up", "share"),
    "first_turn_share": Wording("Calls that open a conversation and are never followed up", "share"),
    "repeats": Wording("Calls that repeat a prompt of the same account", "share"),
    "repeat_share": Wording("Calls that repeat a prompt of the same account", "share"),
    "templates": Wording("Prompts that start alike while their content differs", "share"),
    "opening_top_share": Wording("Prompts that start alike", "share"),
    "elicitation_share": Wording("Prompts that demand reasoning, judging or training material", "share"),
    "output_as_input": Wording("Answers given to one account that come back as prompts", "count"),
    "cells_at_100": Wording("Subjects touched by 100 distinct prompts", "count"),
    "cells_at_30": Wording("Subjects touched by 30 distinct prompts", "count"),
    "sample_coverage": Wording("How much of its own range of subjects it has shown", "share"),
    "hill_1_cells": Wording("Effective number of subjects", "number"),
    "hill_2_cells": Wording("Effective number of frequent subjects", "number"),
    "divergence_nats": Wording("Distance of its subjects from ordinary use", "nats"),
    "longest_idle_hours": Wording("Longest pause", "hours"),
    "hour_of_day_entropy_nats": Wording("Evenness over the hours of the day", "nats"),
    "throttle_share": Wording("Calls that ran into the rate limit", "share"),
    "network": Wording("Networks shared with other accounts", "count"),
    "payment": Wording("Payment means shared with other accounts", "count"),
    "api_key": Wording("API keys shared with other accounts", "count"),
    "tls": Wording("TLS fingerprint shared with other accounts", "count"),
    "user_agent": Wording("User agent shared with other accounts", "count"),
    "system_prompt": Wording("A rare system prompt shared with other accounts", "count"),
    "tool_schema": Wording("A rare tool schema shared with other accounts", "count"),
    "model_move": Wording("Hours until it moved to a newly released model", "hours"),
    "ramp": Wording("Full load from the first day on, without a ramp", "number"),
    "birth": Wording("Created in a burst of sign-ups", "number"),
    "conversations": Wording("Calls per conversation", "number"),
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
    "user_agent": "same user agent",
    "system_prompt": "same system prompt",
    "tool_schema": "same tool schema",
}


def wording(reason: str) -> Wording:
    """Words for a reason, whether or not it has an entry."""
    known = _WORDS.get(reason) or _WORDS.get(reason.rpartition(".")[2])
    if known is not None:
        return known
    meaning = next((c.meaning for c in ACCOUNT_PROFILES.columns if c.name == reason), None)
    said = meaning.partition(";")[0] if meaning else reason.rpartition(".")[2].replace("_", " ")
    return Wording(said[:1].upper() + said[1:], _unit(reason))


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
    text = f"{value:,.0f}" if unit == "count" or abs(value) >= 1000 else f"{value:.3g}"
    return text if unit in ("count", "number") else f"{text} {unit}"


def times(growth: float | None) -> str:
    """Growth as a factor; empty when unknown."""
    return "" if growth is None else f"x{growth:.3g}"


def instant(at: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def probability(p: float) -> str:
    """A p-value; what is too small to tell apart is told as a bound."""
    return "below 0.0001" if p < 0.0001 else f"{p:.2g}"


def place(percentile: float) -> str:
    """Where a value lies among peers, told from the side that it is on."""
    side, share = ("lower", 100 - percentile) if percentile < 50 else ("higher", percentile)
    return f"{side} than {min(share, 99.9) if share < 100 else share:.1f} % of peers".replace(".0 %", " %")
