"""A simulated month end to end in Dagster: one run of the ranking job per day, in order, as a backfill does it.

Ingests one day, ranks it as its partition, tells the alerts (to an OCSF file), labels in the middle, and goes on.
Prints seconds of the clock and of the processor and alerts by day, then one JSON object as its last line. `--quick`: a
week of a smaller world.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from pipelines.simulate import simulate

FIRST = datetime(2026, 1, 5, tzinfo=UTC)


def main() -> None:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--quick", action="store_true", help="a week of 150 accounts")
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--accounts", type=int, default=300)
    given = arguments.parse_args()
    days, accounts = (7, 150) if given.quick else (given.days, given.accounts)
    folder = Path(tempfile.mkdtemp(prefix="scarecrow-month-"))
    try:
        figures = month(folder, days, accounts)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))


def month(folder: Path, days: int, accounts: int) -> dict[str, object]:
    """Figures of a simulated month below a folder."""
    simulate(
        folder / "log", accounts=accounts, days=days, seed=4, strategies=["hydra:32:60-120"], by_day=True,
    )  # fmt: skip
    os.environ |= {
        "SCARECROW_LAKE__PATH": str(folder / "lake"),
        "SCARECROW_MART__PATH": str(folder / "mart.duckdb"),
        "SCARECROW_ALERTS__OCSF": str(folder / "findings.ndjson"),
        "SCARECROW_ALERTS__DIGEST_HOUR": "7",
        "SCARECROW_PRIVACY__HASH_KEY": "a key for simulated months",
        "SCARECROW_INGEST__SOURCE": str(folder / "log" / "*.ndjson"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ["DAGSTER_HOME"] = str(folder / "home")
    hidden = folder / "later"
    hidden.mkdir()
    for file in (folder / "log").glob("*.ndjson"):
        file.rename(hidden / file.name)
    from dagster_project.definitions import defs
    from pipelines.mart.open import open_mart

    jobs = {name: defs.resolve_job_def(name) for name in ("ingest_hour", "rank_day", "send_alerts")}
    seconds: list[float] = []
    cpu_seconds: list[float] = []
    told: list[int] = []
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.local_temp(str(folder / "home")) as instance:
        for number in range(days):
            day = FIRST + timedelta(days=number)
            key = day.strftime("%Y-%m-%d")
            (hidden / f"requests-{key}.ndjson").rename(folder / "log" / f"requests-{key}.ndjson")
            parts = []
            used = cpu()
            for name, partition in (
                ("ingest_hour", f"{key}-23:00"),
                ("rank_day", key),
                ("send_alerts", None),
            ):
                began = time.monotonic()
                result = jobs[name].execute_in_process(
                    instance=instance, partition_key=partition, run_config=quiet, raise_on_error=False
                )
                parts.append(time.monotonic() - began)
                if not result.success:
                    sys.exit(f"{name} of {key} failed")
            events = result.asset_materializations_for_node("alerts")
            told.append(int(events[0].metadata["told"].value))  # type: ignore[arg-type]
            with open_mart(str(folder / "mart.duckdb")) as opened:
                groups, ranked, worst = opened.rows(
                    "SELECT (SELECT count(*) FROM suspect_campaigns), count(*), max(score) FROM suspect_accounts"
                )[0]
            if number == days // 2:
                _label(folder / "mart.duckdb")
            seconds.append(sum(parts))
            cpu_seconds.append(cpu() - used)
            print(
                f"{key}  ingest {parts[0]:5.1f} s  rank {parts[1]:5.1f} s  alerts {parts[2]:4.1f} s  "
                f"cpu {cpu_seconds[-1]:5.1f} s  {ranked:4} accounts {groups:2} campaigns  "
                f"best score {worst:5.1f}  told {told[-1]}",
                flush=True,
            )
    with open_mart(str(folder / "mart.duckdb")) as opened:
        trail = dict(opened.rows("SELECT event, count(*) FROM audit_log GROUP BY event"))
        labels = dict(
            opened.rows("SELECT state, count(*) FROM suspect_accounts WHERE label NOT NULL GROUP BY state")
        )
        kept = opened.rows("SELECT count(DISTINCT as_of) FROM ranking_history")[0][0]
    return {
        "days": days,
        "accounts": accounts,
        "seconds_per_day_median": round(statistics.median(seconds), 2),
        "seconds_per_day_max": round(max(seconds), 2),
        "cpu_seconds_per_day_median": round(statistics.median(cpu_seconds), 2),
        "cpu_seconds_first_day": round(cpu_seconds[0], 2),
        "cpu_seconds_last_day": round(cpu_seconds[-1], 2),
        "alerts_per_day_mean": round(statistics.mean(told), 2),
        "alerts_per_day_max": max(told),
        "rankings_in_history": kept,
        "changes_in_trail": trail,
        "states_of_labelled_accounts": labels,
    }


def cpu() -> float:
    """Processor seconds of this process and of those it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _label(mart: Path) -> None:
    """A person looks at the first two accounts: one is none, one is."""
    from pipelines.mart.labels import Verdict, append
    from pipelines.mart.open import open_mart

    with open_mart(str(mart)) as opened:
        first, second = (
            a for (a,) in opened.rows("SELECT account_id FROM suspect_accounts ORDER BY rank LIMIT 2")
        )
    append(
        mart,
        [
            Verdict("account", first, "false_positive", "month", "simulated", 1, None),
            Verdict("account", second, "true_positive", "month", "simulated", 1, None),
        ],
    )


if __name__ == "__main__":
    main()
