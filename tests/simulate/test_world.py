"""The log and the truth: same seed same bytes, in time order, valid records, and no truth in the log."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest
import zstandard

from pipelines.errors import UsageError
from pipelines.ingest.decode import decode, reason
from pipelines.ingest.source import Block
from pipelines.simulate import STRATEGIES, SimulationSummary, simulate, simulate_demo
from pipelines.simulate.look_alikes import LOOK_ALIKES
from pipelines.simulate.render import FIELDS
from schemas.request import FIELD_INDEX

SMALL = {
    "accounts": 260,
    "seed": 5,
    "strategies": ("round_robin:15", "agentic:15", "ban_and_respawn:15"),
    "requests_per_account": 12.0,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    out = tmp_path_factory.mktemp("world")
    return out, simulate(out, **SMALL)  # type: ignore[arg-type]


def records(out: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in (out / "requests.ndjson").read_bytes().splitlines()]


def test_same_arguments_same_bytes(written: tuple[Path, SimulationSummary], tmp_path: Path) -> None:
    out, _ = written
    simulate(tmp_path, **SMALL)  # type: ignore[arg-type]
    for name in ("requests.ndjson", "truth.json"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_another_seed_another_world(written: tuple[Path, SimulationSummary], tmp_path: Path) -> None:
    out, _ = written
    simulate(tmp_path, **SMALL | {"seed": 6})  # type: ignore[arg-type]
    assert not {r["account_id"] for r in records(tmp_path)} & {r["account_id"] for r in records(out)}


def test_every_line_is_a_valid_request(written: tuple[Path, SimulationSummary]) -> None:
    out, summary = written
    payload = (out / "requests.ndjson").read_bytes()
    ends = np.flatnonzero(np.frombuffer(payload, dtype=np.uint8) == 10)
    starts = np.concatenate([[0], ends[:-1] + 1])
    decoded = decode(
        Block(payload, starts, ends, np.arange(len(ends))),
        now_ms=int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000),
    )
    assert {reason(code) for code in decoded.errors[decoded.errors != 0].tolist()} == set()
    assert len(ends) == summary.requests
    assert len(payload) == summary.bytes


def test_fields_are_those_of_the_request_record() -> None:
    assert set(FIELDS) <= set(FIELD_INDEX)
    assert set(FIELD_INDEX) - set(FIELDS) == {"prompt_embedding"}


def test_in_time_order_inside_the_span_with_unique_ids(written: tuple[Path, SimulationSummary]) -> None:
    rows = records(written[0])
    times = [int(str(row["event_time"])) for row in rows]
    first = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)
    assert times == sorted(times)
    assert first <= times[0]
    assert times[-1] < first + 14 * 86_400_000
    assert len({row["event_id"] for row in rows}) == len(rows)
    assert all(int(str(row["account_created_at"])) <= int(str(row["event_time"])) for row in rows)


def test_the_truth_counts_what_the_log_holds(written: tuple[Path, SimulationSummary]) -> None:
    out, summary = written
    truth = orjson.loads((out / "truth.json").read_bytes())
    counts: dict[object, int] = {}
    for row in records(out):
        counts[row["account_id"]] = counts.get(row["account_id"], 0) + 1
    accounts = {row["account_id"]: row for row in truth["accounts"]}
    assert {name: row["requests"] for name, row in accounts.items()} == counts
    assert sum(row["is_harvesting"] for row in accounts.values()) == summary.harvesting_accounts == 45
    for campaign in truth["campaigns"]:
        members = [row for row in accounts.values() if row["campaign_id"] == campaign["campaign_id"]]
        assert len(members) == campaign["accounts"]
        assert sum(row["harvest_requests"] for row in members) == campaign["harvest_requests"]
        assert sum(campaign["harvest_requests_by_day"]) == campaign["harvest_requests"]
    assert {row["class"] for row in accounts.values() if not row["is_harvesting"]} == {
        look_alike.name for look_alike in LOOK_ALIKES
    } | {"person"}


def test_nothing_of_the_truth_is_in_the_log(written: tuple[Path, SimulationSummary]) -> None:
    out, _ = written
    truth = orjson.loads((out / "truth.json").read_bytes())
    ids = [str(row["account_id"]) for row in truth["accounts"]]
    guilty = np.array([row["is_harvesting"] for row in truth["accounts"]])
    rows = records(out)
    for row in rows:
        named = " ".join(
            str(row[name])
            for name in row
            if name not in ("prompt", "response", "system_prompt", "tool_schema")
        )
        assert not any(name in named for name in STRATEGIES)
        assert "planted" not in named
        assert "harvest" not in named
    # Ids sort and look alike: the ranks of harvesting accounts are spread like any other's.
    order = np.argsort(np.argsort(ids))
    assert abs(order[guilty].mean() / len(ids) - 0.5) < 0.15
    assert len({len(name) for name in ids}) == 1


def test_days_and_compression_hold_the_same_lines(
    written: tuple[Path, SimulationSummary], tmp_path: Path
) -> None:
    whole = (written[0] / "requests.ndjson").read_bytes()
    by_day = simulate(tmp_path / "zst", compression="zst", by_day=True, **SMALL)  # type: ignore[arg-type]
    assert len(by_day.files) == 14
    packed = b"".join(
        zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read() for path in by_day.files
    )
    assert packed == whole
    single = simulate(tmp_path / "gz", compression="gz", **SMALL)  # type: ignore[arg-type]
    assert gzip.decompress(single.files[0].read_bytes()) == whole


def test_fields_can_be_left_out(tmp_path: Path) -> None:
    simulate(tmp_path, omit=("client_ip", "response"), **SMALL)  # type: ignore[arg-type]
    assert not any({"client_ip", "response"} & row.keys() for row in records(tmp_path))


def test_shared_infrastructure_shows_in_payment_or_network(tmp_path: Path) -> None:
    simulate(tmp_path, shared_infrastructure=1.0, **SMALL)  # type: ignore[arg-type]
    truth = orjson.loads((tmp_path / "truth.json").read_bytes())
    campaign = {row["account_id"]: row["campaign_id"] for row in truth["accounts"]}
    payments: dict[object, set[object]] = {}
    networks: dict[object, list[str]] = {}
    for row in records(tmp_path):
        name = campaign[row["account_id"]]
        if name:
            payments.setdefault(name, set()).add(row["payment_fingerprint"])
            networks.setdefault(name, []).append(str(row["client_ip"]).rpartition(".")[0])
    for name, used in payments.items():
        top = max(networks[name].count(net) for net in set(networks[name])) / len(networks[name])
        assert len(used) == 1 or top > 0.6


def test_a_world_from_any_corpora_folder(own_corpora: Path, tmp_path: Path) -> None:
    summary = simulate(
        tmp_path,
        corpora=own_corpora,
        accounts=300,
        seed=2,
        strategies=("round_robin:15", "human_seeds:15"),
        requests_per_account=12.0,
    )
    assert summary.harvesting_accounts == 30
    truth = orjson.loads((tmp_path / "truth.json").read_bytes())
    assert truth["world"]["corpora"] == own_corpora.name


def test_the_demonstration_world(tmp_path: Path) -> None:
    summary = simulate_demo(tmp_path)
    assert 600 <= summary.accounts <= 900
    assert 3 <= summary.campaigns <= 4
    assert {look_alike.name for look_alike in LOOK_ALIKES} <= set(summary.accounts_by_class)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": 0}, "A world of 0 days"),
        ({"start": datetime(2026, 1, 1)}, "has no time zone"),
        ({"requests_per_account": 1.0}, "1.0 requests per account"),
        ({"shared_infrastructure": 2.0}, "shared infrastructure of 2.0"),
        ({"compression": "rar"}, "'rar' is unknown"),
        ({"omit": ("prompt",)}, "'prompt' cannot be left out"),
        ({"omit": ("colour",)}, "'colour' cannot be left out"),
        ({"corpora": Path("no-such-folder")}, "no-such-folder has no harvest"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(tmp_path, **SMALL | change)  # type: ignore[arg-type]


def test_a_list_longer_than_the_corpora_is_refused(own_corpora: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a list of"):
        simulate(tmp_path, corpora=own_corpora, accounts=300, strategies=("single_heavy:1:90000",))
