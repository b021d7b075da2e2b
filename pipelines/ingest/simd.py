"""What numba cannot say by itself: an unaligned load, a look at 32 bytes at once, sums kept in registers.

All are written as LLVM vector operations, so that they compile to what each processor has.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

kernel: Final[Any] = njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
"""Compiles a function that allocates nothing. Without it numba counts references to every array around every
call, with atomic operations that two threads fight over; that was half the time of the scanner."""
LANES: Final = 32
PADDING: Final = 2 * LANES
"""Bytes that a buffer must hold behind its last record, all zero."""

# Numba hands a function back as what it is called like, which its type stubs do not say.
_intrinsic: Final[Any] = intrinsic
_cgutils: Final[Any] = cgutils


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    buffer = context.make_array(signature.args[0])(context, builder, args[0])
    return _cgutils.gep_inbounds(builder, buffer.data, args[1])


def _splat(byte: int) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(8), LANES), [byte] * LANES)


@_intrinsic
def word_at(typing_context: Any, buffer: Any, at: Any) -> Any:
    """The 8 bytes at a position as a little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(ir.IntType(64)))
        return builder.load(pointer, align=1)

    return types.uint64(buffer, types.int64), generate


@_intrinsic
def plain_bytes(typing_context: Any, buffer: Any, at: Any) -> Any:
    """How many of the 32 bytes from a position on are plain characters of a JSON string before the first that
    needs a look: a quote, a backslash, a control character or a byte of 0x80 or more."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), LANES)
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(vector))
        chunk = builder.load(pointer, align=1)
        # Signed, so that bytes of 0x80 and more are below 0x20 too.
        special = builder.icmp_signed("<", chunk, _splat(0x20))
        for byte in (ord('"'), ord("\\")):
            special = builder.or_(special, builder.icmp_unsigned("==", chunk, _splat(byte)))
        mask = builder.zext(builder.bitcast(special, ir.IntType(LANES)), ir.IntType(64))
        stopper = ir.Constant(ir.IntType(64), 1 << LANES)
        return builder.cttz(builder.or_(mask, stopper), ir.Constant(ir.IntType(1), 1))

    return types.int64(buffer, types.int64), generate


def _mask_of_64(test: Any) -> Any:
    """An intrinsic: bit mask, as uint64, of the 64 bytes from a position on that pass a test on a vector of bytes."""

    def mask(typing_context: Any, buffer: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.VectorType(ir.IntType(8), PADDING)
            pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(kind))
            passed = test(
                builder, builder.load(pointer, align=1), lambda byte: ir.Constant(kind, [byte] * PADDING)
            )
            return builder.bitcast(passed, ir.IntType(64))

        return types.uint64(buffer, types.int64), generate

    return _intrinsic(mask)


def _is_letter_or_digit(builder: Any, chunk: Any, splat: Any) -> Any:
    lower = builder.or_(chunk, splat(0x20))
    letter = builder.icmp_unsigned("<", builder.sub(lower, splat(ord("a"))), splat(26))
    digit = builder.icmp_unsigned("<", builder.sub(chunk, splat(ord("0"))), splat(10))
    return builder.or_(letter, digit)


letters_and_digits: Final = _mask_of_64(_is_letter_or_digit)
"""Of the 64 bytes from a position on, those that are ASCII letters and digits."""
beyond_ascii: Final = _mask_of_64(lambda builder, chunk, splat: builder.icmp_signed("<", chunk, splat(0)))
"""Of the 64 bytes from a position on, those of 0x80 and more."""


@_intrinsic
def line_ends(typing_context: Any, buffer: Any, at: Any) -> Any:
    """Bit mask of the line feeds among the 32 bytes from a position on, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), LANES)
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(vector))
        found = builder.icmp_unsigned("==", builder.load(pointer, align=1), _splat(10))
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(buffer, types.int64), generate


@_intrinsic
def pairs(typing_context: Any, buffer: Any, at: Any, first: Any, second: Any, distance: Any) -> Any:
    """Bit mask of the 32 bytes from a position on that are `first` and have `second` so many bytes behind them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), LANES)
        start = _pointer(context, builder, signature, args)
        found = None
        for pointer, byte in ((start, args[2]), (builder.gep(start, [args[4]]), args[3])):
            chunk = builder.load(builder.bitcast(pointer, ir.PointerType(vector)), align=1)
            single = builder.insert_element(
                ir.Constant(vector, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0)
            )
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            spread = builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)
            same = builder.icmp_unsigned("==", chunk, spread)
            found = same if found is None else builder.and_(found, same)
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(buffer, types.int64, types.uint8, types.uint8, types.int64), generate


@_intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> Any:
    """Index of the lowest set bit of a uint64; 64 where none is."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@kernel
