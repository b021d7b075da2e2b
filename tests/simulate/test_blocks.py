"""Large worlds in blocks, worlds without a campaign, and clients that try again."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest

from pipelines.errors import UsageError
from pipelines.simulate import blocks, simulate
from pipelines.simulate.blocks import block_sizes, fewest_accounts
from pipelines.simulate.plan import plan_campaigns
from pipelines.simulate.randomness import stream
from pipelines.simulate.requests import traffic
from pipelines.simulate.retries import MOST_TRIES, RETRYABLE, STATUSES, with_retries
from tests.simulate.conftest import make_world


@pytest.mark.parametrize(
    ("accounts", "harvesting", "background", "total"),
    [
        (5_000, 150, 1, 5_000),
        (5_000, 150, 10, 48_650),
        (800, 0, 100, 80_000),
        (500_000, 900, 1, 500_000),
        (50_050, 9, 1, 50_050),
    ],
)
def test_sizes_add_up(accounts: int, harvesting: int, background: float, total: int) -> None:
    sizes = block_sizes(accounts, harvesting, background)
    assert sum(sizes) == total
    assert max(sizes) <= 2 * blocks.BLOCK + fewest_accounts()
    assert min(sizes) >= fewest_accounts()
    assert sizes[0] > harvesting


def test_a_world_is_whole_up_to_two_blocks() -> None:
    assert block_sizes(50_000, 100, 1) == [50_000]
    assert len(block_sizes(60_000, 100, 1)) == 3


@pytest.mark.parametrize(("accounts", "background"), [(5_000, 0.5), (5_000, float("nan")), (4_000_000, 2)])
def test_sizes_out_of_range(accounts: int, background: float) -> None:
    with pytest.raises(UsageError, match="out of range"):
        block_sizes(accounts, 100, background)


def records(paths: list[Path]) -> list[dict[str, object]]:
    return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def test_a_background_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 300)
    arguments = {"accounts": 260, "seed": 5, "strategies": ("round_robin:15",), "requests_per_account": 6.0}
    alone = simulate(tmp_path / "alone", **arguments)  # type: ignore[arg-type]
    summary = simulate(tmp_path / "world", background=5, **arguments)  # type: ignore[arg-type]
    assert summary.accounts == 15 + 5 * 245 == sum(summary.accounts_by_class.values())
    assert [path.name for path in summary.files][:2] == ["requests.ndjson", "requests-part002.ndjson"]
    # The campaign and those around it are the same as without the background.
    assert summary.files[0].read_bytes() == alone.files[0].read_bytes()
    truth = orjson.loads(summary.truth.read_bytes())
    assert truth["campaigns"] == orjson.loads(alone.truth.read_bytes())["campaigns"]
    rows = records(list(summary.files))
    assert len(rows) == summary.requests
    assert len({row["event_id"] for row in rows}) == len(rows)
    counts: dict[object, int] = {}
    for row in rows:
        counts[row["account_id"]] = counts.get(row["account_id"], 0) + 1
    assert counts == {row["account_id"]: row["requests"] for row in truth["accounts"]}
    assert sum(row["is_harvesting"] for row in truth["accounts"]) == 15
    again = simulate(tmp_path / "again", background=5, **arguments)  # type: ignore[arg-type]
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in summary.files]


def test_blocks_are_of_one_population() -> None:
    from pipelines.simulate.grammar import GrammarPrompts
    from pipelines.simulate.world import build_world

    first = make_world(GrammarPrompts(), accounts=420)
    other = build_world(
        GrammarPrompts(), accounts=420, days=14, seed=blocks.block_seed(3, 1), plans=(), like=first,
        start=datetime(2026, 1, 5, tzinfo=UTC), requests_per_account=20.0, shared_infrastructure=0.0,
    )  # fmt: skip
    np.testing.assert_array_equal(first.interests, other.interests)
    assert first.requests.prompt.tolist() != other.requests.prompt.tolist()
    one, two = (set((w.world.identities.networks >> np.uint32(8)).ravel().tolist()) for w in (first, other))
    assert len(one & two) > 20  # popular exits, which make a shared network worth little


@pytest.mark.parametrize("strategies", [("none",), ()])
def test_a_world_without_a_campaign(tmp_path: Path, strategies: tuple[str, ...]) -> None:
    rate = 0.035 if strategies else 0.0
    summary = simulate(
        tmp_path, accounts=200, strategies=strategies, base_rate=rate, requests_per_account=5.0
    )
    truth = orjson.loads(summary.truth.read_bytes())
    assert (summary.campaigns, summary.harvesting_accounts, truth["campaigns"]) == (0, 0, [])
    assert not any(row["is_harvesting"] for row in truth["accounts"])
    assert len(truth["accounts"]) == 200


def test_none_stands_alone() -> None:
    with pytest.raises(UsageError, match="stands alone"):
        plan_campaigns(("none", "hydra"), 5_000, 0.035, stream(0, "plan"))


def test_retries_follow_their_failure_and_buy_once() -> None:
    count, end = 40_000, 1_000_000_000
    plain = traffic(
        np.arange(count) % 50, np.arange(count) * 20_000, np.arange(count), harvest=True,
        status=np.where(np.arange(count) % 100 == 0, 403, 0),
    )  # fmt: skip
    found = with_retries(plain, 0.8, end, stream(1, "retries"))
    by_prompt = np.lexsort((found.time, found.prompt))
    prompt, status, harvest = found.prompt[by_prompt], found.status[by_prompt], found.harvest[by_prompt]
    assert set(np.unique(status).tolist()) == {*STATUSES.tolist(), 403}
    tries = np.bincount(prompt)
    assert tries.max() <= MOST_TRIES
    assert harvest.sum() == count - np.count_nonzero(np.bincount(prompt, weights=harvest) == 0)
    assert np.bincount(prompt, weights=harvest).max() == 1
    first = np.flatnonzero(np.diff(prompt, prepend=-1))
    last = np.append(first[1:], len(prompt)) - 1
    again = tries > 1
    assert set(status[first[again]].tolist()) <= set(RETRYABLE)
    in_time = plain.time < end - 60_000
    assert (status[last[again & in_time]] == 200).all()
    retryable = np.isin(status[first], RETRYABLE) & in_time
    assert again[retryable].mean() == pytest.approx(0.8, abs=0.05)
    assert (status[first][::100] == 403).all()
    assert (found.time < max(end, int(plain.time.max()) + 1)).all()


def test_retries_change_nothing_unless_asked_for(tmp_path: Path) -> None:
    arguments = {"accounts": 200, "seed": 2, "strategies": ("none",), "requests_per_account": 6.0}
    plain = simulate(tmp_path / "plain", **arguments)  # type: ignore[arg-type]
    retried = simulate(tmp_path / "retried", retries=1.0, **arguments)  # type: ignore[arg-type]
    assert plain.requests < retried.requests < 1.1 * plain.requests
    with pytest.raises(UsageError, match="retries"):
        simulate(tmp_path / "no", retries=1.5, **arguments)  # type: ignore[arg-type]
