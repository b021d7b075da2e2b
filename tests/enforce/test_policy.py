"""Which action a subject gets, and how it is taken back."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.enforce.actions import LADDER, Appeal, Entry
from pipelines.enforce.policy import HOUR_MS, Policy, grade_all
from pipelines.enforce.subjects import Subject, Subjects
from schemas.mart import STATES, VERDICTS

POLICY = Policy((0.0, 1.0, 2.0, 3.0, 4.0), 0.5, 24 * HOUR_MS, 72 * HOUR_MS, 0.05, 0.5, 10, True)
ACCOUNT = Subject("account", "a", 3.5, 0.01, None, "open", "medium", True, None, 0.0, 80.0, ["shared_list"])
CAMPAIGN = Subject("campaign", "c", 4.5, 0.0, None, "open", "medium", True, None, 1.0, 30.0, ["list_share"])


def graded(
    *subjects: Subject,
    before: Mapping[str, Entry] | None = None,
    appeals: Mapping[str, Appeal] | None = None,
    now_ms: int = 0,
    as_of_ms: int = 0,
) -> dict[str, Entry]:
    found = Subjects(
        as_of_ms,
        [s for s in subjects if s.kind == "campaign"],
        [s for s in subjects if s.kind == "account"],
        120.0,
    )
    return {e.key: e for e in grade_all(found, before or {}, appeals or {}, POLICY, now_ms)}


@pytest.mark.parametrize(
    ("score", "action"),
    [(-0.1, None), (0.0, "watch"), (1.0, "verify_identity"), (2.0, "rate_limit"), (3.0, "vary_outputs"),
     (4.0, "review"), (99.0, "review")],
)  # fmt: skip
def test_the_score_decides_and_never_goes_beyond_review(score: float, action: str | None) -> None:
    found = graded(replace(ACCOUNT, score=score))
    assert [e.action for e in found.values()] == ([action] if action else [])


def test_a_limit_is_half_of_its_own_calls_and_below_what_is_ordinary() -> None:
    assert graded(ACCOUNT)["account:a"].requests_per_day == 40
    assert graded(replace(ACCOUNT, requests_per_day=1000))["account:a"].requests_per_day == 120
    assert graded(replace(ACCOUNT, requests_per_day=3))["account:a"].requests_per_day == 10
    assert graded(replace(ACCOUNT, score=1.5))["account:a"].requests_per_day is None


@pytest.mark.parametrize(
    "changes", [{"has_two_families": False}, {"confidence": "insufficient"}, {"state": "needs_review"}]
)
def test_weak_evidence_is_watched_only(changes: dict[str, object]) -> None:
    assert graded(replace(ACCOUNT, score=9.0, **changes))["account:a"].action == "watch"  # type: ignore[arg-type]


def test_an_ordinary_p_value_has_no_action_whatever_the_score() -> None:
    assert graded(replace(ACCOUNT, score=9.0, p_value=0.06)) == {}


def test_a_member_gets_its_campaigns_action_when_it_firmly_belongs_to_it() -> None:
    member = replace(ACCOUNT, score=-1.0, p_value=0.5, campaign_id="c", membership=0.5)
    assert graded(CAMPAIGN, member)["account:a"].action == "review"
    assert "account:a" not in graded(CAMPAIGN, replace(member, membership=0.4))


def test_a_verdict_on_a_campaign_suspends_no_member() -> None:
    member = replace(ACCOUNT, campaign_id="c", membership=1.0)
    found = graded(replace(CAMPAIGN, label="true_positive"), member)
    assert found["campaign:c"].action == "suspend"
    assert found["account:a"].action == "review"


def test_a_suspension_has_no_limit_and_a_withdrawn_one_has_a_limit_again() -> None:
    before = graded(ACCOUNT)
    assert before["account:a"].requests_per_day == 40
    suspended = graded(replace(ACCOUNT, label="true_positive"), before=before, now_ms=1)
    assert (suspended["account:a"].action, suspended["account:a"].requests_per_day) == ("suspend", None)
    again = graded(replace(ACCOUNT, label="true_positive"), before=suspended, now_ms=2)
    assert again["account:a"].requests_per_day is None
    withdrawn = graded(ACCOUNT, before=suspended, now_ms=3)["account:a"]
    assert (withdrawn.action, withdrawn.requests_per_day) == ("vary_outputs", 40)


def test_up_at_once_down_only_after_hysteresis_and_hold() -> None:
    before = graded(ACCOUNT)
    assert graded(replace(ACCOUNT, score=4.0), before=before, now_ms=1)["account:a"].action == "review"
    day = 24 * HOUR_MS
    assert (
        graded(replace(ACCOUNT, score=2.6), before=before, now_ms=day)["account:a"].action == "vary_outputs"
    )
    assert (
        graded(replace(ACCOUNT, score=2.4), before=before, now_ms=day - 1)["account:a"].action
        == "vary_outputs"
    )
    assert graded(replace(ACCOUNT, score=2.4), before=before, now_ms=day)["account:a"].action == "rate_limit"
    assert graded(before=before, now_ms=day - 1)["account:a"].action == "vary_outputs"  # it left the ranking
    assert graded(before=before, now_ms=day) == {}


def test_expiry_is_renewed_only_by_a_newer_ranking() -> None:
    before = graded(ACCOUNT, as_of_ms=5)
    late = 71 * HOUR_MS
    assert graded(ACCOUNT, before=before, now_ms=late, as_of_ms=5)["account:a"].expires_at_ms == 72 * HOUR_MS
    renewed = graded(ACCOUNT, before=before, now_ms=late, as_of_ms=6)["account:a"]
    assert renewed.expires_at_ms == late + 72 * HOUR_MS
    assert renewed.since_ms == 0


@pytest.mark.parametrize("label", ["false_positive", "benign", "duplicate"])
def test_innocent_at_once(label: str) -> None:
    before = graded(ACCOUNT)
    assert graded(replace(ACCOUNT, label=label), before=before, now_ms=1) == {}


def test_appeals() -> None:
    before = graded(ACCOUNT)
    worse = replace(ACCOUNT, score=9.0)
    found = graded(worse, before=before, appeals={"account:a": "open"}, now_ms=1)["account:a"]
    assert (found.action, found.appeal) == ("vary_outputs", "open")
    assert graded(worse, before=before, appeals={"account:a": "granted"}, now_ms=1) == {}
    assert (
        graded(worse, before=before, appeals={"account:a": "rejected"}, now_ms=1)["account:a"].action
        == "review"
    )
    named = replace(worse, label="true_positive")
    assert (
        graded(named, before=before, appeals={"account:a": "open"}, now_ms=1)["account:a"].action != "suspend"
    )


_SUBJECTS = st.builds(
    Subject,
    st.sampled_from(["account", "campaign"]), st.sampled_from("abc"), st.floats(-9, 99), st.floats(0, 1),
    st.sampled_from([None, *VERDICTS]), st.sampled_from(STATES), st.sampled_from(["high", "insufficient"]),
    st.booleans(), st.sampled_from([None, "a", "b"]), st.floats(0, 1), st.floats(0, 1e6), st.just(["x"]),
)  # fmt: skip


@given(st.lists(st.lists(_SUBJECTS, max_size=4, unique_by=lambda s: (s.kind, s.id)), max_size=6), st.data())
def test_never_beyond_review_without_a_persons_true_positive(
    rankings: list[list[Subject]], data: st.DataObject
) -> None:
    before: dict[str, Entry] = {}
    now_ms = 0
    for number, ranking in enumerate(rankings):
        now_ms += data.draw(st.integers(0, 100)) * HOUR_MS
        appeals = data.draw(
            st.dictionaries(
                st.sampled_from(["account:a", "account:b", "campaign:a"]),
                st.sampled_from(["none", "open", "granted", "rejected", "withdrawn"]),
            )
        )
        before = graded(*ranking, before=before, appeals=appeals, now_ms=now_ms, as_of_ms=number)
        named = {f"{s.kind}:{s.id}" for s in ranking if s.label == "true_positive"}
        cleared = {
            f"{s.kind}:{s.id}" for s in ranking if s.label in ("false_positive", "benign", "duplicate")
        }
        for key, entry in before.items():
            assert entry.action in LADDER[1:]
            if entry.action == "suspend" and key in {f"{s.kind}:{s.id}" for s in ranking}:
                assert key in named
            assert key not in cleared
            assert appeals.get(key) != "granted"
            assert entry.expires_at_ms > now_ms
