"""What is known of each source partition at each committed position.

A note is written before the commit of its position, so the note of the committed position always exists and
is exact; notes of other positions mean nothing. Totals are cumulative, so nobody has to add up a history.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pipelines.lake.write import write_json

MOST_LOST_RANGES: Final = 100


@dataclass
class Note:
    """Totals of a source partition up to a position.

    records: read; rows: measured; rejects; duplicates: dropped as repeats; skipped: lines that are no call.
    lines: lines read (files). presence: records that carry each optional field. tail: hash of the bytes before
    the position (plain files). complete: nothing can follow (compressed files read to their end).
    lost: the latest offset ranges that retention removed before they were read; lost_records: offsets in all of them.
    """

    source: str
    label: str
    app_id: str
    position: int = 0
    records: int = 0
    rows: int = 0
    rejects: int = 0
    duplicates: int = 0
    skipped: int = 0
    lines: int = 0
    newest_event_ms: int = 0
    updated_at_ms: int = 0
    presence: dict[str, int] = field(default_factory=dict)
    tail: str | None = None
    complete: bool = False
    lost: list[tuple[int, int]] = field(default_factory=list)
    lost_records: int = 0


def source_folder(lake: Path, app_id: str) -> Path:
    """Where what is known of a source partition is kept."""
    return lake / "_sources" / hashlib.blake2b(app_id.encode(), digest_size=10).hexdigest()


def write_note(lake: Path, note: Note, attempt: int) -> None:
    """Note a position that is about to be committed.

    attempt: number of the commit that is tried, one more than the lake has. Whoever tries the same number stood at
    the same lake and notes the same; whoever tries a position with a smaller one will be refused. So the note with
    the largest number is that of the commit, whatever others left who were too late.
    """
    write_json(source_folder(lake, note.app_id) / f"{note.position}-{attempt}.json", asdict(note))


def _place(path: Path) -> tuple[int, int] | None:
    """(position, attempt) of a note by its name; None for other files."""
    position, _, attempt = path.stem.partition("-")
    if not position.isdigit() or not (attempt or "0").isdigit():
        return None
    return int(position), int(attempt or 0)


def read_note(lake: Path, app_id: str, position: int) -> Note | None:
    """The note of a position; None where none was written, or where it was dropped since."""
    folder = source_folder(lake, app_id)
    found = [
        (place, path) for path in folder.glob(f"{position}*.json") if (place := _place(path)) is not None
    ]
    attempts = [(place[1], path) for place, path in found if place[0] == position]
    if not attempts:
        return None
    try:
        data: Mapping[str, Any] = json.loads(max(attempts)[1].read_text())
    except FileNotFoundError:
        return None
    return Note(**data)


def forget_before(lake: Path, app_id: str, position: int) -> None:
    """Drop notes of earlier positions."""
    for path in source_folder(lake, app_id).glob("*.json"):
        place = _place(path)
        if place is not None and place[0] < position:
            path.unlink(missing_ok=True)


def known_sources(lake: Path) -> list[str]:
    """app_ids of all source partitions that were ever noted, in order."""
    found = set()
    for path in sorted((lake / "_sources").glob("*/*.json")):
        if path.name.startswith("."):
            continue
        try:
            found.add(str(json.loads(path.read_text())["app_id"]))
        except FileNotFoundError:
            continue
    return sorted(found)
