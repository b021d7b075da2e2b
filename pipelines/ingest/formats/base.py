"""What an adapter is: it translates lines of another log into native request records (CONTRACT section 1).

Belongs here: the interface, the loop over lines and its accounting. Not here: any one log's field names, and
no checking of values: whatever an adapter emits passes the strict native decoder afterwards.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from pipelines.ingest.formats.lines import LineError, load_line

Json = dict[str, object]
"""A parsed JSON object, or a record under construction (native field name -> value)."""

Options = Mapping[str, object]


class SkipError(Exception):
    """This part of the log is legitimately no API call; the message is a short reason without content."""


@dataclass(frozen=True)
class Converted:
    """What became of a batch of lines. Every line index occurs in at least one of the lists.

    records: native records as JSON bytes, one per API call.
    origins: for each record the index of the input line it came from (of its span, where a call has several
    lines). rejects: (index of input line, reason): the line should have been a call and could not be read.
    skipped: (index of input line, reason): the line legitimately is no call of its own. Reasons are a few
    fixed words; they never contain text from the log.
    """

    records: list[bytes] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    rejects: list[tuple[int, str]] = field(default_factory=list)
    skipped: list[tuple[int, str]] = field(default_factory=list)

    def add(self, index: int, record: Json) -> None:
        """Append a record; what is None in it is absent. A value that JSON cannot carry makes it a reject."""
        try:
            data = orjson.dumps({name: value for name, value in record.items() if value is not None})
        except (orjson.JSONEncodeError, RecursionError):
            self.rejects.append((index, "a value cannot be written as JSON"))
            return
        self.records.append(data)
        self.origins.append(index)


class Format(Protocol):
    """An adapter. Stateless: the same lines give the same result, whatever was converted before."""

    @property
    def name(self) -> str:
        """The name it is asked for by."""

    def convert(self, lines: Sequence[bytes]) -> Converted:
        """Translate a batch of lines (without their line ends)."""


@dataclass(frozen=True)
class LineFormat:
    """An adapter for logs whose every line is a call, or a JSON array of calls (callbacks that post batches).

    translate: one parsed object -> one native record; raises LineError or SkipError.
    max_bytes: longest line taken.
    """

    name: str
    translate: Callable[[Json], Json]
    max_bytes: int

    def convert(self, lines: Sequence[bytes]) -> Converted:
        """Translate line by line."""
        out = Converted()
        for index, line in enumerate(lines):
            try:
                for item in _objects(load_line(line, self.max_bytes)):
                    self._one(out, index, item)
            except LineError as error:
                out.rejects.append((index, str(error)))
            except SkipError as error:
                out.skipped.append((index, str(error)))
        return out

    def _one(self, out: Converted, index: int, item: object) -> None:
        """Translate one object; a bad one in an array costs its neighbours nothing."""
        try:
            if not isinstance(item, dict):
                raise LineError("not a JSON object")
            out.add(index, self.translate(item))
        except LineError as error:
            out.rejects.append((index, str(error)))
        except SkipError as error:
            out.skipped.append((index, str(error)))


def _objects(value: object) -> Iterable[object]:
    if not isinstance(value, list):
        return (value,)
    if not value:
        raise SkipError("empty batch")
    return value
