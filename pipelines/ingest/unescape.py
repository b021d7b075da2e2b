"""Escapes of JSON strings, resolved: from where a string was scanned to the free end of the same buffer.

Belongs here: what an escape stands for. Which strings have any, and whether they are well formed, is in `scan`.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import inner


@inner
def _hex_value(buf: NDArray[np.uint8], at: int) -> int:
    value = np.int64(0)
    for k in range(4):
        byte = np.int64(buf[at + k])
        if byte >= 97:
            digit = byte - 87
        elif byte >= 65:
            digit = byte - 55
        else:
            digit = byte - 48
        value = value * 16 + digit
    return value  # type: ignore[return-value]


@inner
def unescape(buf: NDArray[np.uint8], begin: int, size: int, to: int) -> int:
    """Write a scanned string without its escapes to another place; returns its new size, which is never larger.

    A lone surrogate becomes U+FFFD.
    """
    read = begin
    write = to
    stop = begin + size
    while read < stop:
        byte = buf[read]
        if byte != 92:
            buf[write] = byte
            write += 1
            read += 1
            continue
        kind = buf[read + 1]
        if kind != 117:
            read += 2
            if kind == 110:
                kind = 10
            elif kind == 116:
                kind = 9
            elif kind == 114:
                kind = 13
            elif kind == 98:
                kind = 8
            elif kind == 102:
                kind = 12
            buf[write] = kind
            write += 1
            continue
        code = _hex_value(buf, read + 2)
        read += 6
        if 0xD800 <= code <= 0xDBFF and read + 6 <= stop and buf[read] == 92 and buf[read + 1] == 117:
            low = _hex_value(buf, read + 2)
            if 0xDC00 <= low <= 0xDFFF:
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                read += 6
        if 0xD800 <= code <= 0xDFFF:
            code = 0xFFFD
        if code < 0x80:
            buf[write] = code
            write += 1
        elif code < 0x800:
            buf[write] = 0xC0 | (code >> 6)
            buf[write + 1] = 0x80 | (code & 0x3F)
            write += 2
        elif code < 0x10000:
            buf[write] = 0xE0 | (code >> 12)
            buf[write + 1] = 0x80 | ((code >> 6) & 0x3F)
            buf[write + 2] = 0x80 | (code & 0x3F)
            write += 3
        else:
            buf[write] = 0xF0 | (code >> 18)
            buf[write + 1] = 0x80 | ((code >> 12) & 0x3F)
            buf[write + 2] = 0x80 | ((code >> 6) & 0x3F)
            buf[write + 3] = 0x80 | (code & 0x3F)
            write += 4
    return write - to
