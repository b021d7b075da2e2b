"""Mart relations: what analysts, reports and alerts read (CONTRACT section 3)."""

import pyarrow as pa

from schemas.describe import Column, Relation

TIME = pa.timestamp("us", "UTC")
TEXT = pa.string()
NUMBER = pa.float64()
COUNT = pa.int64()

VERDICTS = ("false_positive", "true_positive", "suspicious", "benign", "insufficient_data", "duplicate")
SUBJECTS = ("account", "campaign")
CONFIDENCE = ("high", "medium", "low", "insufficient")
FAMILIES = ("tempo", "coverage", "diversity", "systematicity", "elicitation", "linkage", "group")
STATES = ("new", "open", "growing", "quiet", "ended", "needs_review", "suppressed")


def _as_of() -> Column:
    return Column("as_of", TIME, "end of the ranked horizon", True)


def _verdict() -> tuple[Column, ...]:
    return (
        Column("confidence", TEXT, "how much of the evidence was available", True, values=CONFIDENCE),
        Column("label", TEXT, "verdict in force, if any", values=VERDICTS, critical=False),
        Column("state", TEXT, "where the finding stands", True, values=STATES, critical=False),
    )


def _over_time() -> tuple[Column, ...]:
    return (
        Column("log_e", NUMBER, "log e-value, nats: mean of this ranking's and the accumulated one", True),
        Column("log_e_accumulated", NUMBER, "log e-value accumulated over rankings with decay, nats", True),
        Column(
            "false_discovery_rate",
            NUMBER,
            "smallest rate at which e-BH tells it among all of its kind; 1 = at none",
            True,
            minimum=0,
            maximum=1,
        ),
    )


SUSPECT_ACCOUNTS = Relation(
    "suspect_accounts",
    "account of the horizon",
    "Every account of the horizon, ranked by how likely it harvests.",
    (
        _as_of(),
        Column("rank", COUNT, "1 = most suspect", True, minimum=1, unique=True),
        Column("account_id", TEXT, "the billed principal", True, unique=True),
        Column("score", NUMBER, "additive log-odds (natural logarithm) over evidence families", True),
        Column(
            "p_value",
            NUMBER,
            "share of its peers (like volume, age and surface) with at least its score, itself counted: never below "
            "1 / (peers + 1); null below 6 distinct prompts, where it is insufficient",
            minimum=0,
            maximum=1,
        ),
        Column("campaign_id", TEXT, "campaign that it belongs to"),
        Column("requests", COUNT, "calls in the horizon", True, minimum=1),
        Column("first_seen", TIME, "first call in the horizon", True),
        Column("last_seen", TIME, "last call in the horizon", True),
        Column("reasons", pa.list_(TEXT), "strongest reasons, in words", True),
        *_verdict(),
        *_over_time(),
    ),
    owner="trust-and-safety",
)

SUSPECT_CAMPAIGNS = Relation(
    "suspect_campaigns",
    "campaign",
    "Groups of accounts that one hand seems to drive, ranked.",
    (
        _as_of(),
        Column("rank", COUNT, "1 = most suspect", True, minimum=1, unique=True),
        Column("campaign_id", TEXT, "stable over re-ranking", True, unique=True),
        Column("score", NUMBER, "log-odds of the group's evidence", True),
        Column("accounts", COUNT, "members", True, minimum=2),
        Column("requests", COUNT, "calls of the members in the horizon", True, minimum=1),
        Column("completion_tokens", COUNT, "tokens taken by the members", True, minimum=0),
        Column("first_seen", TIME, "first call of a member", True),
        Column("last_seen", TIME, "last call of a member", True),
        Column("growth_7d", NUMBER, "members' calls of the last 7 days over the 7 before; null without both"),
        Column("reasons", pa.list_(TEXT), "strongest reasons, in words", True),
        *_verdict(),
        *_over_time(),
        Column("prompts_taken", NUMBER, "distinct longer prompts that the members asked", True, minimum=0),
        Column("list_size", NUMBER, "estimated prompts of its list; null when hardly any recurs", minimum=0),
        Column("list_size_low", NUMBER, "95 % interval of list_size, lower end", True, minimum=0),
        Column("list_size_high", NUMBER, "95 % interval, upper end; null when nothing limits it", minimum=0),
        Column(
            "share_taken",
            NUMBER,
            "share of the list already taken; null with list_size",
            minimum=0,
            maximum=1,
        ),
        Column(
            "share_taken_low", NUMBER, "95 % interval of share_taken, lower end", True, minimum=0, maximum=1
        ),
        Column("share_taken_high", NUMBER, "95 % interval, upper end", True, minimum=0, maximum=1),
    ),
    owner="trust-and-safety",
)