def find(buf: NDArray[np.uint8], at: int, word: NDArray[np.uint8], probe: int) -> int:
    """The first place from `at` on where a word stands; -1 when there is none.

    probe: a place in the word whose byte is rare beside the first one. Many times as fast as `bytes.find`.
    """
    size = len(word)
    last = len(buf) - size
    while at <= last:
        if at + probe + LANES <= len(buf):
            found = pairs(buf, at, word[0], word[probe], probe)
        else:
            found = np.uint64(0)
            for k in range(min(LANES, last - at + 1)):
                if buf[at + k] == word[0]:
                    found |= np.uint64(1) << np.uint64(k)
        while found != 0:
            place = at + lowest_bit(found)
            found &= found - np.uint64(1)
            if place <= last:
                is_there = True
                for k in range(size):
                    if buf[place + k] != word[k]:
                        is_there = False
                        break
                if is_there:
                    return place  # type: ignore[no-any-return]
        at += LANES
    return -1


def _weighted_sum(width: int) -> Any:
    @_intrinsic
    def weighted_sum(
        typing_context: Any, matrix: Any, places: Any, weights: Any, count: Any, total: Any
    ) -> Any:
        """total += sum over k < count of weights[k] * matrix[places[k]], in order of k, each product rounded
        by itself, so the result is the same on every processor. matrix: float32[n, width], contiguous."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            lanes = ir.VectorType(ir.FloatType(), width)
            data = [
                context.make_array(kind)(context, builder, value).data if place != 3 else value
                for place, (kind, value) in enumerate(zip(signature.args, args, strict=True))
            ]
            rows, indices, factors, size, out = data
            target = builder.bitcast(out, ir.PointerType(lanes))
            held = _cgutils.alloca_once_value(builder, builder.load(target, align=4))
            row_size = ir.Constant(ir.IntType(64), width)
            with _cgutils.for_range(builder, size) as loop:
                index = builder.load(builder.gep(indices, [loop.index]))
                start = builder.gep(rows, [builder.mul(builder.sext(index, ir.IntType(64)), row_size)])
                row = builder.load(builder.bitcast(start, ir.PointerType(lanes)), align=4)
                factor = builder.load(builder.gep(factors, [loop.index]))
                single = builder.insert_element(
                    ir.Constant(lanes, ir.Undefined), factor, ir.Constant(ir.IntType(32), 0)
                )
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
                spread = builder.shuffle_vector(single, ir.Constant(lanes, ir.Undefined), zeros)
                builder.store(builder.fadd(builder.load(held), builder.fmul(spread, row)), held)
            builder.store(builder.load(held), target, align=4)
            return context.get_dummy_value()

        return types.void(matrix, places, weights, types.int64, total), generate

    return weighted_sum


weighted_sum_32: Final = _weighted_sum(32)
weighted_sum_64: Final = _weighted_sum(64)


@_intrinsic
def largest_of_32(typing_context: Any, values: Any) -> Any:
    """Index of the first of the largest of 32 numbers. values: float32[32], contiguous."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.VectorType(ir.FloatType(), 32)
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        chunk = builder.load(builder.bitcast(data, ir.PointerType(lanes)), align=4)
        reduce = _cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.FloatType(), [lanes]), "llvm.vector.reduce.fmax.v32f32"
        )
        single = builder.insert_element(
            ir.Constant(lanes, ir.Undefined), builder.call(reduce, [chunk]), ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), 32), [0] * 32)
        spread = builder.shuffle_vector(single, ir.Constant(lanes, ir.Undefined), zeros)
        found = builder.bitcast(builder.fcmp_ordered("==", chunk, spread), ir.IntType(32))
        place = builder.cttz(
            builder.or_(found, ir.Constant(ir.IntType(32), 1 << 31)), ir.Constant(ir.IntType(1), 1)
        )
        return builder.zext(place, ir.IntType(64))

    return types.int64(values), generate
