"""SipHash against the vectors of its authors and against a plain version."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import naive
from pipelines.ingest.hashing import key_fingerprint, siphash, subkeys

_K0, _K1 = 0x0706050403020100, 0x0F0E0D0C0B0A0908
# First words of vectors_sip64 in the reference implementation (github.com/veorq/SipHash), little-endian.
_VECTORS = (
    0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A, 0x85676696D7FB7E2D, 0xCF2794E0277187B7,
    0x18765564CD99A68D, 0xCBC9466E58FEE3CE, 0xAB0200F58B01D137, 0x93F5F5799A932462, 0x9E0082DF0BA9E4B0,
)  # fmt: skip


def ours(data: bytes, k0: int, k1: int) -> int:
    """The compiled hash of a byte string."""
    buffer = np.frombuffer(data + bytes(64), dtype=np.uint8)
    return int(siphash(buffer, 0, len(data), np.uint64(k0), np.uint64(k1)))


def test_vectors() -> None:
    data = bytes(range(len(_VECTORS)))
    assert tuple(ours(data[:n], _K0, _K1) for n in range(len(_VECTORS))) == _VECTORS
    assert tuple(naive.siphash(data[:n], _K0, _K1) for n in range(len(_VECTORS))) == _VECTORS


@given(st.binary(max_size=80), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_as_the_plain_version(data: bytes, k0: int, k1: int) -> None:
    assert ours(data, k0, k1) == naive.siphash(data, k0, k1)


def test_keys_differ_by_domain_and_secret() -> None:
    found = {tuple(map(int, subkeys(key, domain))) for key in (b"k" * 16, b"l" * 16) for domain in ("a", "b")}
    assert len(found) == 4
    assert key_fingerprint(b"k" * 16) != key_fingerprint(b"l" * 16)
