"""Vega-Lite specifications of the report. Data is put in by the page, colours are CSS variables.

Vega-Embed, inlined into the page, draws every specification as wide as its container. A chart is a
specification and the values that it shows; one specification serves many charts.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from pipelines.mart.explain import Explanation, Finding
from pipelines.mart.rows import Activity, Suspect
from pipelines.mart.words import family_name
from pipelines.report.inert import terminal

Spec = dict[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_DAY_AXIS = {
    "title": None,
    "format": "%-d %b",
    "labelOverlap": "greedy",
    "labelSeparation": 10,
    "tickCount": {"interval": "day", "step": 1},
    "grid": False,
}
_CALLS_AXIS = {"title": "calls per day", "tickCount": 4, "format": "~s"}
SERIES = 6


def specs() -> dict[str, Spec]:
    """All specifications by name, each without data."""
    return {
        "why": _why(),
        "days": _days(is_beside_others=False),
        "days_beside_others": _days(is_beside_others=True),
        "campaigns": _campaigns(),
        "scores": _scores(),
    }


def _why() -> Spec:
    # Text stands above each bar: an axis with sentences would leave no room for bars on a phone. The page
    # wraps the sentences to its width and sets the lines of text, the size of the chart, and two parameters:
    # half the height of a row, and how far below the top of its row the bar lies.
    above = {"type": "text", "align": "left", "baseline": "top", "x": 0, "lineHeight": 17}
    top: Spec = {"expr": "-half"}
    against = {"test": "datum.contribution < 0", "value": "var(--against)"}
    side = {"condition": against, "value": "var(--for)"}
    return {
        "$schema": _SCHEMA,
        "data": {"name": "values"},
        "width": 600,
        "height": 300,
        "padding": 0,
        "autosize": {"type": "fit", "contains": "padding"},
        "params": [{"name": "half", "value": 32}, {"name": "below", "value": 40}],
        "encoding": {
            "y": {"field": "row", "type": "ordinal", "axis": None, "sort": None, "scale": {"padding": 0}}
        },
        "layer": [
            {
                "mark": {**above, "yOffset": top, "fontSize": 13.5},
                "encoding": {"text": {"field": "says_lines"}, "color": {"value": "var(--ink)"}},
            },
            {
                "mark": {**above, "yOffset": top, "fontSize": 12.5},
                "encoding": {"text": {"field": "figure_lines"}, "color": {"value": "var(--muted)"}},
            },
            {
                "mark": {
                    "type": "text",
                    "align": "right",
                    "baseline": "bottom",
                    "x": "width",
                    "yOffset": {"expr": "below - half - 6"},
                    "fontSize": 13,
                    "fontWeight": 600,
                },
                "encoding": {
                    "text": {"field": "contribution", "type": "quantitative", "format": "+.2f"},
                    "color": side,
                },
            },
            {
                "mark": {"type": "bar", "height": 7, "cornerRadius": 3, "yOffset": {"expr": "below - half"}},
                "encoding": {
                    "x": {
                        "field": "contribution",
                        "type": "quantitative",
                        "axis": None,
                        "scale": {"nice": False},
                    },
                    "color": side,
                    "tooltip": [
                        {"field": "family", "title": "kind"},
                        {"field": "seen", "title": "seen"},
                        {"field": "peers", "title": "peers"},
                        {"field": "contribution", "title": "adds", "format": "+.2f"},
                    ],
                },
            },
        ],
    }


def _days(is_beside_others: bool) -> Spec:
    x = {"field": "day", "type": "temporal", "timeUnit": "utcyearmonthdate", "axis": _DAY_AXIS}
    day = {"field": "day", "type": "temporal", "timeUnit": "utcyearmonthdate", "title": "day (UTC)"}
    calls = {"field": "calls", "type": "quantitative"}
    others = {"field": "others", "type": "quantitative"}
    tooltip: list[Spec] = [day, {**calls, "title": "calls", "format": ","}]
    if is_beside_others:
        tooltip.append({**others, "title": "mean of its campaign's members", "format": ".1f"})
    bars = {
        "mark": {"type": "bar", "color": "var(--accent)", "cornerRadiusEnd": 2, "width": {"band": 0.7}},
        "encoding": {"x": x, "y": {**calls, "axis": _CALLS_AXIS}, "tooltip": tooltip},
    }
    line = {
        "mark": {"type": "line", "color": "var(--for)", "strokeWidth": 2},
        "encoding": {"x": {**x, "bandPosition": 0.5}, "y": others},
    }
    return {
        "$schema": _SCHEMA,
        "data": {"name": "values"},
        "width": "container",
        "height": 150,
        "layer": [bars, line] if is_beside_others else [bars],
    }


def _campaigns() -> Spec:
    return {
        "$schema": _SCHEMA,
        "data": {"name": "values"},
        "width": "container",
        "height": 190,
        "mark": {"type": "bar", "width": {"band": 0.75}},
        "encoding": {
            "x": {"field": "day", "type": "temporal", "timeUnit": "utcyearmonthdate", "axis": _DAY_AXIS},
            "y": {"field": "calls", "type": "quantitative", "stack": "zero", "axis": _CALLS_AXIS},
            "order": {"field": "rank", "type": "quantitative"},
            "color": {
                "field": "campaign",
                "type": "nominal",
                "sort": {"field": "rank", "op": "min"},
                "scale": {"range": [f"var(--series-{i})" for i in range(1, SERIES + 2)]},
                "legend": {
                    "title": None,
                    "orient": "top",
                    "direction": "horizontal",
                    "columns": {"expr": "max(1, floor(width / 115))"},
                    "labelLimit": 95,
                },
            },
            "tooltip": [
                {"field": "day", "type": "temporal", "timeUnit": "utcyearmonthdate", "title": "day (UTC)"},
                {"field": "campaign", "title": "campaign"},
                {"field": "calls", "title": "calls", "format": ","},
            ],
        },
    }


def _scores() -> Spec:
    return {
        "$schema": _SCHEMA,
        "data": {"name": "values"},
        "width": "container",
        "height": 190,
        "mark": {"type": "circle", "size": 28, "opacity": 0.85},
        "encoding": {
            "x": {
                "field": "rank",
                "type": "quantitative",
                "axis": {"title": "rank", "tickCount": 6, "grid": False},
            },
            "y": {"field": "score", "type": "quantitative", "axis": {"title": "score", "tickCount": 5}},
            "color": {
                "field": "group",
                "type": "nominal",
                "scale": {"domain": ["in a campaign", "alone"], "range": ["var(--for)", "var(--against)"]},
                "legend": {"title": None, "orient": "top", "offset": 8},
            },
            "tooltip": [
                {"field": "rank", "title": "rank"},
                {"field": "account", "title": "account"},
                {"field": "score", "title": "score", "format": ".2f"},
                {"field": "campaign", "title": "campaign"},
            ],
        },
    }


def why_values(explained: Explanation) -> list[dict[str, object]]:
    """Bars of an explanation: evidence for it, then evidence against it, strongest first."""
    findings: Sequence[Finding] = [*explained.told_found, *reversed(explained.told_against)]
    bars: list[dict[str, object]] = [
        {
            "row": index,
            "says": f.says,
            "family": family_name(f.family),
            "seen": f.seen,
            "peers": f.peers,
            "contribution": round(f.contribution, 4),
        }
        for index, f in enumerate(findings)
    ]
    count, together = explained.small
    if count:
        bars.append(
            {
                "row": len(bars),
                "says": "1 smaller piece of evidence"
                if count == 1
                else f"{count} smaller pieces of evidence together",
                "family": "several",
                "seen": "the table below has them",
                "peers": "",
                "contribution": round(together, 4),
            }
        )
    return bars


def day_values(
    activity: Sequence[Activity], first: date, days: int, others: Mapping[date, float] | None = None
) -> list[dict[str, object]]:
    """Calls of every day of the horizon, days without calls as 0; others: what its campaign's members did."""
    calls = {a.day: a.requests for a in activity}
    return [
        {"day": day.isoformat(), "calls": calls.get(day, 0)}
        | ({} if others is None else {"others": round(others.get(day, 0.0), 2)})
        for day in (first + timedelta(days=i) for i in range(days))
    ]


def score_values(accounts: Sequence[Suspect]) -> list[dict[str, object]]:
    """Rank against score."""
    return [
        {
            "rank": a.rank,
            "score": round(a.score, 3),
            "account": terminal(a.account_id),
            "campaign": terminal(a.campaign_id or "none"),
            "group": "in a campaign" if a.campaign_id else "alone",
        }
        for a in accounts
    ]
