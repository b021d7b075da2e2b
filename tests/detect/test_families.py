"""Each family's statistics: the suspect stands out on the suspect side, and what cannot be seen is NaN."""

from typing import Any

import numpy as np
import pytest

from pipelines.detect import links
from pipelines.detect.course import follow
from pipelines.detect.families import coverage, diversity, elicitation, linkage, systematicity, tempo
from pipelines.detect.families.statistic import Statistic
from pipelines.detect.profiles import profile
from pipelines.ingest.fold import Rows
from tests.detect.test_profiles import small_map
from tests.detect.worlds import DAY_MS, START_MS, at_minutes, by_account, rows_of, with_prompts

AS_OF_MS = START_MS + 14 * DAY_MS


def named(statistics: list[Statistic]) -> dict[str, np.ndarray]:
    return {s.reason: s.values for s in statistics}


def values(family: str, rows: Rows) -> dict[str, np.ndarray]:
    """Statistics of one family; rows may be finer than one per account."""
    accounts = by_account(rows)
    p = profile(accounts, small_map(), AS_OF_MS)
    course = follow(rows, accounts, 4)
    if family == "tempo":
        return named(tempo.statistics(p, course))
    if family == "systematicity":
        return named(systematicity.statistics(p, course))
    if family == "linkage":
        shared = links.shared_values(accounts)
        return named(linkage.statistics(p, shared, links.expand(shared)))
    return named(
        {"coverage": coverage, "diversity": diversity, "elicitation": elicitation}[family].statistics(p)
    )


def rested(seed: int, first_hour: int, last_hour: int, calls: int = 60) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 14, calls) * 1440
    return at_minutes(*np.unique(days + rng.integers(first_hour * 60, last_hour * 60, calls)).tolist())


def test_tempo_of_a_program_and_of_a_person() -> None:
    program = at_minutes(*range(0, 14 * 1440, 200))
    got = values("tempo", rows_of({"account_id": "a", **program}, {"account_id": "b", **rested(1, 9, 18)}))
    assert got["no_idle_period"][0] < 3 < 12 < got["no_idle_period"][1]
    assert got["hour_of_week_entropy_nats"][0] > got["hour_of_week_entropy_nats"][1] + 0.5
    assert got["burstiness"][0] < -0.5 < got["burstiness"][1]
    assert np.isnan(got["throttle_share"]).all()
    assert np.isnan(got["ramp"]).all()
    assert np.isnan(got["model_move"]).all()


def test_ramp_tells_full_load_at_once_from_a_slow_start() -> None:
    born = {"created_at_ms": START_MS + 1}
    steady = at_minutes(*range(1, 14 * 1440, 300))
    late = at_minutes(1, *range(8 * 1440, 14 * 1440, 120))
    old = {**at_minutes(*range(0, 14 * 1440, 300)), "created_at_ms": START_MS - 99 * DAY_MS}
    rows = rows_of(
        {"account_id": "a", **steady, **born}, {"account_id": "b", **late, **born}, {"account_id": "c", **old}
    )
    got = values("tempo", rows)["ramp"]
    assert got[0] == pytest.approx(1, abs=0.1)
    assert got[1] < 0.1
    assert np.isnan(got[2])


def test_model_move_counts_hours_from_the_release() -> None:
    def calls(name: str, day: int, model: int) -> dict[str, Any]:
        at = at_minutes(*(day * 1440 + 60 * k for k in range(14)))
        return {
            "account_id": name, "epoch_hour": START_MS // 3_600_000 + day * 24, **at,
            "model_hashes": [model], "model_requests": [14], "model_names": [str(model)],
        }  # fmt: skip

    rows = rows_of(
        calls("a", 0, 1), calls("b", 0, 1), calls("c", 0, 1), calls("d", 0, 1),
        calls("a", 5, 2), calls("b", 6, 2), calls("c", 8, 2), calls("d", 9, 1),
    )  # fmt: skip
    got = values("tempo", rows)["model_move"]
    assert got.tolist() == [0, 24, 72, 9 * 24]


def test_coverage_and_diversity_at_equal_n() -> None:
    broad = with_prompts(list(range(16)) * 8, salt=1)
    narrow = with_prompts([3] * 120 + [4] * 8, salt=2)
    few = with_prompts([1, 2, 3], salt=3)
    rows = rows_of({"account_id": "a", **broad}, {"account_id": "b", **narrow}, {"account_id": "c", **few})
    got = values("coverage", rows)
    assert got["cells_at_50"][0] > 15 > 2 >= got["cells_at_50"][1]
    assert np.isfinite(got["cells_at_100"][:2]).all()
    assert np.isnan(got["cells_at_300"]).all(), "300 is beyond twice 128"
    assert all(np.isnan(v[2]) for v in got.values())
    hills = values("diversity", rows)
    assert hills["hill_1_at_coverage"][0] > hills["hill_1_at_coverage"][1]
    assert hills["spread_trace"][0] > hills["spread_trace"][1]
    assert np.isnan(hills["subjects_per_template_nats"]).all(), "there is no opening"