CAMPAIGN_MEMBERS = Relation(
    "campaign_members",
    "campaign and account",
    "Who belongs to a campaign, and how firmly.",
    (
        _as_of(),
        Column("campaign_id", TEXT, "campaign", True),
        Column("account_id", TEXT, "member", True),
        Column(
            "membership",
            NUMBER,
            "probability that it belongs to the list, 0 to 1",
            True,
            minimum=0,
            maximum=1,
        ),
        Column("joined_at", TIME, "first call in the horizon", True),
    ),
    owner="trust-and-safety",
    unique=("campaign_id", "account_id"),
)


def _reasons(name: str, subject: str) -> Relation:
    return Relation(
        name,
        f"{subject} and reason",
        f"Why the {subject} stands where it stands: contributions add up to its score.",
        (
            _as_of(),
            Column("id", TEXT, subject, True),
            Column(
                "family", TEXT, "evidence family (METHOD section 5)", True, values=FAMILIES, critical=False
            ),
            Column("reason", TEXT, "name of the evidence", True),
            Column("value", NUMBER, "what was seen; null when unavailable"),
            Column("peer_median", NUMBER, "median over peers; null when unavailable"),
            Column("peer_percentile", NUMBER, "share of peers below, in percent", minimum=0, maximum=100),
            Column("contribution", NUMBER, "added to the score; 0 when unavailable", True),
            Column("ordinary_cause", TEXT, "what would explain it innocently", True),
        ),
        owner="trust-and-safety",
    )


ACCOUNT_REASONS = _reasons("account_reasons", "account")
CAMPAIGN_REASONS = _reasons("campaign_reasons", "campaign")

ACCOUNT_LINKS = Relation(
    "account_links",
    "pair of accounts and kind of link",
    "What ties two accounts together.",
    (
        _as_of(),
        Column("account_a", TEXT, "the smaller id", True),
        Column("account_b", TEXT, "the larger id", True),
        Column("kind", TEXT, "same_source, network, payment, api_key, system_prompt, tool_schema, ...", True),
        Column("weight", NUMBER, "strength, in nats", True),
        Column("evidence", TEXT, "in words", True),
    ),
    owner="trust-and-safety",
)

ACCOUNT_PROFILES = Relation(
    "account_profiles",
    "account of the horizon",
    "Every feature of an account; the unit is in the name.",
    (
        _as_of(),
        Column("account_id", TEXT, "the billed principal", True, unique=True),
        Column("requests", COUNT, "calls in the horizon", True, minimum=1),
        Column("active_days", COUNT, "days with calls", True, minimum=1),
        Column("active_hours", COUNT, "hours with calls", True, minimum=1),
        Column("requests_per_active_day", NUMBER, "calls per day with calls", True),
        Column("distinct_prompts", NUMBER, "estimated distinct prompts (bottom-k)", True),
        Column(
            "repeat_share", NUMBER, "share of calls that repeat an own prompt", True, minimum=0, maximum=1
        ),
        Column(
            "first_turn_share",
            NUMBER,
            "share of calls that open a conversation; null when turn_index is missing",
        ),
        Column("failure_share", NUMBER, "share of failed calls; null when status is missing"),
        Column("throttle_share", NUMBER, "share of calls answered 429; null when status is missing"),
        Column("prompt_tokens_mean", NUMBER, "tokens in per call; null when missing"),
        Column("completion_tokens_mean", NUMBER, "tokens out per call; null when missing"),
        Column("completion_tokens", COUNT, "tokens out", True, minimum=0),
        Column("prompt_bytes_mean", NUMBER, "bytes per prompt; null without text"),
        Column("temperature_mean", NUMBER, "mean sampling temperature; null when missing"),
        Column("cells_distinct", COUNT, "cells of the prompt map touched", True, minimum=0),
        Column("cells_at_100", NUMBER, "expected cells among 100 distinct prompts (rarefaction); null below"),
        Column("cells_at_30", NUMBER, "expected cells among 30 distinct prompts (rarefaction); null below"),
        Column(
            "sample_coverage", NUMBER, "Good-Turing / Chao sample coverage of cells", minimum=0, maximum=1
        ),
        Column("hill_1_cells", NUMBER, "Hill number of order 1 over cells"),
        Column("hill_2_cells", NUMBER, "Hill number of order 2 over cells"),
        Column("topics_distinct", COUNT, "topics of the prompt map touched", True, minimum=0),
        Column("topic_entropy_nats", NUMBER, "entropy over topics"),
        Column("spread_trace", NUMBER, "tr S of the prompt vectors"),
        Column("divergence_nats", NUMBER, "KL divergence of its histogram from ordinary use"),
        Column("opening_top_share", NUMBER, "share of calls with its commonest opening"),
        Column("system_prompts_distinct", COUNT, "distinct system prompts (capped at 32)", True, minimum=0),
        Column("networks_distinct", COUNT, "distinct networks (capped at 32)", True, minimum=0),
        Column("user_agents_distinct", COUNT, "distinct user agents (capped at 16)", True, minimum=0),
        Column("models_distinct", COUNT, "distinct models (capped at 16)", True, minimum=0),
        Column(
            "elicitation_share", NUMBER, "share of prompts with an elicitation pattern; null without text"
        ),
        Column(
            "longest_idle_hours",
            NUMBER,
            "longest run of hours without calls between first and last call",
            True,
        ),
        Column("hour_of_day_entropy_nats", NUMBER, "entropy of calls over hours of the day", True),
        Column("account_age_days", NUMBER, "age at the end of the horizon; null when unknown"),
    ),
    owner="trust-and-safety",
)

