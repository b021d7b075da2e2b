"""SipHash against the vectors of its authors and against a plain version."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import naive
from pipelines.ingest.hashing import MASK, hash_bytes, hash_fields, key_fingerprint, subkeys

_K0, _K1 = 0x0706050403020100, 0x0F0E0D0C0B0A0908
# First words of vectors_sip64 in the reference implementation (github.com/veorq/SipHash), little-endian.
_VECTORS = (
    0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x0D6C8009D9A94F5A, 0x85676696D7FB7E2D, 0xCF2794E0277187B7,
    0x18765564CD99A68D, 0xCBC9466E58FEE3CE, 0xAB0200F58B01D137, 0x93F5F5799A932462, 0x9E0082DF0BA9E4B0,
)  # fmt: skip


def ours(data: bytes, k0: int, k1: int) -> int:
    """The compiled hash of a byte string."""
    return hash_bytes(data, (np.uint64(k0), np.uint64(k1)))


def test_vectors() -> None:
    data = bytes(range(len(_VECTORS)))
    assert tuple(naive.siphash(data[:n], _K0, _K1) for n in range(len(_VECTORS))) == _VECTORS
    assert [ours(data[:n], _K0, _K1) for n in range(len(_VECTORS))] == [int(each & MASK) for each in _VECTORS]


@given(st.binary(max_size=80), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_as_the_plain_version(data: bytes, k0: int, k1: int) -> None:
    assert ours(data, k0, k1) == naive.siphash(data, k0, k1) & int(MASK)


@given(st.lists(st.binary(max_size=40) | st.none(), min_size=1, max_size=40), st.integers(0, 30))
def test_many_fields_at_once(texts: list[bytes | None], limit: int) -> None:
    """Of two fields, the second one as the first in reverse; None is absent."""
    both = [texts, texts[::-1]]
    sizes = np.array([[len(text or b"") for text in each] for each in both], dtype=np.int32)
    begins = (np.cumsum(sizes) - sizes.ravel()).reshape(sizes.shape)
    kinds = np.array([[text is not None for text in each] for each in both], dtype=np.uint8)
    buf = np.frombuffer(b"".join(text or b"" for each in both for text in each) + bytes(8), dtype=np.uint8)
    keys = np.array([[_K0, _K1], [_K1, 7]], dtype=np.uint64)
    out = np.zeros((3, len(texts)), dtype=np.int64)
    fields, limits, places = np.array([0, 1]), np.array([limit, 100]), np.array([2, 0])
    hash_fields(buf, begins, sizes, kinds, np.arange(len(texts)), fields, limits, keys, places, out)
    for field, cut, place in zip((0, 1), (limit, 100), (2, 0), strict=True):
        k0, k1 = keys[field].tolist()
        assert out[place].tolist() == [
            -1 if text is None else naive.siphash(text[:cut], k0, k1) & int(MASK) for text in both[field]
        ]


def test_keys_differ_by_domain_and_secret() -> None:
    found = {tuple(map(int, subkeys(key, domain))) for key in (b"k" * 16, b"l" * 16) for domain in ("a", "b")}
    assert len(found) == 4
    assert key_fingerprint(b"k" * 16) != key_fingerprint(b"l" * 16)
