"""Where each source partition ended when an ingest last looked at it: what the mart tells of lag.

Belongs here: one small file per source partition beside its notes, replaced at each look. It is advice; progress
is in the table. `scarecrow lag` asks the source itself instead.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pipelines.ingest.source import PartitionStatus
from pipelines.lake.notes import source_folder
from pipelines.replacing import replacing

_NAME: Final = "look"


@dataclass(frozen=True)
class Look:
    """A source partition as it was at a moment.

    committed: what the lake held then. end: one past the last offset or byte. lag_seconds: age of the oldest record
    that was not committed, 0 when there was none, None when unknown. at_ms: the moment, epoch ms.
    """

    app_id: str
    committed: int | None
    end: int
    lag_seconds: float | None
    at_ms: int


def write_looks(lake: Path, found: Sequence[PartitionStatus], at_ms: int) -> None:
    """Keep what was found."""
    for status in found:
        look = Look(status.app_id, status.committed, status.end, status.lag_seconds, at_ms)
        path = source_folder(lake, status.app_id) / _NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=False) as file:
            file.write(json.dumps(asdict(look)).encode())


def read_look(lake: Path, app_id: str) -> Look | None:
    """The last look at a source partition; None when there was none."""
    try:
        return Look(**json.loads((source_folder(lake, app_id) / _NAME).read_text()))
    except FileNotFoundError:
        return None
