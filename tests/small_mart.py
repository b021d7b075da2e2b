"""A small mart with plausible rows, made with the DDL of schemas.mart, for tests of what reads a mart.

It is no ranking: scores are drawn so that contributions add up, ranks follow scores, and members of campaigns
come first. Same seed, same mart.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.mart.macros import install_macros
from schemas.describe import Relation
from schemas.mart import ACCOUNT_PROFILES, MART
from schemas.missing import unavailable

AS_OF = datetime(2026, 11, 14, tzinfo=UTC)
HORIZON_DAYS = 14

ACCOUNT_EVIDENCE: tuple[tuple[str, str, float, str], ...] = (
    ("group", "shared_list", 0, "people who work from one shared list, or share an interest"),
    ("group", "broad_and_unlike_people", 0.05, "a gateway in front of many people, or a large batch job"),
    ("systematicity", "first_turns", 0.55, "an application that never follows up, such as a batch job"),
    ("diversity", "evenness", 0.18, "many people behind one account"),
    ("coverage", "cells_at_50", 14, "a gateway in front of many people"),
    ("elicitation", "elicit_generation", 0.02, "a declared maker of synthetic data"),
    ("tempo", "no_idle_period", 19, "a scheduled job that runs around the clock"),
    ("linkage", "network", 0, "an office or a VPN"),
)
CAMPAIGN_EVIDENCE: tuple[tuple[str, str, float, str], ...] = (
    ("group", "list_share", 0, "colleagues who work through one task list"),
    ("group", "load_spread", 0.05, "a team that shares its work out"),
    ("group", "topic_scatter", 0.3, "one application"),
    ("group", "first_turns", 0.55, "people talk on"),
    ("group", "list_prompts", 0.1, "too little to tell"),
    ("group", "prompts_per_account", 14, "too little to tell"),
    ("group", "shared_prompts", 0.02, "shared exercises or one application"),
    ("group", "one_organisation", 0.18, "one customer's own accounts"),
)


@dataclass
class SmallMart:
    """What is put into the mart. ids: account ids to use first; the rest are made up."""

    accounts: int = 160
    campaign_sizes: tuple[int, ...] = (24, 12, 6)
    seed: int = 7
    ids: Sequence[str] = ()
    campaign_ids: Sequence[str] = ()
    texts: Sequence[str] = ()
    missing: Sequence[str] = ("client_ip", "payment_fingerprint", "account_created_at")
    history_days: int = 3
    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        """Fills rows and writes the file."""
        self._fill()
        connection = duckdb.connect(str(path))
        connection.execute("SET TimeZone = 'UTC'")
        for relation in MART:
            connection.execute(relation.ddl())
            _insert(connection, relation, self.rows.get(relation.name, []))
        install_macros(connection)
        self._history(connection)
        connection.close()
        return path

    def _fill(self) -> None:
        draw = random.Random(self.seed)
        ids = [*self.ids, *(f"acct-{i:04d}" for i in range(self.accounts - len(self.ids)))]
        campaign_ids = [*self.campaign_ids, *(f"c-{draw.getrandbits(24):06x}" for _ in self.campaign_sizes)]
        campaign_of: dict[str, str] = {}
        taken = 0
        for name, size in zip(campaign_ids, self.campaign_sizes, strict=False):
            for account in ids[taken : taken + size]:
                campaign_of[account] = name
            taken += size
        for name in (r.name for r in MART):
            self.rows[name] = []
        scored = []
        for account in ids:
            reasons = [self._reason(draw, account, account in campaign_of, *e) for e in ACCOUNT_EVIDENCE]
            scored.append((sum(float(str(r["contribution"])) for r in reasons), account))
            self.rows["account_reasons"] += reasons
        scored.sort(reverse=True)
        for rank, (score, account) in enumerate(scored, 1):
            self._account(draw, rank, score, account, campaign_of.get(account))
        self._campaigns(draw, campaign_ids, campaign_of)
        self._rest()

    def _reason(
        self,
        draw: random.Random,
        account: str,
        guilty: bool,
        family: str,
        reason: str,
        peer: float,
        cause: str,
    ) -> dict[str, object]:
        gone = reason == "network" and "client_ip" in self.missing
        high = draw.uniform(0.6, 2.6) if guilty else draw.uniform(-0.9, 0.35)
        share = peer < 1 and family != "group" and reason != "network"
        value = min(1.0, max(0.0, peer + high * 0.17)) if share else max(0.0, round(peer + high * 6))
        return {
            "as_of": AS_OF,
            "id": account,
            "family": family,
            "reason": reason,
            "value": None if gone else value,
            "peer_median": None if gone else float(peer),
            "peer_percentile": None if gone else draw.uniform(96, 99.9) if guilty else draw.uniform(5, 80),
            "contribution": 0.0 if gone else high,
            "ordinary_cause": cause,
        }

    def _account(
        self, draw: random.Random, rank: int, score: float, account: str, campaign: str | None
    ) -> None:
        days = sorted(draw.sample(range(HORIZON_DAYS), draw.randint(4, HORIZON_DAYS)))
        activity = [
            {
                "as_of": AS_OF,
                "account_id": account,
                "day": (AS_OF - timedelta(days=HORIZON_DAYS - d)).date(),
                "requests": draw.randint(20, 31) if campaign else max(1, int(draw.lognormvariate(2, 1))),
            }
            for d in days
        ]
        self.rows["account_activity"] += activity
        requests = sum(int(str(a["requests"])) for a in activity)
        said = self.texts[rank % len(self.texts)] if self.texts else None
        first = AS_OF - timedelta(days=HORIZON_DAYS - days[0], hours=-9)
        self.rows["suspect_accounts"].append(
            {
                "as_of": AS_OF,
                "rank": rank,
                "account_id": account,
                "score": score,
                "p_value": max(1e-6, min(1.0, 2.0 ** (-score))),
                "campaign_id": campaign,
                "requests": requests,
                "first_seen": first,
                "last_seen": AS_OF - timedelta(days=HORIZON_DAYS - 1 - days[-1], hours=3),
                "reasons": [
                    said or ("Draws its prompts from a list of others" if campaign else "Nothing unusual")
                ],
                "confidence": draw.choice(["high", "medium"])
                if campaign
                else draw.choice(["medium", "low", "insufficient"]),
                "label": None,
                "state": draw.choice(["new", "open", "growing"]) if campaign else "quiet",
                "log_e": 9.0,
                "log_e_accumulated": 0.0,
                "false_discovery_rate": 0.02,
            }
        )
        self.rows["account_profiles"].append(_profile(draw, account, requests, len(days)))

    def _campaigns(
        self, draw: random.Random, campaign_ids: Sequence[str], campaign_of: dict[str, str]
    ) -> None:
        accounts = {str(r["account_id"]): r for r in self.rows["suspect_accounts"]}
        found = []
        for name in campaign_ids[: len(self.campaign_sizes)]:
            members = [a for a, c in campaign_of.items() if c == name]
            reasons = [self._reason(draw, name, True, *e) for e in CAMPAIGN_EVIDENCE]
            score = sum(float(str(r["contribution"])) for r in reasons) + len(members) / 10
            reasons[0]["contribution"] = float(str(reasons[0]["contribution"])) + len(members) / 10
            self.rows["campaign_reasons"] += reasons
            found.append((score, name, members))
            for index, member in enumerate(members):
                self.rows["campaign_members"].append(
                    {
                        "as_of": AS_OF,
                        "campaign_id": name,
                        "account_id": member,
                        "membership": draw.uniform(0.5, 1),
                        "joined_at": accounts[member]["first_seen"],
                    }
                )
                for other in members[index + 1 : index + 7]:
                    a, b = sorted((member, other))
                    self.rows["account_links"].append(
                        {
                            "as_of": AS_OF,
                            "account_a": a,
                            "account_b": b,
                            "kind": "same_source",
                            "weight": draw.uniform(1, 6),
                            "evidence": self.texts[0] if self.texts else "prompts of both fit one list",
                        }
                    )
        found.sort(reverse=True)
        for rank, (score, name, members) in enumerate(found, 1):
            rows = [accounts[m] for m in members]
            self.rows["suspect_campaigns"].append(
                {
                    "as_of": AS_OF,
                    "rank": rank,
                    "campaign_id": name,
                    "score": score,
                    "accounts": len(members),
                    "requests": sum(int(str(r["requests"])) for r in rows),
                    "completion_tokens": sum(int(str(r["requests"])) for r in rows) * 640,
                    "first_seen": min(r["first_seen"] for r in rows),  # type: ignore[type-var]
                    "last_seen": max(r["last_seen"] for r in rows),  # type: ignore[type-var]
                    "growth_7d": None if rank == 3 else draw.uniform(0.8, 2.5),
                    "reasons": [self.texts[0] if self.texts else "Its members share a list and no prompt"],
                    "confidence": "high",
                    "label": None,
                    "state": "growing" if rank == 1 else "open",
                    "log_e": 9.0,
                    "log_e_accumulated": 1.5,
                    "false_discovery_rate": 0.001 * rank,
                    "prompts_taken": 30.0 * len(members),
                    "list_size": None if rank == 2 else 300.0 * len(members),
                    "list_size_low": 30.0 * len(members),
                    "list_size_high": None if rank == 2 else 450.0 * len(members),
                    "share_taken": None if rank == 2 else 0.1,
                    "share_taken_low": 0.0 if rank == 2 else 30 / 450,
                    "share_taken_high": 1.0,
                }
            )

    def _rest(self) -> None:
        second = self.rows["suspect_accounts"][1]
        second["label"] = "suspicious"
        self.rows["labels"].append(
            {
                "subject_kind": "account",
                "subject_id": second["account_id"],
                "verdict": "suspicious",
                "author": self.texts[0] if self.texts else "mira",
                "reason": "card reported stolen",
                "at": AS_OF - timedelta(days=2),
                "until": AS_OF + timedelta(days=30),
            }
        )
        for index, records in enumerate((48_210, 12_003)):
            missing = list(self.missing) if index == 0 else ["response"]
            self.rows["sources"].append(
                {
                    "source": self.texts[0] if self.texts and index == 0 else f"logs/gateway-{index}.ndjson",
                    "app_id": f"file:{index}",
                    "committed": records * 900,
                    "end_position": records * 900,
                    "lag_records": None,
                    "lag_seconds": 0.0,
                    "newest_event_time": AS_OF - timedelta(minutes=4),
                    "records": records,
                    "rejects": 17 * index,
                    "duplicates": 230,
                    "lost_records": None,
                    "missing_fields": missing,
                    "unavailable_reasons": unavailable(missing),
                }
            )
        for back in range(3):
            self.rows["runs"].append(
                {
                    "as_of": AS_OF - timedelta(days=back),
                    "horizon_days": float(HORIZON_DAYS),
                    "code_version": "0.1.0",
                    "map_version": "m-4f21c09a",
                    "settings_hash": "c1bac6585ee17c24",
                    "lake_version": 40 - back,
                    "account_hours": 21_734,
                    "accounts": self.accounts,
                    "campaigns": len(self.campaign_sizes),
                    "links": len(self.rows["account_links"]),
                    "seconds": 3.4,
                }
            )

    def _history(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("INSERT INTO ranking_history FROM ranking_snapshot()")
        for back in range(1, self.history_days + 1):
            # Earlier: the last campaign was not there yet, and two subjects of three scored less.
            connection.execute(
                """
                WITH before AS (
                    SELECT * REPLACE (
                        score - $1 * (rank % 3) AS score,
                        list_transform(contributions, lambda c: c - $1 * (rank % 3) / len(contributions))
                            AS contributions
                    )
                    FROM ranking_snapshot() WHERE NOT (subject_kind = 'campaign' AND rank = 3)
                )
                INSERT INTO ranking_history
                SELECT as_of - to_days($1::INTEGER), subject_kind, id,
                       row_number() OVER (PARTITION BY subject_kind ORDER BY score DESC),
                       score, families, contributions, log_e_accumulated, members
                FROM before""",
                [back],
            )


def _profile(draw: random.Random, account: str, requests: int, days: int) -> dict[str, object]:
    counts = {"active_days": days, "active_hours": days * 4, "cells_distinct": min(requests, 60)}
    means = {"requests_per_active_day": requests / days, "distinct_prompts": requests * 0.9}
    drawn = {"first_turn_share": draw.random(), "sample_coverage": draw.random()}
    given = counts | means | drawn | {"completion_tokens": requests * 640, "cells_at_30": 18.0}
    row: dict[str, object] = {"as_of": AS_OF, "account_id": account, "requests": requests}
    for column in ACCOUNT_PROFILES.columns:
        if column.name not in row:
            row[column.name] = given.get(column.name, 1 if column.required else None)
    return row


def _insert(connection: duckdb.DuckDBPyConnection, relation: Relation, rows: list[dict[str, object]]) -> None:
    if rows:
        table = pa.Table.from_pylist(rows, schema=relation.arrow())
        connection.register("filled", table)
        connection.execute(f"INSERT INTO {relation.name} SELECT * FROM filled")
        connection.unregister("filled")
