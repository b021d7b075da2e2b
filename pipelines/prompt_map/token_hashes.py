"""Hashes of sixteen tokens at once, as LLVM vector operations.

Multiplicative over the lower-cased UTF-8 bytes, eight at a time, without a key: they never leave a process.
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

LONGEST: Final = 16
"""Bytes of the longest token that is hashed here."""
START: Final = 0xCBF29CE484222325
FACTOR: Final = 0x9E3779B97F4A7C15
_ALL_BITS: Final = (1 << 64) - 1


def _smaller(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.icmp_unsigned("<", one, other), one, other)


def _mixed(builder: Any, value: Any, word: Any, size: Any) -> Any:
    """One step of the hash: the first `size` bytes of a word, 1 to 8."""
    unused = builder.sub(in_all_words(64), builder.shl(size, in_all_words(3)))
    word = builder.and_(word, builder.lshr(in_all_words(_ALL_BITS), unused))
    value = builder.mul(builder.xor(value, word), in_all_words(FACTOR))
    return builder.xor(value, builder.lshr(value, in_all_words(32)))


@intrinsic
def hash_tokens(
    typing_context: Any, buf: Any, starts: Any, ends: Any, first: Any, count: Any, out: Any
) -> Any:
    """Hash the tokens first to first + 15, as far as there are `count`; returns the size of the largest, in bytes.

    A token is a run of ASCII letters and digits, or begins with a byte of 0xE0 or more and is one character, wherever
    it is said to end. What is written for tokens of more than LONGEST bytes means nothing. starts, ends: int64; out:
    uint64; all contiguous. 16 bytes must follow the start of each token in the buffer.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base, begins, stops, target = (pointer_to(context, builder, signature, args, k) for k in (0, 1, 2, 5))
        lanes = ir.PointerType(WORDS_TYPE)

        def load(array: Any) -> Any:
            return builder.load(builder.bitcast(builder.gep(array, [args[3]]), lanes), align=8)

        number = ir.Constant(WORDS_TYPE, list(range(WORDS)))
        left = spread(builder, builder.sub(args[4], args[3]), WORDS_TYPE)
        is_token = builder.icmp_signed("<", number, left)
        places = load(begins)
        sizes = builder.select(is_token, builder.sub(load(stops), places), in_all_words(1))
        word = words_at(builder, base, places, is_token)
        lead = builder.and_(word, in_all_words(0xFF))
        is_wide = builder.icmp_unsigned(">=", lead, in_all_words(0xE0))
        width = builder.select(
            builder.icmp_unsigned(">=", lead, in_all_words(0xF0)), in_all_words(4), in_all_words(3)
        )
        # Bit 5 makes letters lower-case and is set in digits anyway.
        lower = builder.select(is_wide, in_all_words(0), in_all_words(0x2020202020202020))
        size = _smaller(builder, builder.select(is_wide, width, sizes), in_all_words(LONGEST))
        value = _mixed(
            builder, in_all_words(START), builder.or_(word, lower), _smaller(builder, size, in_all_words(8))
        )
        is_long = builder.icmp_unsigned(">", size, in_all_words(8))
        word = words_at(builder, base, builder.add(places, in_all_words(8)), builder.and_(is_token, is_long))
        rest = builder.select(is_long, builder.sub(size, in_all_words(8)), in_all_words(1))
        value = builder.select(is_long, _mixed(builder, value, builder.or_(word, lower), rest), value)
        store = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [WORDS_TYPE, lanes, ir.IntType(32), is_token.type]),
            f"llvm.masked.store.v{WORDS}i64.p0",
        )
        place = builder.bitcast(builder.gep(target, [args[3]]), lanes)
        builder.call(store, [value, place, ir.Constant(ir.IntType(32), 8), is_token])
        return largest_word(builder, sizes)

    return types.int64(buf, starts, ends, types.int64, types.int64, out), generate
