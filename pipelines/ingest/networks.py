"""Client addresses cut to their network: /24 of IPv4, /48 of IPv6, compiled.

The first address of a list counts (an X-Forwarded-For header), a port, brackets and a zone are ignored, and an
IPv4 address in IPv6 notation (::ffff:10.1.2.3) is an IPv4 address. What is no address stays text.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest.simd import inner, kernel

SLOT = 16
"""Bytes that each row has in the output."""


@inner
def _ipv4(buf: NDArray[np.uint8], at: int, stop: int, octets: NDArray[np.int64]) -> bool:
    """Read four octets; a port may follow."""
    place = 0
    digits = 0
    value = np.int64(0)
    while at < stop:
        byte = np.int64(buf[at])
        if 48 <= byte <= 57 and digits < 3:
            value = value * 10 + byte - 48
            digits += 1
        elif byte == 46 and digits > 0 and value < 256 and place < 3:
            octets[place] = value
            place += 1
            digits = 0
            value = np.int64(0)
        elif byte == 58 and place == 3:
            break
        else:
            return False
        at += 1
    octets[place] = value
    return place == 3 and digits > 0 and value < 256  # type: ignore[return-value]


@inner
def _ipv6(
    buf: NDArray[np.uint8], at: int, stop: int, groups: NDArray[np.int64], octets: NDArray[np.int64]
) -> bool:
    """Read eight groups; a bracket or a zone ends them, dotted octets may stand for the last two."""
    total = 0
    gap = -1
    while at < stop:
        byte = np.int64(buf[at])
        if byte == 37 or byte == 93:
            break
        if byte == 58:
            if at + 1 >= stop or buf[at + 1] != 58 or gap >= 0:
                return False
            gap = total
            at += 2
            continue
        begin = at
        value = np.int64(0)
        while at < stop:
            byte = np.int64(buf[at])
            lower = byte | 32
            if 48 <= byte <= 57:
                value = value * 16 + byte - 48
            elif 97 <= lower <= 102:
                value = value * 16 + lower - 87
            else:
                break
            at += 1
        if at < stop and byte == 46:
            end = at
            while end < stop and buf[end] != 37 and buf[end] != 93:
                end += 1
            if total > 6 or not _ipv4(buf, begin, end, octets):
                return False
            groups[total] = octets[0] * 256 + octets[1]
            groups[total + 1] = octets[2] * 256 + octets[3]
            total += 2
            break
        if at == begin or at - begin > 4 or total == 8:
            return False
        groups[total] = value
        total += 1
        if at < stop and buf[at] == 58:
            if at + 1 >= stop:
                return False
            if buf[at + 1] != 58:
                at += 1
                if buf[at] == 37 or buf[at] == 93:
                    return False
        elif at < stop and buf[at] != 37 and buf[at] != 93:
            return False
    if gap < 0:
        return total == 8
    if total > 7:
        return False
    shift = 8 - total
    for place in range(7, -1, -1):
        if place >= gap + shift:
            groups[place] = groups[place - shift]
        elif place >= gap:
            groups[place] = 0
    return True


@inner
def _network(
    buf: NDArray[np.uint8],
    at: int,
    stop: int,
    groups: NDArray[np.int64],
    octets: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """Write the network of one text; returns its size."""
    for k in range(at, stop):
        if buf[k] == 44:
            stop = k
            break
    while at < stop and (buf[at] == 32 or buf[at] == 91):
        at += 1
    while at < stop and buf[stop - 1] == 32:
        stop -= 1
    if _ipv4(buf, at, stop, octets):
        for k in range(3):
            out[k] = octets[k]
        return 3
    if _ipv6(buf, at, stop, groups, octets):
        is_mapped = groups[5] == 0xFFFF
        for k in range(5):
            is_mapped = is_mapped and groups[k] == 0
        if is_mapped:
            out[0] = groups[6] >> 8
            out[1] = groups[6] & 255
            out[2] = groups[7] >> 8
            return 3
        for k in range(3):
            out[2 * k] = groups[k] >> 8
            out[2 * k + 1] = groups[k] & 255
        return 6
    size = min(16, stop - at)
    for k in range(size):
        out[k] = buf[at + k]
    return size


@kernel
def cut_networks(
    buf: NDArray[np.uint8],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rows: NDArray[np.int64],
    out_begins: NDArray[np.int64],
    out_sizes: NDArray[np.int32],
    out: NDArray[np.uint8],
    scratch: NDArray[np.int64],
) -> None:
    """Network of row rows[i]: out[16 i : 16 i + out_sizes[i]], empty where the field is absent.

    scratch: int64[12].
    """
    groups = scratch[:8]
    octets = scratch[8:]
    for i in range(len(rows)):
        row = rows[i]
        out_begins[i] = 16 * i
        out_sizes[i] = 0
        if kinds[row] == 1:
            begin = begins[row]
            out_sizes[i] = _network(buf, begin, begin + sizes[row], groups, octets, out[16 * i : 16 * i + 16])
