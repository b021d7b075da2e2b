"""Appeals: an append-only file beside the mart, written by people."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.enforce.actions import Appeal
from pipelines.errors import ScarecrowError
from pipelines.mart.rows import Kind


@dataclass(frozen=True)
class AppealRecord:
    """One step of an appeal."""

    subject_kind: Kind
    subject_id: str
    appeal: Appeal
    author: str
    reason: str
    at_ms: int


def appeals_file(mart: Path) -> Path:
    """Where the appeals of a mart are kept."""
    return mart.with_name(f"{mart.name}.appeals.jsonl")


def append(mart: Path, record: AppealRecord) -> None:
    """Add a step, durably; writers take turns."""
    with appeals_file(mart).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def standing(mart: Path) -> dict[str, Appeal]:
    """The newest step of each subject, by `kind:id`. Raises ScarecrowError for a line that is none."""
    path = appeals_file(mart)
    if not path.exists():
        return {}
    found: dict[str, Appeal] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record = AppealRecord(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise ScarecrowError(
                f"The appeal {path}:{number} cannot be read; mend or remove that line."
            ) from error
        found[f"{record.subject_kind}:{record.subject_id}"] = record.appeal
    return found
