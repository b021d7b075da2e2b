"""Nothing lost, nothing acted upon twice: a thousand deliveries to a bad receiver, and SIGKILL anywhere."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipelines.alerts.channels.webhook import signature
from pipelines.alerts.outbox import outbox_file
from pipelines.alerts.run import send_alerts
from pipelines.settings import Settings
from tests.alerts.killed import NOW_MS
from tests.alerts.receivers import http_receiver, unreliable
from tests.small_mart import SmallMart

ROOT = Path(__file__).parents[2]
KEY = "k" * 24


def outbox_keys(mart: Path) -> dict[str, Counter[str]]:
    """Keys by channel, with their states."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    with sqlite3.connect(outbox_file(mart)) as db:
        for channel, key, state in db.execute("SELECT channel, key, state FROM messages"):
            assert state == "sent"
            found[channel][key] += 1
    db.close()
    return found


def mart_of_suspects(path: Path, accounts: int) -> Path:
    """A mart in which every account is worth an alert."""
    SmallMart(accounts=accounts, campaign_sizes=()).write(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE suspect_accounts SET confidence = 'medium', score = 20 - rank / 1000")
        connection.execute("UPDATE account_reasons SET contribution = 0.5 WHERE contribution < 0.5")
    return path


def test_a_thousand_deliveries_to_a_receiver_that_fails_hangs_and_forgets(
    tmp_path: Path, settings_with: Callable[..., Settings]
) -> None:
    mart = mart_of_suspects(tmp_path / "mart.duckdb", 1000)
    behaviour = unreliable(5, _500=0.15, _429=0.05, lost=0.05, late=0.01, cut=0.05)
    with http_receiver(behaviour, late_seconds=0.3) as receiver:
        settings = settings_with(
            webhook__url=receiver.url,
            webhook__key=KEY,
            first_accounts=1000,
            per_day=1000,
            timeout_seconds=0.15,
            attempts=3,
            backoff_seconds=0,
        )
        report = send_alerts(mart, settings, NOW_MS)
        assert len(report.told) == 1000
        runs = 1
        while report.waiting:
            runs += 1
            assert runs < 30
            report = send_alerts(mart, settings, NOW_MS + runs * 1000)
            assert not report.told
            assert not report.given_up
    keys = outbox_keys(mart)["webhook"]
    assert set(keys.values()) == {1}
    assert len(keys) == 1000
    assert receiver.acted["/"] == keys  # each finding once, none that was not told
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for arrival in receiver.arrivals:
        key, at = arrival.headers["webhook-id"], int(arrival.headers["webhook-timestamp"])
        bodies[key].add(arrival.body)
        assert arrival.headers["webhook-signature"] == signature(KEY.encode(), key, at, arrival.body)
    assert {len(b) for b in bodies.values()} == {1}  # a repeat is the same message
    did = Counter(a.done for a in receiver.arrivals)
    assert min(did[name] for name in ("500", "429", "lost", "late", "cut")) >= 5
    assert runs > 1
    kept = Counter(a.headers["webhook-id"] for a in receiver.arrivals if a.done in ("ok", "lost", "late"))
    repeats = sum(kept.values()) - len(kept)
    assert repeats > 10  # answers did get lost, so that the key was needed
    print(f"1,000 findings, {len(receiver.arrivals):,} POSTs in {runs} runs: {dict(did)}; {repeats} repeats")


def test_sigkill_at_any_line_loses_nothing_and_repeats_nothing(
    tmp_path: Path, mart: Path, request: pytest.FixtureRequest
) -> None:
    stride = 1 if request.config.getoption("--soak", default=False) else 23
    folder = tmp_path / "kills"
    folder.mkdir()
    with http_receiver() as receiver:
        done = subprocess.run(
            [
                *(sys.executable, "-W", "ignore", "-m", "tests.alerts.killed"),
                *(str(mart), str(folder), receiver.url, "1", "100000", str(stride)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert not kills[-1]["killed"]  # the last number lies behind the last line
    assert len(kills) > 20
    repeats = with_digest = 0
    for kill in kills:
        number = kill["stop_at"]
        assert kill["clean"] == 0, kill
        keys = outbox_keys(folder / str(number) / "mart.duckdb")
        assert len(keys["ocsf"]) == 2  # two campaigns
        # And the digest, unless the first run died before it could note that digests begin the next day.
        assert len(keys["webhook"]) in (2, 3)
        with_digest += len(keys["webhook"]) == 3
        path = f"/{number}"
        assert receiver.acted[path] == keys["webhook"]
        arrived = Counter(a.headers["webhook-id"] for a in receiver.arrivals if a.path == path)
        repeats += sum(arrived.values()) - len(arrived)
        bodies = {(a.headers["webhook-id"], a.body) for a in receiver.arrivals if a.path == path}
        assert len(bodies) == len(arrived)
        written = (folder / str(number) / "findings.jsonl").read_text().splitlines()
        assert Counter(json.loads(line)["metadata"]["uid"] for line in written) == keys["ocsf"]
    assert 0 < with_digest < len(kills)
    print(f"{len(kills) - 1} kills at every {stride}th line: {repeats} POSTs repeated under their key")
    assert repeats > 0  # some died between the answer and its note: the key was needed


def test_the_file_survives_a_line_cut_in_half(mart: Path, settings_with: Callable[..., Settings]) -> None:
    file = mart.with_name("findings.jsonl")
    settings = settings_with(ocsf=str(file), first_campaigns=2, first_accounts=0)
    send_alerts(mart, settings, NOW_MS)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 100])
    with sqlite3.connect(outbox_file(mart)) as db:  # as a kill leaves it: begun, outcome unknown
        db.execute("UPDATE messages SET state = 'waiting', settled_ms = NULL")
    db.close()
    send_alerts(mart, settings, NOW_MS + 1)
    assert file.read_bytes() == whole
