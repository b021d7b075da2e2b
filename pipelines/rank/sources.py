"""What the mart tells of the inputs: from the notes of the committed positions, and where they ended when an ingest
last looked. Nothing here asks a source."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipelines.lake.looks import Look, read_look
from pipelines.lake.notes import Note, known_sources, read_note
from pipelines.lake.rejects import origin_id
from pipelines.lake.tables import Lake
from schemas.mart import SOURCES
from schemas.missing import unavailable
from schemas.request import FIELDS

_ALWAYS = tuple(field.name for field in FIELDS if field.required)


def source_notes(lake: Lake) -> list[Note]:
    """The note of every source partition at its committed position, with what replays of its rejects made of them:
    `rejects` are those that stand."""
    table = lake.hours()
    found: dict[str, Note] = {}
    replays = []
    for app_id in known_sources(lake.path):
        position = table.transaction_version(app_id)
        note = None if position is None else read_note(lake.path, app_id, int(position))
        if note is not None and origin_id(app_id) == app_id:
            found[app_id] = note
        elif note is not None:
            replays.append(note)
    for replay in replays:
        origin = found.get(origin_id(replay.app_id))
        if origin is not None:
            _add_replay(origin, replay)
    return list(found.values())


def _add_replay(origin: Note, replay: Note) -> None:
    """Every record of a replay was a reject before."""
    origin.rejects += replay.rejects - replay.records
    origin.rows += replay.rows
    origin.duplicates += replay.duplicates
    origin.skipped += replay.skipped
    origin.newest_event_ms = max(origin.newest_event_ms, replay.newest_event_ms)
    for name, count in replay.presence.items():
        origin.presence[name] = origin.presence.get(name, 0) + count


def source_looks(lake: Lake, notes: Sequence[Note]) -> dict[str, Look]:
    """The last look at each of these source partitions, where there was one, by app_id."""
    looks = {note.app_id: read_look(lake.path, note.app_id) for note in notes}
    return {app_id: look for app_id, look in looks.items() if look is not None}


def lag_seconds(note: Note, look: Look | None) -> float | None:
    """Age of the oldest record that was not committed when the source was looked at: 0 when everything is, None when
    it is not known, or moved since."""
    if look is None:
        return None
    if note.position >= look.end:
        return 0.0
    return look.lag_seconds if look.committed == note.position else None


def missing_fields(note: Note) -> list[str]:
    """Optional request fields that no measured record of a source carried."""
    if note.rows == 0:
        return []
    return [
        field.name
        for field in FIELDS
        if field.name not in _ALWAYS and field.name in note.presence and note.presence[field.name] == 0
    ]


def source_table(notes: Sequence[Note], looks: Mapping[str, Look] | None = None) -> pa.Table:
    """Rows of schemas.mart.SOURCES. lag_records and lost_records of a topic count offsets; a file knows bytes only, and
    loses none."""
    rows = []
    for note in notes:
        look = (looks or {}).get(note.app_id)
        is_topic = note.app_id.startswith("kafka:")
        missing = missing_fields(note)
        named = note.label.removesuffix(":").removesuffix("@") or note.source
        newest = None if note.newest_event_ms == 0 else note.newest_event_ms * 1000
        rows.append(
            {
                "source": named,
                "app_id": note.app_id,
                "committed": note.position,
                "end_position": None if look is None else max(look.end, note.position),
                "lag_records": max(0, look.end - note.position) if look is not None and is_topic else None,
                "lag_seconds": lag_seconds(note, look),
                "newest_event_time": newest,
                "records": note.records,
                "rejects": note.rejects,
                "duplicates": note.duplicates,
                "lost_records": note.lost_records if is_topic else None,
                "missing_fields": missing,
                "unavailable_reasons": unavailable(missing),
            }
        )
    return pa.Table.from_pylist(rows, schema=SOURCES.arrow())
