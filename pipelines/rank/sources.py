"""What the mart tells of the inputs: from the notes of the committed positions."""

from collections.abc import Sequence

import pyarrow as pa

from pipelines.lake.notes import Note, known_sources, read_note
from pipelines.lake.tables import Lake
from schemas.mart import SOURCES
from schemas.missing import EVIDENCE_OF_FIELD, unavailable
from schemas.request import FIELDS

_ALWAYS = tuple(field.name for field in FIELDS if field.required)


def source_notes(lake: Lake) -> list[Note]:
    """The note of every source partition at its committed position."""
    table = lake.hours()
    found = []
    for app_id in known_sources(lake.path):
        position = table.transaction_version(app_id)
        note = None if position is None else read_note(lake.path, app_id, int(position))
        if note is not None:
            found.append(note)
    return found


def missing_fields(note: Note) -> list[str]:
    """Optional request fields that no measured record of a source carried."""
    if note.rows == 0:
        return []
    return [
        field.name
        for field in FIELDS
        if field.name not in _ALWAYS and field.name in note.presence and note.presence[field.name] == 0
    ]


def source_table(notes: Sequence[Note]) -> pa.Table:
    """Rows of schemas.mart.SOURCES."""
    rows = []
    for note in notes:
        missing = missing_fields(note)
        named = note.label.removesuffix(":").removesuffix("@") or note.source
        newest = None if note.newest_event_ms == 0 else note.newest_event_ms * 1000
        rows.append(
            {
                "source": named,
                "app_id": note.app_id,
                "committed": note.position,
                "end_position": None,
                "lag_records": None,
                "lag_seconds": None,
                "newest_event_time": newest,
                "records": note.records,
                "rejects": note.rejects,
                "duplicates": note.duplicates,
                "missing_fields": missing,
                "unavailable_reasons": unavailable([name for name in missing if name in EVIDENCE_OF_FIELD]),
            }
        )
    return pa.Table.from_pylist(rows, schema=SOURCES.arrow())