ACCOUNT_ACTIVITY = Relation(
    "account_activity",
    "account and day with calls",
    "Calls by day (UTC): of the first 1,000 accounts by rank and of every member of a campaign.",
    (
        _as_of(),
        Column("account_id", TEXT, "the billed principal", True),
        Column("day", pa.date32(), "day of event time, UTC", True),
        Column("requests", COUNT, "calls of that day within the horizon", True, minimum=1),
    ),
    owner="trust-and-safety",
    unique=("account_id", "day"),
)

RANKINGS_KEPT = 60
RANKS_KEPT = 1000

RANKING_HISTORY = Relation(
    "ranking_history",
    "ranking, kind of subject and subject",
    "Where accounts and campaigns stood: the last 60 rankings, in each the first 1,000 accounts and every campaign; of "
    "the last two rankings every account, which carries accumulated evidence on.",
    (
        Column("as_of", TIME, "end of the horizon of that ranking", True),
        Column("subject_kind", TEXT, "account or campaign", True, values=SUBJECTS),
        Column("id", TEXT, "account_id or campaign_id", True),
        Column("rank", COUNT, "1 = most suspect", True, minimum=1),
        Column("score", NUMBER, "log-odds of that ranking", True),
        Column("families", pa.list_(TEXT), "evidence families with a contribution, ascending", True),
        Column("contributions", pa.list_(NUMBER), "what each of them added to the score", True),
        Column("log_e_accumulated", NUMBER, "log e-value accumulated up to that ranking, nats"),
        Column("members", pa.list_(TEXT), "members of a campaign, ascending; empty for accounts"),
    ),
    owner="trust-and-safety",
    unique=("as_of", "subject_kind", "id"),
)

CAMPAIGN_EVENTS_KINDS = ("born", "split", "merged", "returned", "ended")

CAMPAIGN_EVENTS = Relation(
    "campaign_events",
    "ranking, campaign and event",
    "What became of campaigns from ranking to ranking, over the kept history, oldest first.",
    (
        Column("as_of", TIME, "end of the horizon of the ranking that shows it", True),
        Column("campaign_id", TEXT, "the campaign", True),
        Column(
            "event",
            TEXT,
            "born; split off other_id; merged into other_id; returned after an absence; ended without a successor",
            True,
            values=CAMPAIGN_EVENTS_KINDS,
        ),
        Column("other_id", TEXT, "the campaign it split off or merged into; null otherwise"),
        Column("accounts", COUNT, "accounts of it that are concerned", True, minimum=1),
    ),
    owner="trust-and-safety",
)

LABELS = Relation(
    "labels",
    "verdict",
    "What people decided.",
    (
        Column("subject_kind", TEXT, "account or campaign", True, values=SUBJECTS),
        Column("subject_id", TEXT, "account_id or campaign_id", True),
        Column("verdict", TEXT, "OCSF verdict vocabulary", True, values=VERDICTS),
        Column("author", TEXT, "who decided", True),
        Column("reason", TEXT, "why", True),
        Column("at", TIME, "when", True),
        Column("until", TIME, "how long it holds; null for good"),
    ),
    owner="trust-and-safety",
)

