"""The feed in the words of two gateways: Envoy's rate limit service and LiteLLM's proxy.

Envoy (envoyproxy/ratelimit): a configuration whose descriptors carry account_id. A proposal is in shadow
mode: it is counted and never enforced. LiteLLM: bodies for POST /user/update with a budget per day in
dollars; a proposal sets nothing but metadata. Both leave out what a gateway cannot do (watch, verify, vary,
review).
"""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from pipelines.enforce.actions import SUSPEND, Entry

DOMAIN = "scarecrow"


def envoy(entries: Sequence[Entry]) -> str:
    """YAML of one domain. The route must send the descriptor (account_id, value of the account header)."""
    descriptors = []
    for entry in entries:
        calls = _calls(entry)
        if entry.subject_kind != "account" or calls is None:
            continue
        descriptor: dict[str, Any] = {
            "key": "account_id",
            "value": entry.subject_id,
            "rate_limit": {"unit": "day", "requests_per_unit": calls},
        }
        if entry.is_dry_run:
            descriptor["shadow_mode"] = True
        descriptors.append(descriptor)
    return str(yaml.safe_dump({"domain": DOMAIN, "descriptors": descriptors}, sort_keys=False))


def litellm(entries: Sequence[Entry], usd_per_request: float) -> str:
    """One body of POST /user/update per line. Budgets are of a day; the next run renews or lifts them."""
    lines = []
    for entry in entries:
        if entry.subject_kind != "account":
            continue
        body: dict[str, Any] = {
            "user_id": entry.subject_id,
            "metadata": {
                "scarecrow": {
                    "action": entry.action,
                    "version": entry.version,
                    "expires_at_ms": entry.expires_at_ms,
                    "is_dry_run": entry.is_dry_run,
                }
            },
        }
        calls = _calls(entry)
        if calls is not None and not entry.is_dry_run:
            body |= {"max_budget": round(calls * usd_per_request, 4), "budget_duration": "1d"}
        lines.append(json.dumps(body))
    return "".join(line + "\n" for line in lines)


def _calls(entry: Entry) -> int | None:
    return 0 if entry.level >= SUSPEND else entry.requests_per_day
