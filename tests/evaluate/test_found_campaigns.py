"""Recall, purity, pieces and benign campaigns on sets that can be counted by hand."""

import pytest

from pipelines.evaluate.campaigns import FoundCampaign, benign_share, campaign_quality, first_campaigns

PLANTED = frozenset("abcdefghij")


def found(name: str, rank: int, members: str) -> FoundCampaign:
    return FoundCampaign(name, rank, frozenset(members))


def test_one_pure_campaign() -> None:
    quality = campaign_quality("p", "relay", PLANTED, [found("c1", 1, "abcdefghij")])
    assert (quality.found, quality.rank, quality.recall, quality.purity, quality.pieces) == (
        "c1",
        1,
        1.0,
        1.0,
        1,
    )
    assert quality.is_found


def test_two_pieces_and_strangers() -> None:
    quality = campaign_quality(
        "p", "relay", PLANTED, [found("c1", 1, "abcdeXY"), found("c2", 2, "fgZ"), found("c3", 3, "hUVW")]
    )
    assert (quality.found, quality.recall) == ("c1", 0.5)
    assert quality.purity == pytest.approx(5 / 7)
    assert quality.pieces == 2  # one member of ten in c3 is no piece
    assert quality.recall_of_pieces == pytest.approx(0.7)
    assert quality.purity_of_pieces == pytest.approx(7 / 10)
    assert quality.is_found


def test_of_equal_overlaps_the_purer_one_counts() -> None:
    quality = campaign_quality("p", "relay", PLANTED, [found("c1", 1, "abcXYZ"), found("c2", 9, "defX")])
    assert quality.found == "c2"
    assert not quality.is_found  # three of ten


def test_nothing_found() -> None:
    quality = campaign_quality("p", "relay", PLANTED, [found("c1", 1, "XYZ")])
    assert (quality.found, quality.rank, quality.recall, quality.purity) == (None, None, 0.0, None)
    assert (quality.pieces, quality.recall_of_pieces, quality.purity_of_pieces) == (0, 0.0, None)
    assert not quality.is_found


def test_a_mixed_heap_is_not_found() -> None:
    quality = campaign_quality("p", "relay", PLANTED, [found("c1", 1, "abcdefghijKLMNOPQRSTUVWX")])
    assert quality.recall == 1.0
    assert not quality.is_found


def test_the_first_ten_and_what_they_are() -> None:
    classes = {"a": "relay", "b": "relay", "c": "relay", "X": "classroom", "Y": "classroom", "Z": "gateway"}
    campaigns = [found("c3", 3, "XYq"), found("c1", 1, "abX"), found("c2", 2, "cXYZ")]
    campaigns += [found(f"d{i}", 4 + i, "Z") for i in range(10)]
    rows = first_campaigns(campaigns, classes, frozenset("abc"))
    assert [row.campaign_id for row in rows[:3]] == ["c1", "c2", "c3"]
    assert len(rows) == 10
    assert not rows[0].is_benign
    assert rows[0].harvesting_share == pytest.approx(2 / 3)
    assert (rows[1].kind, rows[1].kind_share) == ("classroom", 0.5)
    assert rows[2].kind == "classroom"
    assert benign_share(rows) == pytest.approx(0.9)
    assert benign_share([]) is None
