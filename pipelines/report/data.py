"""Everything that the report shows, gathered from a mart before anything is rendered."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta

from pipelines.errors import ScarecrowError
from pipelines.mart import queries
from pipelines.mart.explain import Explanation, explain_account, explain_campaign
from pipelines.mart.open import Mart
from pipelines.mart.rows import Campaign, Run, Source, Suspect
from pipelines.report.charts import SERIES, day_values, score_values, why_values
from pipelines.report.inert import terminal

CURVE = 300
LINKS = 12
MEMBERS = 60
CAMPAIGNS = 50

Chart = dict[str, object]


@dataclass(frozen=True)
class ReportData:
    """What the page is made of.

    charts: by element id, the name of a specification and its values. account_pages, campaign_pages: which
    ids have a page of their own, with the number in its address.
    """

    run: Run
    runs: list[Run]
    accounts: list[Suspect]
    campaigns: list[Campaign]
    account_details: list[Explanation]
    campaign_details: list[Explanation]
    account_pages: dict[str, int]
    campaign_pages: dict[str, int]
    ranked_accounts: int
    ranked_campaigns: int
    confidence: dict[str, tuple[int, int]]
    sources: list[Source]
    charts: dict[str, Chart] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Calls of all ranked accounts."""
        return sum(calls for _, calls in self.confidence.values())

    @property
    def campaign_accounts(self) -> int:
        """Members of the campaigns shown."""
        return sum(c.accounts for c in self.campaigns)

    @property
    def campaign_calls(self) -> int:
        """Calls of the campaigns shown."""
        return sum(c.requests for c in self.campaigns)

    @property
    def campaign_tokens(self) -> int:
        """Tokens taken by the campaigns shown."""
        return sum(c.completion_tokens for c in self.campaigns)

    @property
    def missing_fields(self) -> list[str]:
        """Request fields that some source never carried."""
        return list(dict.fromkeys(name for s in self.sources for name in s.missing_fields))


def gather(mart: Mart, top: int) -> ReportData:
    """Reads the mart; top: accounts with a page of their own. ScarecrowError when it holds no run."""
    runs = queries.runs(mart, 10)
    if not runs:
        raise ScarecrowError(f"The mart {mart.path} holds no ranking; make one with `scarecrow rank`.")
    accounts, campaigns = queries.suspects(mart, top), queries.campaigns(mart, CAMPAIGNS)
    ranked_accounts, ranked_campaigns = queries.ranked(mart)
    data = ReportData(
        run=runs[0],
        runs=runs,
        accounts=accounts,
        campaigns=campaigns,
        account_details=[explain_account(mart, a, LINKS) for a in accounts],
        campaign_details=[explain_campaign(mart, c, LINKS) for c in campaigns],
        account_pages={a.account_id: a.rank for a in accounts},
        campaign_pages={c.campaign_id: c.rank for c in campaigns},
        ranked_accounts=ranked_accounts,
        ranked_campaigns=ranked_campaigns,
        confidence=queries.confidence_counts(mart),
        sources=queries.sources(mart),
    )
    _add_charts(mart, data)
    return data


def _add_charts(mart: Mart, data: ReportData) -> None:
    days = max(1, round(data.run.horizon_days))
    first = (data.run.as_of - timedelta(microseconds=1)).date() - timedelta(days=days - 1)
    means: dict[str, dict[date, float]] = {}
    stacked: dict[tuple[int, str], dict[date, int]] = defaultdict(dict)
    for campaign, details in zip(data.campaigns, data.campaign_details, strict=True):
        activity = queries.campaign_activity(mart, campaign.campaign_id)
        means[campaign.campaign_id] = {a.day: a.requests / campaign.accounts for a in activity}
        key = (
            (campaign.rank, campaign.campaign_id)
            if campaign.rank <= SERIES
            else (SERIES + 1, "other campaigns")
        )
        for a in activity:
            stacked[key][a.day] = stacked[key].get(a.day, 0) + a.requests
        data.charts[f"campaign-{campaign.rank}-why"] = _chart("why", why_values(details))
        data.charts[f"campaign-{campaign.rank}-days"] = _chart("days", day_values(activity, first, days))
    for account, details in zip(data.accounts, data.account_details, strict=True):
        activity = queries.account_activity(mart, account.account_id)
        others = means.get(account.campaign_id or "")
        data.charts[f"account-{account.rank}-why"] = _chart("why", why_values(details))
        data.charts[f"account-{account.rank}-days"] = _chart(
            "days" if others is None else "days_beside_others", day_values(activity, first, days, others)
        )
    data.charts["scores"] = _chart("scores", score_values(queries.suspects(mart, CURVE)))
    if stacked:
        data.charts["campaigns-days"] = _chart(
            "campaigns",
            [
                {"day": day.isoformat(), "calls": calls, "campaign": terminal(name), "rank": rank}
                for (rank, name), by_day in sorted(stacked.items())
                for day, calls in sorted(by_day.items())
            ],
        )


def _chart(spec: str, values: list[dict[str, object]]) -> Chart:
    return {"spec": spec, "values": values}
