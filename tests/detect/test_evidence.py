"""All account-level evidence on simulated worlds: a null world, missing fields, order, grain, bounds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.alerts.findings import OF_METADATA, Finding
from pipelines.detect import calibrate
from pipelines.detect.course import follow
from pipelines.detect.evidence import Evidence, account_evidence, peer_groups
from pipelines.errors import ScarecrowError
from pipelines.ingest.fold import Rows, concat, fold, from_arrow, to_arrow
from pipelines.prompt_map.fit import FittedMap
from pipelines.settings import AlertSettings
from schemas.account_hour import ELICITATION, SKETCHES
from schemas.mart import FAMILIES
from tests.detect.worlds import by_account, by_day, evidence_of, rows_of, without, world

CONTENT_SKETCHES = ("cells", "prompts", "prompt_shingles", "response_shingles", "openings", "closings")
CONTENT_SUMS = ("prompt_bytes", "with_prompt", "with_response", *(name for name, _ in ELICITATION))
RARE = {"elicitation", "linkage"}
"""Families in which most ordinary accounts show nothing at all, so that their p-values are tied near 1."""
CONTENT_FAMILIES = {"coverage", "diversity", "elicitation"}


@pytest.fixture(scope="module")
def null_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[FittedMap, Rows, Rows]:
    """700 ordinary accounts, look-alikes among them, and no campaign at all."""
    folder = tmp_path_factory.mktemp("null")
    fitted, hours, accounts, _ = world(folder, accounts=700, seed=11, base_rate=0.0, requests_per_account=25)
    return fitted, hours, accounts


def horizon_end(rows: Rows) -> int:
    return int(rows.last.max()) + 1


def gather(null_world: tuple[FittedMap, Rows, Rows]) -> tuple[pl.DataFrame, list[Evidence]]:
    fitted, hours, accounts = null_world
    return evidence_of(accounts, hours, fitted, horizon_end(accounts))


def by_family(found: list[Evidence]) -> dict[str, np.ndarray]:
    return {
        f: np.sum([e.contribution for e in found if e.family == f], axis=0) for f in {e.family for e in found}
    }


def may_be_told(
    families: dict[str, np.ndarray], of_metadata: dict[str, np.ndarray], nats: float
) -> np.ndarray:
    """Which accounts meet the two-family rule of alerts, bool[n]. nats: from which a family counts."""
    findings = [
        Finding(
            "account", "x", 1, 1, 0.0, 1, 1, None, 0, 0, "high", None, "new",
            {family: float(each[i]) for family, each in families.items()}, [],
            of_metadata={family: float(each[i]) for family, each in of_metadata.items()},
        )
        for i in range(len(next(iter(families.values()))))
    ]  # fmt: skip
    return np.array([finding.has_two_families(nats) for finding in findings])


def same(a: list[Evidence], b: list[Evidence]) -> None:
    for first, second in zip(a, b, strict=True):
        assert (first.family, first.reason) == (second.family, second.reason)
        for name in ("values", "p_values", "peer_median", "peer_percentile", "contribution"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=first.reason)


def test_evidence_is_complete_and_well_formed(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    profiles, found = gather(null_world)
    assert len({e.reason for e in found}) == len(found)
    assert {e.family for e in found} == set(FAMILIES) - {"group"}
    for e in found:
        missing = np.isnan(e.values)
        assert len(e.values) == len(profiles)
        np.testing.assert_array_equal(missing, np.isnan(e.p_values), err_msg=e.reason)
        assert np.all(e.contribution[missing] == 0), e.reason
        assert np.isfinite(e.contribution).all()
        assert e.ordinary_cause
        seen = np.flatnonzero(~missing)
        if len(seen):
            i = seen[0]
            assert "{" not in e.words.format(value=e.values[i], peer_median=e.peer_median[i])
            assert np.nanmin(e.p_values) >= 1 / len(profiles)


def test_null_world_has_valid_p_values(
    null_world: tuple[FittedMap, Rows, Rows], record_property: Callable[[str, object], None]
) -> None:
    """sup (F(p) - p) over ordinary accounts: above 0 means too many small p. The other side is ties."""
    _, found = gather(null_world)
    accounts = null_world[2]
    stratum = peer_groups(accounts, horizon_end(accounts))
    for e in found:
        p = np.sort(e.p_values[~np.isnan(e.p_values)])
        if len(p):
            excess = float((np.arange(1, len(p) + 1) / len(p) - p).max())
            record_property(f"excess of {e.reason}", excess)
            assert excess <= 0.01, e.reason
    for family in by_family(found):
        ranked = [calibrate.rank(e.values, stratum, "both").middle for e in found if e.family == family]
        p = np.sort(calibrate.family_p(ranked, stratum))
        p = p[~np.isnan(p)]
        above = np.arange(1, len(p) + 1) / len(p) - p
        record_property(f"Kolmogorov deviation of {family}", float(np.abs(above).max()))
        assert above.max() <= 0.01, family
        if family not in RARE:
            assert np.abs(above).max() <= 0.06, family


def test_null_world_alerts_stay_within_the_false_discovery_rate(
    null_world: tuple[FittedMap, Rows, Rows],
) -> None:
    """Half of the accounts are peers, the others are tested: at most alpha of the runs alert at all."""
    _, found = gather(null_world)
    _, _, accounts = null_world
    stratum = peer_groups(accounts, horizon_end(accounts))
    rng = np.random.default_rng(0)
    alpha, runs = 0.1, 60
    alerted = 0
    for _ in range(runs):
        peers = rng.random(len(accounts)) < 0.5
        e_values = []
        for family in sorted(by_family(found)):
            ranked = [
                calibrate.rank(e.values, stratum, "both", peers).middle for e in found if e.family == family
            ]
            e_values.append(np.exp(calibrate.log_e(calibrate.family_p(ranked, stratum, peers))))
        tested = np.log(np.mean(e_values, axis=0))[~peers]  # a mean of e-values is one, however they depend
        alerted += bool(calibrate.e_bh(tested, alpha).any())
    assert alerted / runs <= alpha


def test_ordinary_accounts_rarely_meet_the_two_family_rule(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    found = gather(null_world)[1]
    of_metadata = by_family([e for e in found if e.reason in OF_METADATA])
    # The rule of alerts asks for two kinds of evidence; how many are told in error is e-BH's to bound.
    assert may_be_told(by_family(found), of_metadata, AlertSettings().family_nats).mean() <= 0.06
    assert may_be_told(by_family(found), of_metadata, 0.5).mean() <= 0.02
    metadata = by_family([e for e in found if e.family in ("tempo", "linkage") or e.reason in OF_METADATA])
    assert not may_be_told(metadata, of_metadata, AlertSettings().family_nats).any()


def test_contributions_are_bounded_below_one_firm_group(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    for family, nats in by_family(gather(null_world)[1]).items():
        assert nats.min() >= np.log(1 - calibrate.PREVALENCE[family]) - 0.1, family
        assert nats.max() <= calibrate.CEILING + 1e-12, family
        assert nats.mean() <= 0, f"{family} raises ordinary accounts on average"


def test_ordinary_accounts_stay_below_a_firm_group(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    """What single accounts show can only reorder groups that differ by less than this."""
    total = np.sum([e.contribution for e in gather(null_world)[1]], axis=0)
    assert total.max() - total.min() < 4


def test_order_and_slicing_do_not_matter(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    fitted, hours, accounts = null_world
    table = to_arrow(hours)
    shuffled = np.random.default_rng(5).permutation(len(table))
    parts = [from_arrow(table.take(shuffled[k::3])) for k in range(3)]
    again = fold(concat(parts))
    expected = gather(null_world)
    got = evidence_of(by_account(again), again, fitted, horizon_end(accounts))
    unfolded = evidence_of(by_account(again), concat(parts), fitted, horizon_end(accounts))
    for profiles, found in (got, unfolded):
        assert profiles.equals(expected[0])
        same(found, expected[1])


def test_days_serve_as_well_as_hours(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    fitted, hours, accounts = null_world
    profiles, found = evidence_of(accounts, by_day(hours), fitted, horizon_end(accounts))
    expected = gather(null_world)
    assert profiles.equals(expected[0])
    by_grain = {"model_move", "ordered_sweeps"}
    assert {e.reason for e in found} == {e.reason for e in expected[1]}
    for ours, theirs in zip(found, expected[1], strict=True):
        if ours.reason not in by_grain:
            np.testing.assert_array_equal(ours.p_values, theirs.p_values, err_msg=ours.reason)


def test_without_content_metadata_still_works(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    _, hours, accounts = null_world
    blind = without(hours, CONTENT_SKETCHES, CONTENT_SUMS)
    profiles, found = evidence_of(by_account(blind), blind, None, horizon_end(accounts))
    assert profiles["cells_distinct"].to_list() == [0] * len(accounts)
    for e in found:
        if e.family in CONTENT_FAMILIES:
            assert np.isnan(e.values).all(), e.reason
            assert np.all(e.contribution == 0), e.reason
    expected = {e.reason: e for e in gather(null_world)[1]}
    for e in found:
        if e.family in ("tempo", "linkage"):
            np.testing.assert_array_equal(e.values, expected[e.reason].values, err_msg=e.reason)


@pytest.mark.parametrize(
    "dropped", [s.name for s in SKETCHES if s.name not in ("minutes", "prompts", "cells")]
)
def test_any_missing_field_is_survived_and_never_innocence(
    null_world: tuple[FittedMap, Rows, Rows], dropped: str
) -> None:
    fitted, hours, accounts = null_world
    rows = without(hours, (dropped,), ())
    _, found = evidence_of(by_account(rows), rows, fitted, horizon_end(accounts))
    for e in found:
        assert np.all(e.contribution[np.isnan(e.values)] == 0), e.reason


def test_accounts_that_are_too_small_are_insufficient(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    _, found = gather(null_world)
    small = null_world[2].sum("requests") < 12
    assert small.any()
    for e in found:
        if e.family in ("tempo", "coverage", "diversity", "systematicity", "elicitation"):
            assert np.isnan(e.values[small]).all(), e.reason


def test_hours_of_an_account_without_profile_are_an_error(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    _, hours, accounts = null_world
    with pytest.raises(ScarecrowError, match="have no profile"):
        follow(concat([hours, rows_of({"account_id": "stray"})]), accounts, 16)


def test_no_accounts_at_all(null_world: tuple[FittedMap, Rows, Rows]) -> None:
    fitted, hours, _ = null_world
    none = from_arrow(to_arrow(hours).slice(0, 0))
    none = replace(none, map_version="m")
    profiles, found = account_evidence(none, follow(none, none, 16), fitted, 1)
    assert len(profiles) == 0
    assert all(len(e.values) == 0 for e in found)


def test_harvesting_accounts_stand_out_a_little(tmp_path: Path) -> None:
    """Single accounts never suffice, but their evidence must point the right way."""
    fitted, hours, accounts, truth = world(
        tmp_path, accounts=500, seed=12, requests_per_account=25, strategies=("reasoning:20", "judging:15")
    )
    profiles, found = evidence_of(accounts, hours, fitted, horizon_end(accounts))
    listed = pl.read_json(truth).select(pl.col("accounts").explode()).unnest("accounts")
    harvests = profiles.join(listed, on="account_id", how="left")["is_harvesting"].to_numpy()
    nats = np.sum([e.contribution for e in found], axis=0)
    higher = (nats[harvests][:, None] > nats[~harvests][None, :]).mean()
    assert higher > 0.65
