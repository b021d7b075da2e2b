"""A bounded copy of a rejected record that shows its shape and keeps no text: for people who mend producers.

Names of known fields and JSON punctuation stay; letters of everything else become `x`, digits `0`.
"""

import re
from typing import Final

from schemas.request import FIELDS

COPY_BYTES: Final = 512
_KEYS: Final = re.compile(r'"(?:' + "|".join(field.name for field in FIELDS) + r')"(?=\s*:)')
_LITERALS: Final = re.compile(r"(?<=[:\s,\[])(?:true|false|null)(?=[\s,\]}])")
_LETTER: Final = re.compile(r"[^\W\d_]")
_DIGIT: Final = re.compile(r"\d")


def shape(record: bytes) -> str:
    """The first 512 bytes with all text masked; control characters and bytes that are not UTF-8 become `?`."""
    text = record[:COPY_BYTES].decode("utf-8", "replace")
    text = "".join(c if c.isprintable() and c != "�" else "?" for c in text)
    kept = [*_KEYS.finditer(text), *_LITERALS.finditer(text)]
    out = []
    at = 0
    for match in sorted(kept, key=lambda m: m.start()):
        if match.start() < at:
            continue
        out.append(_mask(text[at : match.start()]))
        out.append(match.group())
        at = match.end()
    out.append(_mask(text[at:]))
    return "".join(out)


def _mask(text: str) -> str:
    return _DIGIT.sub("0", _LETTER.sub("x", text))
