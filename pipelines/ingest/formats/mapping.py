"""Any other JSON log, by a mapping file: YAML that names, for each native field, where the log keeps it.

Belongs here: reading and checking the file, and applying it. Each field has one source, written as a field
path, or as an object with one of `path`, `first_of` (paths tried in order), `value` (a constant) and the
hints below; a list is short for `first_of`:

    # mapping.yaml
    fields:
      event_id: request.id
      event_time: {path: request.at, unit: ns}      # s, ms (default), us, ns; date-time strings need none
      account_id: [auth.customer, auth.key_id]      # the first that is present
      prompt: {path: body.messages, as: prompt}     # last user turn of a list of messages
      turn_index: {path: body.messages, as: turn_index}
      system_prompt: {path: body.messages, as: system_prompt}
      response: {path: answer, as: response}        # text of an answer in any common shape
      model: body.model
      endpoint: {value: chat}
      user_agent: request.headers['user-agent']
      conversation_id: tags[0]                      # list index; [-1] is the last
      completion_tokens: usage.out
      latency_ms: {path: took, unit: s}
    skip_unless: body.model                         # optional: lines without it are no calls

`event_id`, `event_time` and `account_id` must be mapped. JSON stored as text is opened where a path goes
through it. Options: `file`: the mapping file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import yaml

from pipelines.errors import UsageError
from pipelines.ingest.formats.base import Json, LineFormat, Options, SkipError
from pipelines.ingest.formats.lines import BATCH_LINE_BYTES, unwrapped
from pipelines.ingest.formats.messages import conversation, response_text, tool_schema
from pipelines.ingest.formats.options import known_options
from pipelines.ingest.formats.paths import Path, PathError, parse_path
from pipelines.ingest.formats.values import (
    UNITS_PER_SECOND,
    dig,
    epoch_ms,
    integer,
    number,
    present,
    text,
)
from schemas.request import FIELD_INDEX, FIELDS, Kind

_KINDS: dict[str, Kind] = {field.name: field.kind for field in FIELDS}
_REQUIRED = ("event_id", "event_time", "account_id")
_READERS: dict[str, Callable[[object], object]] = {
    "prompt": lambda value: conversation(value).prompt,
    "turn_index": lambda value: conversation(value).turn_index,
    "system_prompt": lambda value: conversation(value).system_prompt,
    "response": response_text,
    "json": tool_schema,
}
"""What `as` can say."""
_KEYS = frozenset({"path", "first_of", "value", "unit", "as"})


@dataclass(frozen=True)
class Source:
    """Where one native field comes from: the first present of `paths`, or the constant."""

    name: str
    paths: tuple[Path, ...]
    constant: object
    unit: str | None
    reader: Callable[[object], object] | None

    def get(self, entry: Json) -> object:
        """The field's value in a parsed line, translated to its type; None when absent."""
        if not self.paths:
            return self.constant
        found = (present(_follow(entry, path)) for path in self.paths)
        value = next((one for one in found if one is not None), None)
        if value is None:
            return None
        if self.reader is not None:
            return self.reader(value)
        return self._typed(value)

    def _typed(self, value: object) -> object:
        kind = _KINDS[self.name]
        if kind == "time":
            return epoch_ms(value, self.unit or "ms")
        if kind == "integer":
            return integer(value)
        if kind == "number":
            plain = number(value)
            if self.unit and isinstance(plain, int | float) and not isinstance(plain, bool):
                return plain * 1000 / UNITS_PER_SECOND[self.unit]
            return plain
        return text(value) if kind == "text" else value


def adapter(options: Options) -> LineFormat:
    """The adapter for the mapping file named by the option `file`; UsageError when not usable."""
    known_options("mapping", options, {"file"})
    file = options.get("file")
    if not isinstance(file, str | FilePath):
        raise UsageError("Format mapping needs the option 'file': the YAML file that names the field paths.")
    sources, marker = read_mapping(FilePath(file))
    return LineFormat("mapping", partial(_translate, sources=sources, marker=marker), BATCH_LINE_BYTES)


