"""Notes of positions: exact at the committed one, whoever else tried."""

import uuid
from pathlib import Path

import pytest

from pipelines.lake.commit import Advance, Conflict, commit, stand, standing_note
from pipelines.lake.commit import Standing as Look
from pipelines.lake.notes import Note, read_note
from pipelines.lake.tables import Lake
from schemas.account_hour import REJECTS

APP = "kafka:t:id:0"
OTHER = "kafka:t:id:1"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.create()
    return made


def advance(lake: Lake, standing: Look, start: int, position: int, records: int, app_id: str = APP) -> None:
    note = Note("kafka://h/t", "t[0]@", app_id, position=position, records=records)
    nothing = REJECTS.arrow().empty_table()
    commit(lake, standing, [Advance(start, note)], [], nothing, [], uuid.uuid4().hex, 0)


def noted(lake: Lake, position: int) -> int | None:
    note = read_note(lake.path, APP, position)
    return None if note is None else note.records


def test_who_comes_too_late_leaves_the_note_of_the_commit_alone(lake: Lake) -> None:
    late = stand(lake)
    advance(lake, stand(lake), 0, 50, 50, OTHER)
    advance(lake, stand(lake), 0, 20, 20)
    with pytest.raises(Conflict):
        advance(lake, late, 0, 20, 7)
    assert noted(lake, 20) == 20


def test_only_notes_of_earlier_positions_are_dropped(lake: Lake) -> None:
    advance(lake, stand(lake), 0, 9, 9)
    advance(lake, stand(lake), 9, 10, 10)
    advance(lake, stand(lake), 10, 100, 90)
    assert [noted(lake, position) for position in (9, 10, 100, 1)] == [None, None, 90, None]


def test_who_finds_its_note_dropped_plans_again(lake: Lake) -> None:
    advance(lake, stand(lake), 0, 10, 10)
    late = stand(lake)
    assert standing_note(lake, late, APP) is not None
    advance(lake, stand(lake), 10, 20, 20)
    with pytest.raises(Conflict):
        standing_note(lake, late, APP)


def test_a_lake_that_lost_its_notes_goes_on(lake: Lake) -> None:
    advance(lake, stand(lake), 0, 10, 10)
    for path in (lake.path / "_sources").glob("*/*.json"):
        path.unlink()
    assert standing_note(lake, stand(lake), APP) is None
    assert standing_note(lake, stand(lake), OTHER) is None


def test_a_new_partition_starts_where_its_log_does(lake: Lake) -> None:
    advance(lake, stand(lake), 700, 720, 20)
    assert stand(lake).position(APP) == 720
    with pytest.raises(Conflict):
        advance(lake, stand(lake), 700, 730, 30)
