"""SipHash-2-4 (Aumasson and Bernstein, 2012) of sixteen texts at once, as LLVM vector operations.

A round waits for the one before it, so the hash of one text leaves most of a processor idle; sixteen take hardly longer
than one.
"""

from typing import Any, Final

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from pipelines.ingest.simd import (
    WORDS,
    WORDS_TYPE,
    cgutils,
    in_all_words,
    intrinsic,
    largest_word,
    pointer_to,
    spread,
    words_at,
)

TEXTS: Final = WORDS
_START: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def _rotated(builder: Any, value: Any, bits: int) -> Any:
    return builder.or_(builder.shl(value, in_all_words(bits)), builder.lshr(value, in_all_words(64 - bits)))


def _rounds(builder: Any, state: list[Any], count: int) -> list[Any]:
    """SipRound, some times."""
    v0, v1, v2, v3 = state
    for _ in range(count):
        v0, v2 = builder.add(v0, v1), builder.add(v2, v3)
        v1 = builder.xor(_rotated(builder, v1, 13), v0)
        v3 = builder.xor(_rotated(builder, v3, 16), v2)
        v0 = builder.add(_rotated(builder, v0, 32), v3)
        v2 = builder.add(v2, v1)
        v3 = builder.xor(_rotated(builder, v3, 21), v0)
        v1 = builder.xor(_rotated(builder, v1, 17), v2)
        v2 = _rotated(builder, v2, 32)
    return [v0, v1, v2, v3]


def _taken_in(builder: Any, state: list[Any], word: Any) -> list[Any]:
    """Take in a word of each text."""
    v0, v1, v2, v3 = _rounds(builder, [*state[:3], builder.xor(state[3], word)], 2)
    return [builder.xor(v0, word), v1, v2, v3]


@intrinsic
def siphash_16(typing_context: Any, buf: Any, begins: Any, sizes: Any, k0: Any, k1: Any, out: Any) -> Any:
    """SipHash-2-4 of buf[begins[i] : begins[i] + sizes[i]] for 16 texts, the top bit dropped.

    At least 8 bytes must follow in the buffer; they do not count. begins, sizes, out: int64[16], contiguous.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = {place: pointer_to(context, builder, signature, args, place) for place in (0, 1, 2, 5)}
        lanes = ir.PointerType(WORDS_TYPE)
        places = builder.load(builder.bitcast(data[1], lanes), align=8)
        sizes = builder.load(builder.bitcast(data[2], lanes), align=8)
        words = builder.lshr(sizes, in_all_words(3))
        state = [
            cgutils.alloca_once_value(
                builder,
                builder.xor(spread(builder, args[3 + place % 2], WORDS_TYPE), in_all_words(_START[place])),
            )
            for place in range(4)
        ]
        with cgutils.for_range(builder, largest_word(builder, words)) as loop:
            index = spread(builder, loop.index, WORDS_TYPE)
            is_inside = builder.icmp_unsigned("<", index, words)
            at = builder.add(places, builder.shl(index, in_all_words(3)))
            before = [builder.load(each) for each in state]
            after = _taken_in(builder, before, words_at(builder, data[0], at, is_inside))
            for each, old, new in zip(state, before, after, strict=True):
                builder.store(builder.select(is_inside, new, old), each)
        rest = builder.and_(sizes, in_all_words(7))
        has_rest = builder.icmp_unsigned("!=", rest, in_all_words(0))
        last = words_at(builder, data[0], builder.add(places, builder.shl(words, in_all_words(3))), has_rest)
        # Of eight minus `rest` bytes nothing counts; where there are none, nothing was read.
        unused = builder.and_(
            builder.sub(in_all_words(64), builder.shl(rest, in_all_words(3))), in_all_words(63)
        )
        last = builder.and_(last, builder.lshr(in_all_words((1 << 64) - 1), unused))
        last = builder.or_(last, builder.shl(sizes, in_all_words(56)))
        v0, v1, v2, v3 = _taken_in(builder, [builder.load(each) for each in state], last)
        v0, v1, v2, v3 = _rounds(builder, [v0, v1, builder.xor(v2, in_all_words(0xFF)), v3], 4)
        hashed = builder.xor(builder.xor(v0, v1), builder.xor(v2, v3))
        builder.store(
            builder.and_(hashed, in_all_words((1 << 63) - 1)), builder.bitcast(data[5], lanes), align=8
        )
        return context.get_dummy_value()

    return types.void(buf, begins, sizes, types.uint64, types.uint64, out), generate