def read_mapping(file: FilePath) -> tuple[tuple[Source, ...], Path | None]:
    """Read and check a mapping file: the sources of its fields, and the path of `skip_unless`."""
    try:
        described = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Mapping file {file} cannot be read ({error.strerror}); check its path.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise UsageError(
            f"Mapping file {file} is not valid YAML; start from the example in the documentation."
        ) from None
    if not isinstance(described, dict) or not isinstance(described.get("fields"), dict):
        raise UsageError(f"Mapping file {file} has no 'fields'; list there where each native field is found.")
    for key in described:
        if key not in ("fields", "skip_unless"):
            raise UsageError(
                f"Mapping file {file} has the unknown key {key!r}; it may have 'fields' and 'skip_unless'."
            )
    fields: Mapping[object, object] = described["fields"]
    sources = tuple(_source(file, name, given) for name, given in fields.items())
    for name in _REQUIRED:
        if name not in fields:
            raise UsageError(
                f"Mapping file {file} does not map {name}, which every record needs; add it to 'fields'."
            )
    if "prompt" not in fields and "prompt_embedding" not in fields:
        raise UsageError(
            f"Mapping file {file} maps neither prompt nor prompt_embedding; add one of them to 'fields'."
        )
    marker = described.get("skip_unless")
    return sources, None if marker is None else _path(file, "skip_unless", marker)


def _source(file: FilePath, name: object, given: object) -> Source:
    if not isinstance(name, str) or name not in FIELD_INDEX:
        raise UsageError(
            f"Mapping file {file} maps the unknown field {name!r}; "
            f"native fields are {', '.join(FIELD_INDEX)}."
        )
    if isinstance(given, str):
        given = {"path": given}
    elif isinstance(given, list):
        given = {"first_of": given}
    if (
        not isinstance(given, dict)
        or len({"path", "first_of", "value"} & given.keys()) != 1
        or given.keys() - _KEYS
    ):
        raise UsageError(
            f"Mapping file {file} says nothing usable about {name}; give a path, a list of paths, "
            "or an object with one of path, first_of and value, and unit or as."
        )
    unit, reader = given.get("unit"), given.get("as")
    if unit is not None and (unit not in list(UNITS_PER_SECOND) or _KINDS[name] not in ("time", "number")):
        raise UsageError(
            f"Mapping file {file} gives {name} the unit {unit!r}; times and latency_ms have s, ms, us or ns."
        )
    if reader is not None and (not isinstance(reader, str) or reader not in _READERS):
        raise UsageError(
            f"Mapping file {file} reads {name} as {reader!r}; it can be read as {', '.join(_READERS)}."
        )
    if "value" in given:
        if not isinstance(given["value"], str | int | float) or not abs(_size(given["value"])) < 2**63:
            raise UsageError(
                f"Mapping file {file} gives {name} the constant {given['value']!r}; give a text or a number."
            )
        return Source(name, (), given["value"], None, None)
    asked = given["first_of"] if "first_of" in given else [given["path"]]
    if not isinstance(asked, list) or not asked:
        raise UsageError(f"Mapping file {file} has no paths in first_of of {name}; list at least one.")
    paths = tuple(_path(file, name, one) for one in asked)
    return Source(name, paths, None, unit, _READERS[reader] if reader is not None else None)


def _size(value: str | float) -> float:
    return 0 if isinstance(value, str) else value


def _path(file: FilePath, name: str, given: object) -> Path:
    try:
        return parse_path(str(given) if isinstance(given, str | int) else "")
    except PathError:
        raise UsageError(
            f"Mapping file {file} gives {name} the path {given!r}, which is none; "
            "write it like a.b[0]['c.d']."
        ) from None


def _translate(entry: Json, sources: tuple[Source, ...], marker: Path | None) -> Json:
    if marker is not None and present(_follow(entry, marker)) is None:
        raise SkipError("no model call")
    return {source.name: source.get(entry) for source in sources}


def _follow(entry: Json, path: Path) -> object:
    """Like dig, opening JSON that was stored as text on the way."""
    found = dig(entry, *path)
    if found is not None or len(path) == 1:
        return found
    value: object = entry
    for step in path:
        value = dig(unwrapped(value), step)
    return value
