"""Field paths: `metadata.user.id`, `choices[0].text`, `messages[-1].content`, `attributes['user.id']`.

Belongs here: parsing them. A leading `$.` is allowed; a key that holds dots or brackets is quoted in
brackets.
"""

import re

Path = tuple[str | int, ...]

_STEP = re.compile(
    r"""\.?(?:(?P<key>[^.\[\]'"$\s][^.\[\]'"]*)|\[(?P<index>-?\d{1,9})\]|\[(?P<q>['"])(?P<quoted>.+?)(?P=q)\])"""
)


class PathError(ValueError):
    """The text is no field path."""


def parse_path(text: str) -> Path:
    """Split a field path into keys and list indexes; raises PathError."""
    rest = text.removeprefix("$").removeprefix(".") if text.startswith("$") else text
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None or (not steps and rest.startswith(".")):
            raise PathError(text)
        steps.append(int(found["index"]) if found["index"] else found["quoted"] or found["key"])
        at = found.end()
    if not steps:
        raise PathError(text)
    return tuple(steps)
