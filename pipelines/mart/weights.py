"""Weights of the evidence families: an append-only file beside the mart, its last line in force.

Belongs here: keeping them, applying and taking them back. Not here: how labels move them
(`pipelines.rank.recalibrate`) and multiplying (`pipelines.rank.weigh`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from pipelines.errors import ScarecrowError
from pipelines.mart import journal
from schemas.mart import FAMILIES, FAMILY_WEIGHTS


@dataclass(frozen=True)
class Calibration:
    """A change of the weights. weights: by family; those not named are 1. labels: how many it rests on.

    undoes: at_ms of the calibration that it takes back.
    """

    at_ms: int
    author: str
    reason: str
    labels: int
    weights: dict[str, float] = field(default_factory=dict)
    undoes: int | None = None

    def of(self, family: str) -> float:
        """The weight of a family."""
        return self.weights.get(family, 1.0)


NONE = Calibration(0, "", "", 0)


def weights_file(mart: Path) -> Path:
    """Where the weights of a mart are kept."""
    return mart.with_name(f"{mart.name}.weights.jsonl")


def read_calibrations(mart: Path) -> list[Calibration]:
    """All calibrations in order."""
    path = weights_file(mart)
    found = []
    for number, line in journal.read(path):
        try:
            found.append(Calibration(**line))
        except TypeError as error:
            raise journal.broken(path, number) from error
    return found


def in_force(mart: Path) -> Calibration:
    """The newest calibration; weights of 1 when there is none."""
    found = read_calibrations(mart)
    return found[-1] if found else NONE


def apply(mart: Path, calibration: Calibration) -> None:
    """Put weights in force, from the next ranking on."""
    journal.append(weights_file(mart), [asdict(calibration)])


def undo(mart: Path, author: str, reason: str, now_ms: int) -> Calibration:
    """Put the weights back in force that were there before the newest calibration that still stands.

    Raises ScarecrowError when there is nothing to take back.
    """
    standing: list[Calibration] = [NONE]
    for calibration in read_calibrations(mart):
        if calibration.undoes is None:
            standing.append(calibration)
        else:
            standing.pop()
    if len(standing) == 1:
        raise ScarecrowError(f"no calibration of {mart} is in force, so there is none to take back")
    back = standing[-2]
    made = Calibration(now_ms, author, reason, back.labels, dict(back.weights), standing[-1].at_ms)
    apply(mart, made)
    return made


def effective(calibration: Calibration, settings: Mapping[str, float]) -> dict[str, tuple[float, str]]:
    """Weight and origin of every family: settings over labels over 1."""
    found: dict[str, tuple[float, str]] = {}
    for family in FAMILIES:
        if family in settings:
            found[family] = (settings[family], "settings")
        elif family in calibration.weights:
            found[family] = (calibration.weights[family], "labels")
        else:
            found[family] = (1.0, "default")
    return found


def as_table(weights: Mapping[str, tuple[float, str]], as_of_ms: int) -> pa.Table:
    """As rows of schemas.mart.FAMILY_WEIGHTS."""
    rows = [
        {"as_of": as_of_ms * 1000, "family": family, "weight": weight, "origin": origin}
        for family, (weight, origin) in weights.items()
    ]
    return pa.Table.from_pylist(rows, schema=FAMILY_WEIGHTS.arrow())