SOURCES = Relation(
    "sources",
    "source partition",
    "What was read, what is missing and which reasons that makes unavailable.",
    (
        Column("source", TEXT, "input as it was named", True),
        Column("app_id", TEXT, "source partition", True),
        Column("committed", COUNT, "next offset or byte", True),
        Column("end_position", COUNT, "end when last seen"),
        Column("lag_records", COUNT, "records not yet committed; null when unknown"),
        Column("lag_seconds", NUMBER, "age of the oldest record not yet committed; null when unknown"),
        Column("newest_event_time", TIME, "newest event time seen"),
        Column("records", COUNT, "records read", True, minimum=0),
        Column("rejects", COUNT, "records rejected", True, minimum=0),
        Column("duplicates", COUNT, "records dropped as repeats of an event_id", True, minimum=0),
        Column(
            "lost_records",
            COUNT,
            "offsets that retention removed before they were read; null for files, which have no retention",
            minimum=0,
        ),
        Column("missing_fields", pa.list_(TEXT), "request fields never seen", True),
        Column("unavailable_reasons", pa.list_(TEXT), "evidence that they make unavailable", True),
    ),
    owner="data-engineering",
)

RUNS = Relation(
    "runs",
    "ranking",
    "Which code, map and settings made this mart.",
    (
        _as_of(),
        Column("horizon_days", NUMBER, "length of the horizon", True),
        Column("code_version", TEXT, "version of Scarecrow", True),
        Column("map_version", TEXT, "prompt map", True),
        Column("settings_hash", TEXT, "hash of the settings in force", True),
        Column("lake_version", COUNT, "Delta version of account_hours that was read", True),
        Column("account_hours", COUNT, "rows read", True),
        Column("accounts", COUNT, "accounts ranked", True),
        Column("campaigns", COUNT, "campaigns found", True),
        Column("links", COUNT, "links kept", True),
        Column("seconds", NUMBER, "wall seconds of the ranking", True),
    ),
    owner="data-engineering",
)

AUDIT_EVENTS = ("state", "label", "weights")
AUDITED_ACCOUNTS = 100

AUDIT_LOG = Relation(
    "audit_log",
    "change of a state",
    "Append-only trail: every change of a finding's state, every verdict, every change of the family weights. Findings "
    f"are campaigns and their members, the first {AUDITED_ACCOUNTS} accounts, and what has a label.",
    (
        Column(
            "changed_at",
            TIME,
            "end of the ranked horizon for states, moment of the decision for the rest",
            True,
        ),
        Column("event", TEXT, "what changed", True, values=AUDIT_EVENTS),
        Column("subject_kind", TEXT, "account, campaign or weights", True),
        Column("subject_id", TEXT, "account_id, campaign_id or evidence family", True),
        Column("before", TEXT, "what was before; null when it is new"),
        Column("after", TEXT, "what is now; null when it left the ranking"),
        Column("author", TEXT, "the person, or ranking", True),
        Column("reason", TEXT, "why, as the person said"),
    ),
    owner="trust-and-safety",
)

BLIND_SPOTS_KINDS = ("missing_field", "few_requests", "rejects", "lost_records", "no_cell", "silent_days")

BLIND_SPOTS = Relation(
    "blind_spots",
    "blind spot",
    "What this installation cannot see, how much of the traffic that concerns, and what would help.",
    (
        _as_of(),
        Column("kind", TEXT, "which sort of blindness", True, values=BLIND_SPOTS_KINDS),
        Column("subject", TEXT, "the field, source or threshold", True),
        Column("accounts", COUNT, "accounts concerned; null when unknown", minimum=0),
        Column("requests", COUNT, "calls or records concerned; null when unknown", minimum=0),
        Column(
            "share", NUMBER, "of accounts, calls or days, 0 to 1; null when unknown", minimum=0, maximum=1
        ),
        Column("says", TEXT, "in words", True),
        Column("remedy", TEXT, "what would help", True),
    ),
    owner="data-engineering",
)

FAMILY_WEIGHTS = Relation(
    "family_weights",
    "evidence family",
    "What the contributions of each evidence family were multiplied with in this ranking.",
    (
        _as_of(),
        Column("family", TEXT, "evidence family", True, values=FAMILIES, unique=True),
        Column("weight", NUMBER, "1 unless calibrated by labels or set", True, minimum=0),
        Column("origin", TEXT, "default, labels or settings", True, values=("default", "labels", "settings")),
    ),
    owner="trust-and-safety",
)

MART: tuple[Relation, ...] = (
    SUSPECT_ACCOUNTS,
    SUSPECT_CAMPAIGNS,
    CAMPAIGN_MEMBERS,
    ACCOUNT_REASONS,
    CAMPAIGN_REASONS,
    ACCOUNT_LINKS,
    ACCOUNT_PROFILES,
    ACCOUNT_ACTIVITY,
    RANKING_HISTORY,
    CAMPAIGN_EVENTS,
    LABELS,
    SOURCES,
    RUNS,
    BLIND_SPOTS,
    FAMILY_WEIGHTS,
    AUDIT_LOG,
)
