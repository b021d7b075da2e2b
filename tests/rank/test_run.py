"""Rankings of a small real lake from beginning to end, without Dagster."""

from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ScarecrowError
from pipelines.lake.tables import Lake
from pipelines.mart.open import open_mart
from pipelines.prompt_map import store
from pipelines.prompt_map.store import current
from pipelines.rank import steps
from pipelines.rank.run import run
from schemas.mart import FAMILIES
from schemas.missing import EVIDENCE_OF_FIELD, TOKENS
from tests.rank.world import DAY_MS, FIRST_MS, as_of, content, fill, ranking, small_world
from tests.small_mart import ACCOUNT_EVIDENCE, CAMPAIGN_EVIDENCE


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ranked") / "mart.duckdb"
    run(ranking(small_world()[1], path))
    return path


def test_every_relation_is_filled_as_it_says(mart: Path) -> None:
    rows = {name: len(found) for name, found in content(mart).items()}
    assert rows["suspect_accounts"] == rows["account_profiles"] > 100
    assert rows["runs"] == 1
    assert rows["family_weights"] == 7
    assert rows["audit_log"] > 0
    assert all(
        rows[name] > 0 for name in ("account_reasons", "account_activity", "sources", "ranking_history")
    )


def test_reasons_that_are_named_elsewhere_are_reasons_that_a_ranking_gives(mart: Path) -> None:
    with open_mart(str(mart)) as opened:
        of_accounts = set(opened.rows("SELECT DISTINCT family, reason FROM account_reasons"))
        of_campaigns = set(opened.rows("SELECT DISTINCT family, reason FROM campaign_reasons"))
        wordless = opened.rows(
            "SELECT reason FROM (SELECT reason FROM account_reasons UNION SELECT reason FROM campaign_reasons) "
            "WHERE reason_in_words(reason) IS NULL"
        )
    assert wordless == []
    assert {e[:2] for e in ACCOUNT_EVIDENCE} <= of_accounts
    assert {e[:2] for e in CAMPAIGN_EVIDENCE} <= of_campaigns
    of_fields = {name for names in EVIDENCE_OF_FIELD.values() for name in names} - {TOKENS}
    assert of_fields <= {*FAMILIES, *(f"{family}.{reason}" for family, reason in of_accounts)}


def test_the_workspace_is_gone(mart: Path) -> None:
    assert not list((mart.parent / f".{mart.name}.work").glob("*"))


def test_the_same_lake_twice_gives_the_same_mart(mart: Path, tmp_path: Path) -> None:
    again = tmp_path / "mart.duckdb"
    run(ranking(small_world()[1], again))
    assert content(again) == content(mart)


def test_ranking_again_in_place_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mart.duckdb"
    run(ranking(small_world()[1], path))
    first = content(path)
    run(ranking(small_world()[1], path))
    assert content(path) == first


def test_another_order_and_slicing_of_ingest_gives_the_same_mart(mart: Path, tmp_path: Path) -> None:
    folder, lake = small_world()
    version = current(lake.path)
    assert version is not None
    other = Lake(tmp_path / "lake")
    other.create()
    (other.path / "prompt_maps").rmdir()
    (other.path / "prompt_maps").symlink_to(lake.path / "prompt_maps")
    assert store.current(other.path) == version
    fill(other, sorted((folder / "log").glob("*.ndjson"), reverse=True), slice_bytes=100_000, threads=2)
    path = tmp_path / "mart.duckdb"
    run(ranking(other, path))
    mine, theirs = content(path), content(mart)
    # How the input came is told by sources and the version of the lake, and by nothing else.
    for found in (mine, theirs):
        del found["sources"]
        found["runs"] = [(row[0], *row[2:5], *row[6:]) for row in found["runs"]]
        found["blind_spots"] = [row for row in found["blind_spots"] if row[1] != "missing_field"]
    assert mine == theirs


