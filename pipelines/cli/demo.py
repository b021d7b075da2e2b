"""`scarecrow demo`: planted campaigns through every stage, to a ranked table and a report."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.context import settings_of

if TYPE_CHECKING:
    from pipelines.settings import Settings


def demo_command(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the log, the lake, the mart and the report.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another world.")] = 7,
) -> None:
    """A synthetic fortnight with planted campaigns and hard look-alikes, through every stage.

    No broker, no JVM, no network. Everything is written into one folder, made anew each time.

    Example: `scarecrow demo --out demo`
    """
    import shutil

    from pipelines.cli.ingest import now_ms
    from pipelines.errors import UsageError
    from pipelines.ingest.cycle import IngestOptions
    from pipelines.ingest.run import ingest, open_source
    from pipelines.lake.tables import Lake
    from pipelines.mart.open import open_mart
    from pipelines.prompt_map.store import NO_MAP
    from pipelines.report.page import write_report
    from pipelines.settings import hash_key
    from pipelines.simulate.demo import simulate_demo

    began = time.monotonic()
    log, lake, mart = out / "log", Lake(out / "lake"), out / "mart.duckdb"
    if out.exists() and any(out.iterdir()):
        if not (log / "truth.json").exists():
            raise UsageError(f"folder {out} holds other things than a demo; choose another with --out")
        shutil.rmtree(out)
    settings = settings_of(ctx)

    def say(text: str) -> None:
        typer.echo(f"[{time.monotonic() - began:5.1f} s] {text}")

    summary = simulate_demo(log, seed=seed)
    say(
        f"simulated {summary.requests:,} requests of {summary.accounts:,} accounts; {summary.harvesting_accounts} "
        f"of them harvest in {summary.campaigns} campaigns"
    )
    uri = str(log / "requests.ndjson")
    options = IngestOptions(hash_key(settings), NO_MAP, threads=settings.ingest.worker_count())
    source = open_source(uri, lake.path, settings.ingest.slice_mib << 20, follow=False)
    totals = ingest(lake, uri, source, options, now_ms)
    say(f"ingested {totals.rows:,} requests, {totals.rejects} rejects, in {totals.cycles} commit(s)")
    _rank_and_show(settings_of(ctx, lake__path=str(lake.path), mart__path=str(mart)), log / "truth.json", say)
    with open_mart(str(mart)) as opened:
        write_report(opened, out / "report.html")
    say(f"report {out / 'report.html'}")
    typer.echo(
        f"\nAsk further:  scarecrow explain ACCOUNT_OR_CAMPAIGN --mart {mart}\n"
        f"How good:     scarecrow evaluate --mart {mart} --truth {log / 'truth.json'}"
    )


def _rank_and_show(settings: "Settings", truth: Path, say: Callable[[str], None]) -> None:
    from pipelines.cli.rank import rank_settings
    from pipelines.cli.table import print_table
    from pipelines.evaluate.tables import read_truth
    from pipelines.mart.open import open_mart
    from pipelines.mart.queries import campaigns, suspects

    rank_settings(settings, quiet=True)
    with open_mart(settings.mart.path) as opened:
        groups, accounts = campaigns(opened, 8), suspects(opened, 12)
    say(f"ranked {len(groups)} campaigns; the first accounts and what they are in truth:")
    planted = dict(read_truth(truth).accounts.select("account_id", "class").iter_rows())
    print_table(
        ["#", "campaign", "score", "accounts", "calls", "why"],
        [
            [str(c.rank), c.campaign_id, f"{c.score:.1f}", str(c.accounts), f"{c.requests:,}", "; ".join(c.reasons[:1])]
            for c in groups
        ],
        right=[0, 2, 3, 4], wide=[5],
    )  # fmt: skip
    print_table(
        ["#", "account", "score", "campaign", "calls", "in truth"],
        [
            [str(a.rank), a.account_id, f"{a.score:.1f}", a.campaign_id or "", f"{a.requests:,}", planted[a.account_id]]
            for a in accounts
        ],
        right=[0, 2, 4],
    )  # fmt: skip
