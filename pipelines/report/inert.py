"""Text from a log, made harmless for a terminal and for a spreadsheet (the template engine escapes HTML).

Ids are chosen by the people under suspicion. An id may carry terminal escapes, marks that turn the reading
direction, invisible characters, or a spreadsheet formula.
"""

import unicodedata

_SHOWN_AS_CODE = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def terminal(text: str) -> str:
    """The text with every control, bidirectional, invisible or unassigned character as its code (`\\x1b`).

    Ordinary letters of every script stay as they are. The result is one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_code(c) if unicodedata.category(c) in _SHOWN_AS_CODE else c for c in text)


def spreadsheet(text: str) -> str:
    """As `terminal`, with an apostrophe before what a spreadsheet would take for a formula (OWASP)."""
    shown = terminal(text)
    return "'" + shown if text.lstrip(" '\"").startswith(_FORMULA) else shown


def _code(character: str) -> str:
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