def test_an_earlier_ranking_adds_to_the_history_and_does_not_replace(tmp_path: Path) -> None:
    path = tmp_path / "mart.duckdb"
    lake = small_world()[1]
    run(ranking(lake, path))
    newest, changes = as_of(path), content(path)["audit_log"]
    facts = run(ranking(lake, path, FIRST_MS + 4 * DAY_MS))
    assert facts["mart"]["is_in_force"] is False
    assert as_of(path) == newest
    assert content(path)["audit_log"] == changes
    with open_mart(str(path)) as opened:
        history = opened.rows("SELECT DISTINCT epoch_ms(as_of) FROM ranking_history ORDER BY 1")
        changed = opened.rows(
            "SELECT count(*) FROM changed_since(to_timestamp($1))", (FIRST_MS + 4 * DAY_MS) / 1000
        )
    assert history == [(FIRST_MS + 4 * DAY_MS,), (newest,)]
    assert changed[0][0] > 0
    facts = run(ranking(lake, path, FIRST_MS + 4 * DAY_MS, replace=True))
    assert facts["mart"]["is_in_force"] is True
    assert as_of(path) == FIRST_MS + 4 * DAY_MS


def test_days_in_order_carry_states_and_ids_on(tmp_path: Path) -> None:
    path = tmp_path / "mart.duckdb"
    lake = small_world()[1]
    run(ranking(lake, path, FIRST_MS + 5 * DAY_MS))
    with open_mart(str(path)) as opened:
        before = opened.rows("SELECT campaign_id FROM suspect_campaigns ORDER BY rank")
    run(ranking(lake, path, FIRST_MS + 6 * DAY_MS))
    with open_mart(str(path)) as opened:
        after = dict(opened.rows("SELECT campaign_id, state FROM suspect_campaigns"))
        trail = opened.rows(
            "SELECT subject_id, before, after FROM audit_log WHERE subject_kind = 'campaign' "
            "ORDER BY changed_at, subject_id"
        )
    kept = {name for (name,) in before} & set(after)
    assert kept
    assert all(after[name] != "new" for name in kept)
    for name in kept:
        states = [(b, a) for subject, b, a in trail if subject == name]
        assert states[0] == (None, "new")
        assert states[-1][1] == after[name]


def test_a_ranking_that_dies_leaves_the_mart_in_force(
    mart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mart.duckdb"
    path.write_bytes(mart.read_bytes())
    for name, _ in steps.STEPS:

        def die(ranking: steps.Ranking, name: str = name) -> steps.Facts:
            raise ScarecrowError(f"{name} died")

        changed = tuple((n, die if n == name else step) for n, step in steps.STEPS)
        monkeypatch.setattr("pipelines.rank.run.STEPS", changed)
        with pytest.raises(ScarecrowError, match=f"{name} died"):
            run(ranking(small_world()[1], path))
    assert path.read_bytes() == mart.read_bytes()


def test_a_mart_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mart.duckdb"
    path.write_bytes(b"no mart" * 2000)
    with pytest.raises(ScarecrowError, match=r"mart .*mart\.duckdb cannot be read .*move it away") as error:
        run(ranking(small_world()[1], path))
    assert "\n" not in str(error.value)


def test_every_relation_and_column_has_a_comment(mart: Path) -> None:
    with duckdb.connect(str(mart), read_only=True) as connection:
        tables = connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall()
        columns = connection.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        )
        silent = [row[:2] for row in columns.fetchall() if not row[2]]
    assert tables
    assert all(comment for _, comment in tables)
    assert silent == []


def test_of_very_many_accounts_only_the_first_are_told_what_is_unavailable(
    mart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.rank.steps.TOLD_ALL", 50)
    path = tmp_path / "mart.duckdb"
    run(ranking(small_world()[1], path))
    question = "SELECT id, reason, contribution FROM account_reasons WHERE contribution <> 0 ORDER BY ALL"
    silent = "SELECT count(DISTINCT id), count(*) FROM account_reasons WHERE contribution = 0"
    with open_mart(str(path)) as few, open_mart(str(mart)) as every:
        assert few.rows(question) == every.rows(question)
        assert few.rows(silent)[0][1] < every.rows(silent)[0][1] / 2
        shown = few.rows(
            "SELECT account_id FROM suspect_accounts WHERE rank <= 50 OR campaign_id IS NOT NULL"
        )
        told = few.rows("SELECT DISTINCT id FROM account_reasons WHERE contribution = 0")
        assert {name for (name,) in told} <= {name for (name,) in shown}
        assert len(told) > 40
