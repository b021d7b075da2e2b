import pytest

from pipelines.mart.words import family_name, link_name, place, probability, settles, told, wording
from schemas.mart import ACCOUNT_PROFILES, FAMILIES
from schemas.missing import EVIDENCE_OF_FIELD


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.31, "share", "31 %"),
        (0.0005, "share", "0.1 %"),
        (1.0, "share", "100 %"),
        (43.0, "count", "43"),
        (12345.0, "count", "12,345"),
        (0.4321, "number", "0.432"),
        (12345.6, "number", "12,346"),
        (29.0, "hours", "29 hours"),
        (1.0, "hours", "1 hour"),
        (2.125, "nats", "2.12 nats"),
    ],
)
def test_values_are_told_in_their_unit(value: float, unit: str, text: str) -> None:
    assert told(value, unit) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("percentile", "text"),
    [
        (99.98, "99.9 % of peers are lower"),
        (100.0, "all peers are lower"),
        (97.25, "97.2 % of peers are lower"),
        (90.0, "90 % of peers are lower"),
        (2.0, "only 2 % of peers are lower"),
        (0.02, "only 0.1 % of peers are lower"),
        (0.0, "no peer is lower"),
    ],
)
def test_a_place_among_peers(percentile: float, text: str) -> None:
    assert place(percentile) == text


def test_a_small_probability_is_a_bound() -> None:
    assert probability(3e-9) == "below 0.0001"
    assert probability(0.034) == "0.034"


def test_every_family_has_a_name_and_a_way_to_settle_it() -> None:
    assert all(family_name(f) != f and settles(f) for f in FAMILIES)
    assert settles("unheard_of") is None


def test_every_feature_and_every_evidence_of_a_field_has_words() -> None:
    evidence = [name for names in EVIDENCE_OF_FIELD.values() for name in names]
    for name in [*evidence, *(c.name for c in ACCOUNT_PROFILES.columns)]:
        said = wording(name).says
        assert said[:1].isupper(), name
        assert "_" not in said, name
        assert "null" not in said, name


def test_units_of_unknown_reasons_follow_their_names() -> None:
    assert wording("new_share").unit == "share"
    assert wording("gap_hours").unit == "hours"
    assert wording("surprise").unit == "number"
    assert wording("family.some_new_thing").says == "Some new thing"


def test_unknown_kinds_of_links_are_readable() -> None:
    assert link_name("same_source") == "same prompt list"
    assert link_name("shared_moon_phase") == "shared moon phase"
