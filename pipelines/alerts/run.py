"""One run of alerts: read the ranking, decide, note it, deliver. The entry point of `scarecrow alert` and
Dagster.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.alerts.channels.build import build_channels
from pipelines.alerts.deliver import Delivered, Patience, deliver
from pipelines.alerts.findings import Ranking, read_ranking
from pipelines.alerts.notice import Alert, Mention, alert, mention
from pipelines.alerts.outbox import Outbox, opened
from pipelines.alerts.rules import DAY_MS, HOUR_MS, Decision, decide, limits
from pipelines.mart.open import open_mart
from pipelines.settings import AlertSettings, Settings

_KEEP_DAYS = 90


@dataclass(frozen=True)
class AlertReport:
    """What a run did. told: alerts of this run. held: what was held back and why. deliveries: by channel.

    is_news: False when this ranking (or a later one) had been decided on before. without_channel: nothing was
    decided, for no channel is set.
    """

    as_of_ms: int
    is_news: bool
    told: list[Alert] = field(default_factory=list)
    held: list[Mention] = field(default_factory=list)
    has_digest: bool = False
    deliveries: list[Delivered] = field(default_factory=list)
    without_channel: bool = False
    is_dry_run: bool = False

    @property
    def waiting(self) -> int:
        """Deliveries that wait for the next run."""
        return sum(d.waiting for d in self.deliveries)

    @property
    def given_up(self) -> int:
        """Deliveries that were given up."""
        return sum(d.given_up for d in self.deliveries)


def send_alerts(
    mart: Path,
    settings: Settings,
    now_ms: int,
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> AlertReport:
    """Tell what a published mart has new, and deliver what waits from earlier runs.

    Safe to run at any time, twice, and after a kill at any point: a ranking is decided on once, a message is
    sent until its receiver has it and always under the same key. now_ms: epoch ms; later moments of the run
    are measured from it. Failures of receivers are in the report. Raises UsageError when there is no mart or
    an address is wrong, ScarecrowError when the mart or the outbox cannot be read.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        channels = build_channels(settings, stack)
        ranking = _ranking(mart, settings.alerts)
        if not channels:
            return AlertReport(ranking.as_of_ms, is_news=False, without_channel=True)
        outbox = stack.enter_context(opened(mart))
        told: list[Alert] = []
        held: list[Mention] = []
        is_news = ranking.as_of_ms > outbox.as_of_ms()
        if is_news:
            decision = _decision(outbox, ranking, settings.alerts, now_ms)
            told = _alerts(decision, ranking, now_ms)
            held = [mention(h) for h in decision.held]
            outbox.record(decision, told, [c.name for c in channels], ranking.as_of_ms, now_ms)
        takers = [c.name for c in channels if c.takes_digests]
        has_digest = _digest(outbox, takers, settings.alerts, now_ms)
        patience = Patience(
            attempts=settings.alerts.attempts,
            backoff_seconds=settings.alerts.backoff_seconds,
            give_up_days=settings.alerts.give_up_days,
            clock=lambda: now_ms + int((time.monotonic() - began) * 1000),
            sleep=sleep,
            jitter=jitter,
        )
        deliveries = deliver(outbox, channels, patience)
        outbox.forget(now_ms - _KEEP_DAYS * DAY_MS)
    return AlertReport(ranking.as_of_ms, is_news, told, held, has_digest, deliveries)


def preview(mart: Path, settings: Settings, now_ms: int) -> AlertReport:
    """What send_alerts would tell now. Nothing is sent or noted; a missing outbox is not made."""
    from pipelines.alerts.outbox import outbox_file

    ranking = _ranking(mart, settings.alerts)
    if not outbox_file(mart).exists():
        decision = decide(ranking.findings, {}, limits(settings.alerts), 0, now_ms)
        is_news = True
    else:
        with opened(mart) as outbox:
            is_news = ranking.as_of_ms > outbox.as_of_ms()
            decision = _decision(outbox, ranking, settings.alerts, now_ms)
    if not is_news:
        return AlertReport(ranking.as_of_ms, is_news=False, is_dry_run=True)
    held = [mention(h) for h in decision.held]
    return AlertReport(ranking.as_of_ms, is_news, _alerts(decision, ranking, now_ms), held, is_dry_run=True)


def _ranking(mart: Path, alerts: AlertSettings) -> Ranking:
    bars = limits(alerts)
    with open_mart(str(mart)) as found:
        return read_ranking(found, bars.stays("campaign"), bars.stays("account"))


def _decision(outbox: Outbox, ranking: Ranking, alerts: AlertSettings, now_ms: int) -> Decision:
    told_today = outbox.told_on(now_ms // DAY_MS)
    return decide(ranking.findings, outbox.known(), limits(alerts), told_today, now_ms)


def _alerts(decision: Decision, ranking: Ranking, now_ms: int) -> list[Alert]:
    return [alert(t, ranking.as_of_ms, now_ms) for t in decision.tell]


def _digest(outbox: Outbox, takers: Sequence[str], alerts: AlertSettings, now_ms: int) -> bool:
    """Notes the day's digest when its hour has come."""
    if alerts.digest_hour is None or not takers:
        return False
    day = now_ms // DAY_MS
    last = outbox.digest_day()
    if last < 0:
        outbox.skip_digest(now_ms)
        return False
    if last >= day or now_ms % DAY_MS < alerts.digest_hour * HOUR_MS:
        return False
    outbox.record_digest(outbox.digest(now_ms), takers)
    return True
