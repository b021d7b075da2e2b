"""Logs without prompts: ranked by metadata alone, told to be insufficient, and never enough for an alert."""

import numpy as np
import pytest

from pipelines.detect.detect import detect
from pipelines.detect.profiles import profile
from pipelines.ingest.fold import Rows
from pipelines.prompt_map.store import PromptMap
from schemas.account_hour import UNKNOWN_LENGTH
from tests.detect.worlds import START_MS, at_minutes, evidence_of, rows_of, with_prompts

AS_OF = START_MS + 15 * 86_400_000


def logged(count: int) -> Rows:
    """Accounts of which some never rest and only open conversations, and no word is known of any."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(count):
        restless = number < 12
        minutes = (
            rng.choice(14 * 1440, 60, replace=False) if restless else 600 + rng.choice(240, 30, replace=False)
        )
        turns = {
            "with_turn_index": len(minutes),
            "first_turns": len(minutes) if restless else len(minutes) // 3,
        }
        shared = {
            "with_payment_fingerprint": len(minutes),
            "payment_hashes": [7 if restless else 1000 + number],
        }
        shared |= {"payment_requests": [len(minutes)]}
        rows.append({"account_id": f"a{number:04d}", **at_minutes(*minutes.tolist()), **turns, **shared})
    return rows_of(*rows)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return logged(400)


def test_every_account_is_ranked_and_none_is_sure(rows: Rows) -> None:
    none = PromptMap.none()
    evidence = evidence_of(rows, rows, none, AS_OF)[1]
    found = detect(rows, none, AS_OF, evidence)
    table = found.accounts.to_pydict()
    assert len(table["account_id"]) == 400
    # What stands here keeps alerts and enforcement away (`pipelines.alerts.rules`, `pipelines.enforce.policy`).
    assert set(table["confidence"]) == {"insufficient"}
    assert set(table["p_value"]) == {None}
    assert found.campaigns.num_rows == 0
    order = np.argsort(-np.array(table["score"]))
    restless = {f"a{number:04d}" for number in range(12)}
    assert len({table["account_id"][i] for i in order[:12]} & restless) >= 10


def test_evidence_of_content_is_unavailable_not_absent(rows: Rows) -> None:
    by_reason = {e.reason: e for e in evidence_of(rows, rows, PromptMap.none(), AS_OF)[1]}
    families = {e.family for e in by_reason.values() if not np.isnan(e.values).all()}
    assert {"tempo", "linkage"} <= families
    assert not families & {"coverage", "diversity", "elicitation"}
    for e in by_reason.values():
        assert not e.contribution[np.isnan(e.values)].any()
    columns = profile(rows, PromptMap.none(), AS_OF).columns
    for name in ("prompt_bytes_mean", "elicitation_share", "opening_top_share", "sample_coverage"):
        assert np.isnan(columns[name]).all(), name


def test_with_embeddings_only_what_reads_text_is_unavailable() -> None:
    rng = np.random.default_rng(5)
    described = []
    for number in range(150):
        asked = with_prompts(rng.integers(0, 900, 30).tolist(), lengths=UNKNOWN_LENGTH, salt=number + 1)
        described.append({"account_id": f"a{number:04d}"} | asked | {"with_prompt": 0, "prompt_bytes": 0})
    embedded = rows_of(*described)
    by_family: dict[str, list[bool]] = {}
    for e in evidence_of(embedded, embedded, PromptMap.none(), AS_OF)[1]:
        by_family.setdefault(e.family, []).append(bool(np.isnan(e.values).all()))
        if e.reason == "without_replacement":
            assert not np.isnan(e.values).any()
        if e.reason in ("templates", "closing_templates", "filled_templates", "opening_evenness"):
            assert np.isnan(e.values).all(), e.reason
    assert all(by_family["elicitation"])
    assert not all(by_family["coverage"])
    assert not all(by_family["diversity"])
