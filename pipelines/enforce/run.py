"""One run of the feed: grade the ranking, note what changed, write file and topic."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.alerts.channels.topic import TopicWriter
from pipelines.enforce.actions import Entry
from pipelines.enforce.appeals import standing
from pipelines.enforce.feed import Form, publish, render, write
from pipelines.enforce.policy import HOUR_MS, STAY, Policy, grade_all, still_in_force
from pipelines.enforce.store import opened
from pipelines.enforce.subjects import read_subjects, with_verdicts
from pipelines.errors import UsageError
from pipelines.mart.labels import read_labels
from pipelines.mart.open import open_mart
from pipelines.settings import EnforceSettings, Settings


@dataclass(frozen=True)
class FeedReport:
    """What a run did. actions: entries by `kind action`. changes: entries that came, went or changed."""

    version: int
    as_of_ms: int
    changes: int
    published: int
    is_dry_run: bool
    entries: list[Entry] = field(repr=False)

    @property
    def actions(self) -> Counter[tuple[str, str]]:
        """Entries by kind and action."""
        return Counter((e.subject_kind, e.action) for e in self.entries)


def enforce(mart: Path, out: Path, form: Form, settings: Settings, now_ms: int) -> FeedReport:
    """Write the feed of a published mart. Running it twice changes nothing; expired entries go.

    A verdict or an appeal counts from the next run on, whether or not there is a newer ranking. An older
    ranking than the one graded last only lets entries expire. Raises UsageError for thresholds out of order,
    ScarecrowError when file or topic cannot be written.
    """
    policy = policy_of(settings.enforce)
    with open_mart(str(mart)) as found:
        subjects = read_subjects(
            found,
            policy.thresholds[0] - policy.hysteresis_nats,
            STAY * policy.max_p,
            settings.alerts.family_nats,
        )
    subjects = with_verdicts(subjects, read_labels(mart), now_ms)
    appeals = standing(mart)
    with opened(mart) as store:
        with store.transaction():
            before = store.in_force()
            if subjects.as_of_ms >= store.progress()[1]:
                entries = grade_all(subjects, before, appeals, policy, now_ms)
            else:
                entries = still_in_force(before, now_ms)
            changes = store.update(entries, subjects.as_of_ms, now_ms)
        in_force = store.in_force()
        entries = [in_force[key] for key in sorted(in_force)]
        write(out, render(entries, form, settings.enforce.usd_per_request))
        published = 0
        if settings.enforce.topic is not None:
            from pipelines.ingest.kafka.address import parse_address

            writer = TopicWriter(
                parse_address(settings.enforce.topic), settings.kafka, settings.alerts.timeout_seconds
            )
            try:
                published = publish(store, writer)
            finally:
                writer.close()
        version, _ = store.progress()
    return FeedReport(version, subjects.as_of_ms, changes, published, policy.is_dry_run, entries)


def policy_of(settings: EnforceSettings) -> Policy:
    """The settings as the policy reads them."""
    thresholds = (
        settings.watch,
        settings.verify_identity,
        settings.rate_limit,
        settings.vary_outputs,
        settings.review,
    )
    if list(thresholds) != sorted(thresholds):
        raise UsageError(
            "The scores enforce.watch, verify_identity, rate_limit, vary_outputs and review must rise; "
            f"they are {', '.join(f'{t:g}' for t in thresholds)}."
        )
    return Policy(
        thresholds=thresholds,
        hysteresis_nats=settings.hysteresis_nats,
        hold_ms=int(settings.hold_hours * HOUR_MS),
        expiry_ms=int(settings.expiry_hours * HOUR_MS),
        max_p=settings.max_p,
        membership=settings.membership,
        rate_floor=settings.rate_floor,
        is_dry_run=settings.is_dry_run,
    )
