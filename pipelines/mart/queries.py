"""The questions that the command line and the report ask of a mart; answers are pipelines.mart.rows."""

from pipelines.mart.open import Mart
from pipelines.mart.rows import (
    Activity,
    Campaign,
    CampaignEvent,
    Kind,
    Label,
    Link,
    Member,
    Reason,
    Run,
    Source,
    Suspect,
)

_ACCOUNT = """
    SELECT as_of, rank, account_id, score, p_value, campaign_id, requests, first_seen, last_seen, reasons,
           confidence, label, state, log_e, false_discovery_rate
    FROM suspect_accounts"""

_CAMPAIGN = """
    SELECT as_of, rank, campaign_id, score, accounts, requests, completion_tokens, first_seen, last_seen,
           growth_7d, reasons, confidence, label, state, log_e, false_discovery_rate, prompts_taken, list_size,
           list_size_low, list_size_high, share_taken, share_taken_low, share_taken_high
    FROM suspect_campaigns"""

_REASON = "SELECT family, reason, value, peer_median, peer_percentile, contribution, ordinary_cause FROM "


def suspects(mart: Mart, top: int) -> list[Suspect]:
    """The first accounts of the ranking."""
    return [Suspect(*row) for row in mart.rows(_ACCOUNT + " ORDER BY rank LIMIT ?", top)]


def campaigns(mart: Mart, top: int) -> list[Campaign]:
    """The first campaigns of the ranking."""
    return [Campaign(*row) for row in mart.rows(_CAMPAIGN + " ORDER BY rank LIMIT ?", top)]


def account(mart: Mart, account_id: str) -> Suspect | None:
    """One account; None when the ranking does not hold it."""
    found = mart.rows(_ACCOUNT + " WHERE account_id = ?", account_id)
    return Suspect(*found[0]) if found else None


def campaign(mart: Mart, campaign_id: str) -> Campaign | None:
    """One campaign; None when the ranking does not hold it."""
    found = mart.rows(_CAMPAIGN + " WHERE campaign_id = ?", campaign_id)
    return Campaign(*found[0]) if found else None


def campaign_events(mart: Mart, campaign_id: str) -> list[CampaignEvent]:
    """What became of a campaign, and which ones split off it or merged into it; the oldest first."""
    sql = """
        SELECT as_of, campaign_id, event, other_id, accounts FROM campaign_events
        WHERE campaign_id = $1 OR other_id = $1 ORDER BY as_of, event, campaign_id"""
    return [CampaignEvent(*row) for row in mart.rows(sql, campaign_id)]


def members(mart: Mart, campaign_id: str) -> list[Member]:
    """Members of a campaign, the most suspect first."""
    return [
        Member(*row)
        for row in mart.rows(
            """
            SELECT account_id, m.membership, m.joined_at, a.rank, a.score, a.requests
            FROM campaign_members AS m JOIN suspect_accounts AS a USING (account_id)
            WHERE m.campaign_id = ? ORDER BY a.rank""",
            campaign_id,
        )
    ]


def reasons(mart: Mart, kind: Kind, subject: str) -> list[Reason]:
    """Why an account or campaign stands where it stands, the largest contribution first."""
    relation = "account_reasons" if kind == "account" else "campaign_reasons"
    order = " WHERE id = ? ORDER BY abs(contribution) DESC, family, reason"
    return [Reason(*row) for row in mart.rows(_REASON + relation + order, subject)]


def links(mart: Mart, account_id: str, top: int) -> list[Link]:
    """The strongest links of an account."""
    return [
        Link(*row)
        for row in mart.rows(
            """
            WITH mine AS (
                SELECT account_b AS other, kind, weight, evidence FROM account_links WHERE account_a = $1
                UNION ALL
                SELECT account_a, kind, weight, evidence FROM account_links WHERE account_b = $1
            )
            SELECT other, kind, weight, evidence, a.rank
            FROM mine LEFT JOIN suspect_accounts AS a ON a.account_id = other
            ORDER BY weight DESC, other, kind LIMIT $2""",
            account_id,
            top,
        )
    ]


def link_count(mart: Mart, account_id: str) -> int:
    """How many other accounts an account is linked to."""
    sql = """
        SELECT count(DISTINCT CASE WHEN account_a = $1 THEN account_b ELSE account_a END)
        FROM account_links WHERE account_a = $1 OR account_b = $1"""
    return int(mart.rows(sql, account_id)[0][0])


def account_activity(mart: Mart, account_id: str) -> list[Activity]:
    """Calls of an account by day."""
    sql = "SELECT day, requests FROM account_activity WHERE account_id = ? ORDER BY day"
    return [Activity(*row) for row in mart.rows(sql, account_id)]


def campaign_activity(mart: Mart, campaign_id: str) -> list[Activity]:
    """Calls of a campaign's members by day."""
    sql = """
        SELECT day, sum(requests)::BIGINT FROM account_activity JOIN campaign_members USING (account_id)
        WHERE campaign_id = ? GROUP BY day ORDER BY day"""
    return [Activity(*row) for row in mart.rows(sql, campaign_id)]


def labels(mart: Mart, kind: Kind, subject: str) -> list[Label]:
    """Verdicts on a subject, the newest first."""
    sql = """
        SELECT verdict, author, reason, "at", until FROM labels
        WHERE subject_kind = ? AND subject_id = ? ORDER BY "at" DESC"""
    return [Label(*row) for row in mart.rows(sql, kind, subject)]


def sources(mart: Mart) -> list[Source]:
    """What was read and what is missing in it."""
    return [
        Source(*row)
        for row in mart.rows(
            """
            SELECT source, app_id, committed, end_position, lag_records, lag_seconds, newest_event_time,
                   records, rejects, duplicates, lost_records, missing_fields, unavailable_reasons
            FROM sources ORDER BY source, app_id"""
        )
    ]


def runs(mart: Mart, top: int) -> list[Run]:
    """The newest rankings."""
    return [
        Run(*row)
        for row in mart.rows(
            """
            SELECT as_of, horizon_days, code_version, map_version, settings_hash, lake_version, account_hours,
                   accounts, campaigns, links, seconds
            FROM runs ORDER BY as_of DESC LIMIT ?""",
            top,
        )
    ]


def ranked(mart: Mart) -> tuple[int, int]:
    """Number of accounts and of campaigns that are ranked."""
    found = mart.rows(
        "SELECT (SELECT count(*) FROM suspect_accounts), (SELECT count(*) FROM suspect_campaigns)"
    )
    return int(found[0][0]), int(found[0][1])


def confidence_counts(mart: Mart) -> dict[str, tuple[int, int]]:
    """Per confidence: accounts, and their calls."""
    sql = """
        SELECT confidence, count(*), sum(requests)::BIGINT FROM suspect_accounts
        GROUP BY confidence ORDER BY confidence"""
    return {confidence: (int(n), int(requests)) for confidence, n, requests in mart.rows(sql)}
