"""Options of adapters: reading them, and the sentence said when one is wrong.

Belongs here: turning an option's value (text from a command line, or a list from a settings file) into what
an adapter needs. Not here: which options an adapter has.
"""

from collections.abc import Collection, Mapping

from pipelines.errors import UsageError
from pipelines.ingest.formats.paths import Path, PathError, parse_path


def known_options(name: str, options: Mapping[str, object], known: Collection[str]) -> None:
    """Raise UsageError for an option that format `name` does not have."""
    for option in options:
        if option not in known:
            have = ", ".join(sorted(known)) or "none"
            raise UsageError(f"Format {name} has no option {option!r}; it has: {have}.")


def names_option(name: str, options: Mapping[str, object], option: str) -> tuple[str, ...] | None:
    """A list of names: a list of texts, or one text with commas. None when the option is not given."""
    value = options.get(option)
    if value is None:
        return None
    items = value.split(",") if isinstance(value, str) else value
    if (
        not isinstance(items, list | tuple)
        or not items
        or not all(isinstance(one, str) and one.strip() for one in items)
    ):
        raise UsageError(
            f"Option {option!r} of format {name} is {value!r}; "
            "give one field name or several, separated by commas."
        )
    return tuple(one.strip() for one in items)


def paths_option(name: str, options: Mapping[str, object], option: str) -> tuple[Path, ...] | None:
    """A list of field paths, given like names_option. None when the option is not given."""
    names = names_option(name, options, option)
    if names is None:
        return None
    try:
        return tuple(map(parse_path, names))
    except PathError as error:
        raise UsageError(
            f"Option {option!r} of format {name} holds {str(error)!r}, which is no field path; "
            "write it like a.b[0]['c.d']."
        ) from None
