"""Cutting addresses to networks, against `ipaddress`."""

import ipaddress
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.naive import network_of
from pipelines.ingest.decode import decode
from pipelines.ingest.networks import cut_networks
from schemas.request import FIELD_INDEX
from tests.ingest.records import NOON, NOW, block


def cut(*addresses: str) -> list[bytes]:
    """The networks of addresses as they come through the decoder."""
    records = [
        {"event_id": str(i), "event_time": NOON, "account_id": "a", "prompt": "p", "client_ip": address}
        for i, address in enumerate(addresses)
    ]
    decoded = decode(block(b"".join(json.dumps(r).encode() + b"\n" for r in records)), NOW)
    field = FIELD_INDEX["client_ip"]
    n = len(addresses)
    begins, sizes, out = np.empty(n, np.int64), np.empty(n, np.int32), np.zeros(16 * n + 64, np.uint8)
    spans = decoded.spans
    cut_networks(
        spans.text,
        spans.begins[field],
        spans.sizes[field],
        spans.kinds[field],
        np.arange(n),
        begins,
        sizes,
        out,
        np.zeros(12, np.int64),
    )
    return [out[b : b + s].tobytes() for b, s in zip(begins.tolist(), sizes.tolist(), strict=True)]


@given(st.ip_addresses(v=4), st.sampled_from(["{}", "{}:8080", " {}", "{}, 10.0.0.1", "{},::1", "{}  "]))
def test_ipv4(address: ipaddress.IPv4Address, form: str) -> None:
    assert cut(form.format(address)) == [address.packed[:3]]


@given(
    st.ip_addresses(v=6),
    st.sampled_from(["{}", "[{}]:443", "{}%eth0", "{}, 10.0.0.1", "[{}]"]),
    st.booleans(),
)
def test_ipv6(address: ipaddress.IPv6Address, form: str, exploded: bool) -> None:
    text = address.exploded if exploded else str(address).upper()
    mapped = address.ipv4_mapped
    assert cut(form.format(text)) == [mapped.packed[:3] if mapped else address.packed[:6]]


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::", bytes(6)),
        ("::1", bytes(6)),
        ("1::", b"\0\1" + bytes(4)),
        ("1:2:3::", bytes([0, 1, 0, 2, 0, 3])),
        ("::ffff:10.1.2.3", b"\x0a\x01\x02"),
        ("::ffff:10.1.2.3, 8.8.8.8", b"\x0a\x01\x02"),
        ("010.1.2.3", b"\x0a\x01\x02"),
    ],
)
def test_examples(text: str, network: bytes) -> None:
    assert cut(text) == [network]


@pytest.mark.parametrize(
    "text",
    [
        "10.1.2",
        "10.1.2.256",
        "1.2.3.4.5",
        "1:2:3",
        ":::",
        "1::2::3",
        "g::1",
        "internal-gw",
        "1:2:3:4:5:6:7:8:9",
    ],
)
def test_what_is_no_address_stays_text(text: str) -> None:
    assert cut(text) == [text.encode()[:16]]


@settings(max_examples=300)
@given(st.text("0123456789abcdefg.:,[]%/ x", min_size=1, max_size=30))
def test_nothing_crashes_and_real_addresses_are_cut(text: str) -> None:
    found = cut(text, "10.9.8.7")
    if text.strip() and found[0]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            pass
        else:
            mapped = getattr(address, "ipv4_mapped", None)
            assert found[0] == (mapped.packed[:3] if mapped else network_of(text))
    assert found[1] == b"\x0a\x09\x08"