def test_systematicity_of_a_filled_template() -> None:
    def account(
        name: str, openings: dict[int, int], repeats: int, salt: int, first_turns: int
    ) -> dict[str, Any]:
        prompts = with_prompts([k % 16 for k in range(40 // repeats)], repeats=repeats, salt=salt)
        return {
            "account_id": name, **at_minutes(*range(0, 4000, 100)), **prompts,
            "opening_hashes": sorted(openings), "opening_requests": [openings[k] for k in sorted(openings)],
            "with_turn_index": 40, "first_turns": first_turns, "with_conversation_id": 40,
            "conversation_hashes": list(range(40 if first_turns == 40 else 8)),
            "conversation_requests": [1] * 40 if first_turns == 40 else [5] * 8,
        }  # fmt: skip

    rows = rows_of(
        account("a", {1: 20, 2: 20}, 1, 1, 40),
        account("b", dict.fromkeys(range(10, 50), 1), 1, 2, 8),
        account("c", {1: 40}, 4, 3, 8),
    )
    got = values("systematicity", rows)
    assert got["templates"] == pytest.approx([1 - 2 / 40, 0, 1 - 1 / 10])
    assert got["filled_templates"][0] > got["filled_templates"][2] > got["filled_templates"][1]
    assert got["first_turns"] == pytest.approx([1, 0.2, 0.2])
    assert got["conversations"] == pytest.approx([1, 5, 5])
    assert got["without_replacement"][0] > 0 > got["without_replacement"][2]


def test_ordered_sweeps_and_probe_then_scale() -> None:
    def by_days(name: str, topics: list[int], calls: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "account_id": name, "epoch_hour": START_MS // 3_600_000 + day * 24,
                **with_prompts([topic * 4 + k % 4 for k in range(count)], salt=1 + day),
                **at_minutes(*(day * 1440 + k for k in range(count))),
            }
            for day, (topic, count) in enumerate(zip(topics, calls, strict=True))
        ]  # fmt: skip

    swept = by_days("a", [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], [4] * 12)
    mixed = by_days("b", [0, 1, 2, 3] * 3, [4] * 12)
    scaled = by_days("c", [0, 1, 2, 3] * 3, [1, 1, 1, 1, 1, 1] + [10] * 6)
    got = values("systematicity", rows_of(*swept, *mixed, *scaled))
    assert got["ordered_sweeps"][0] > 0.6 > 0.2 > got["ordered_sweeps"][1]
    assert got["probe_then_scale"][2] > 1.5 > abs(got["probe_then_scale"][1])


def test_output_of_one_account_as_input_of_another() -> None:
    prompts = {**at_minutes(*range(20)), **with_prompts([1] * 20)}

    def texts(asked: list[int], answered: list[int]) -> dict[str, Any]:
        return {
            "prompt_shingles": asked, "prompt_shingle_requests": [1] * len(asked),
            "response_shingles": answered, "response_shingle_requests": [1] * len(answered),
        }  # fmt: skip

    stock = list(range(900, 910))
    rows = rows_of(
        {"account_id": "a", **prompts, **texts(list(range(100, 110)), [*range(10), *stock])},
        {"account_id": "b", **prompts, **texts([*range(8), 500, 501], stock)},
        {"account_id": "c", **prompts, **texts(list(range(300, 310)), [*range(300, 310), *stock])},
        *({"account_id": f"d{k}", **prompts, **texts(stock, stock if k else [])} for k in range(5)),
    )
    got = values("elicitation", rows)["output_as_input"]
    assert got[0] == 0
    assert got[1] == pytest.approx(0.8)
    assert got[2] == 0, "its own answers do not count"
    assert got[3] == 0, "what more than five accounts were answered with is a stock phrase"
    bare = rows_of({"account_id": "a", **prompts})
    assert np.isnan(values("elicitation", bare)["output_as_input"]).all()


def test_elicitation_shares() -> None:
    rows = rows_of(
        {"account_id": "a", **at_minutes(*range(20)), **with_prompts([1] * 20), "elicit_judging": 15},
        {"account_id": "b", **at_minutes(*range(20))},
    )
    got = values("elicitation", rows)
    assert got["elicit_judging"][0] == pytest.approx(0.75)
    assert got["elicit_tags"][0] == 0
    assert np.isnan(got["elicit_judging"][1]), "an account without prompts"


def test_sign_up_burst() -> None:
    lone = [
        {"account_id": f"a{k:03d}", **at_minutes(k), "created_at_ms": START_MS - k * 5 * 3_600_000}
        for k in range(50)
    ]
    burst = [
        {"account_id": f"b{k:03d}", **at_minutes(k), "created_at_ms": START_MS - 60_000 * k - 10**8}
        for k in range(20)
    ]
    got = values("linkage", rows_of(*lone, *burst))["birth"]
    assert got[50:].min() > 5 > np.median(got[:50])
    assert np.isnan(values("linkage", rows_of({"account_id": "a", **at_minutes(1)}))["birth"]).all()


def test_templates_at_the_end_of_prompts() -> None:
    prompts = with_prompts([k % 16 for k in range(30)])
    rows = rows_of(
        {
            "account_id": "a",
            **at_minutes(*range(30)),
            **prompts,
            "opening_hashes": list(range(30)),
            "opening_requests": [1] * 30,
            "closing_hashes": [5],
            "closing_requests": [30],
        }
    )
    got = values("systematicity", rows)
    assert got["templates"][0] == 0
    assert got["closing_templates"][0] == pytest.approx(1 - 1 / 30)
    assert got["filled_templates"][0] == pytest.approx(1 - 1 / 30)
