"""What numba cannot say by itself: an unaligned load, a look at 32 bytes at once, sums kept in registers.

All are written as LLVM vector operations, so that they compile to what each processor has.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, njit, types
from numba.core import cgutils as untyped_cgutils
from numpy.typing import NDArray

# Numba hands a function back as what it is called like, which its type stubs do not say.
_njit: Final[Any] = njit
intrinsic: Final[Any] = extending.intrinsic
cgutils: Final[Any] = untyped_cgutils

_OPTIONS: Final[dict[str, Any]] = {"nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
kernel: Final[Any] = _njit(cache=True, **_OPTIONS)
"""Compiles a function that allocates nothing. Without `_nrt` numba counts references to every array around every
call, with atomic operations that two threads fight over; that was half the time of the scanner."""
inner: Final[Any] = _njit(no_cpython_wrapper=True, **_OPTIONS)
"""The same for a function that kernels call and Python does not: without what Python needs, and kept with the kernels
that it becomes part of, it is compiled in three quarters of the time."""
LANES: Final = 32
PADDING: Final = 2 * LANES
"""Bytes that a buffer must hold behind its last record, all zero."""
WORDS: Final = 16
"""Words of 8 bytes, one of each text or token, that are worked on side by side."""
WORDS_TYPE: Final = ir.VectorType(ir.IntType(64), WORDS)


def pointer_to(context: Any, builder: Any, signature: Any, args: Any, place: int) -> Any:
    """Where the data of an argument that is a contiguous array begin."""
    return context.make_array(signature.args[place])(context, builder, args[place]).data


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return cgutils.gep_inbounds(builder, pointer_to(context, builder, signature, args, 0), args[1])


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """A vector of that kind with the same value in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(single, undefined, zeros)


def in_all_words(value: int) -> Any:
    """WORDS times the same number."""
    return ir.Constant(WORDS_TYPE, [value] * WORDS)


def largest_word(builder: Any, values: Any) -> Any:
    """The largest of WORDS unsigned numbers."""
    largest = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.IntType(64), [WORDS_TYPE]), f"llvm.vector.reduce.umax.v{WORDS}i64"
    )
    return builder.call(largest, [values])


def words_at(builder: Any, base: Any, places: Any, wanted: Any) -> Any:
    """The 8 bytes at each of some places behind base, as little-endian integers; zero where none are wanted."""
    count = places.type.count
    number = ir.IntType(64)
    pointers = ir.VectorType(ir.PointerType(number), count)
    gather = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(places.type, [pointers, ir.IntType(32), wanted.type, places.type]),
        f"llvm.masked.gather.v{count}i64.v{count}p0",
    )
    start = spread(builder, builder.ptrtoint(base, number), places.type)
    addresses = builder.inttoptr(builder.add(start, places), pointers)
    zeros = ir.Constant(places.type, [0] * count)
    return builder.call(gather, [addresses, ir.Constant(ir.IntType(32), 1), wanted, zeros])


def _splat(byte: int) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(8), LANES), [byte] * LANES)


@intrinsic
def word_at(typing_context: Any, buffer: Any, at: Any) -> Any:
    """The 8 bytes at a position as a little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(ir.IntType(64)))
        return builder.load(pointer, align=1)

    return types.uint64(buffer, types.int64), generate


@intrinsic
def prefetch_row(typing_context: Any, matrix: Any, row: Any) -> Any:
    """Have a row of float32[n, 64], contiguous, fetched from memory while other work goes on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = pointer_to(context, builder, signature, args, 0)
        number = ir.IntType(32)
        start = builder.bitcast(
            builder.gep(data, [builder.mul(args[1], ir.Constant(ir.IntType(64), 64))]),
            ir.PointerType(ir.IntType(8)),
        )
        fetch = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [start.type, number, number, number]),
            "llvm.prefetch.p0",
        )
        is_read, to_second_level, is_data = (ir.Constant(number, value) for value in (0, 2, 1))
        for line in range(0, 256, 64):
            place = builder.gep(start, [ir.Constant(number, line)])
            builder.call(fetch, [place, is_read, to_second_level, is_data])
        return context.get_dummy_value()

    return types.void(matrix, types.int64), generate


@intrinsic
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

    return intrinsic(mask)


def _is_letter_or_digit(builder: Any, chunk: Any, splat: Any) -> Any:
    lower = builder.or_(chunk, splat(0x20))
    letter = builder.icmp_unsigned("<", builder.sub(lower, splat(ord("a"))), splat(26))
    digit = builder.icmp_unsigned("<", builder.sub(chunk, splat(ord("0"))), splat(10))
    return builder.or_(letter, digit)


letters_and_digits: Final = _mask_of_64(_is_letter_or_digit)
"""Of the 64 bytes from a position on, those that are ASCII letters and digits."""
beyond_ascii: Final = _mask_of_64(lambda builder, chunk, splat: builder.icmp_signed("<", chunk, splat(0)))
"""Of the 64 bytes from a position on, those of 0x80 and more."""
leads_of_two: Final = _mask_of_64(
    lambda builder, chunk, splat: builder.icmp_unsigned("<", builder.sub(chunk, splat(0xC0)), splat(0x20))
)
"""Of the 64 bytes from a position on, the first ones of characters of two bytes."""
leads_of_more: Final = _mask_of_64(
    lambda builder, chunk, splat: builder.icmp_unsigned(">=", chunk, splat(0xE0))
)
"""Of the 64 bytes from a position on, the first ones of characters of three or four bytes."""
angles: Final = _mask_of_64(lambda builder, chunk, splat: builder.icmp_unsigned("==", chunk, splat(ord("<"))))
"""Of the 64 bytes from a position on, those that are `<`."""


@intrinsic
def line_ends(typing_context: Any, buffer: Any, at: Any) -> Any:
    """Bit mask of the line feeds among the 32 bytes from a position on, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), LANES)
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(vector))
        found = builder.icmp_unsigned("==", builder.load(pointer, align=1), _splat(10))
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(buffer, types.int64), generate


@intrinsic
def pairs(typing_context: Any, buffer: Any, at: Any, first: Any, second: Any, distance: Any) -> Any:
    """Bit mask of the 32 bytes from a position on that are `first` and have `second` so many bytes behind them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), LANES)
        start = _pointer(context, builder, signature, args)
        found = None
        for pointer, byte in ((start, args[2]), (builder.gep(start, [args[4]]), args[3])):
            chunk = builder.load(builder.bitcast(pointer, ir.PointerType(vector)), align=1)
            same = builder.icmp_unsigned("==", chunk, spread(builder, byte, vector))
            found = same if found is None else builder.and_(found, same)
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(buffer, types.int64, types.uint8, types.uint8, types.int64), generate


@intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> Any:
    """Index of the lowest set bit of a uint64; 64 where none is."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def bit_count(typing_context: Any, mask: Any) -> Any:
    """How many bits of a uint64 are set."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

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


@intrinsic
def weighted_sum_64(
    typing_context: Any, matrix: Any, places: Any, weights: Any, count: Any, total: Any
) -> Any:
    """total += sum over k < count of weights[k] * matrix[places[k]], in order of k, each product rounded
    by itself, so the result is the same on every processor. matrix: float32[n, 64], contiguous."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.VectorType(ir.FloatType(), 64)
        rows, indices, factors, out = (pointer_to(context, builder, signature, args, k) for k in (0, 1, 2, 4))
        target = builder.bitcast(out, ir.PointerType(lanes))
        held = cgutils.alloca_once_value(builder, builder.load(target, align=4))
        row_size = ir.Constant(ir.IntType(64), 64)
        with cgutils.for_range(builder, args[3]) as loop:
            index = builder.load(builder.gep(indices, [loop.index]))
            start = builder.gep(rows, [builder.mul(builder.sext(index, ir.IntType(64)), row_size)])
            row = builder.load(builder.bitcast(start, ir.PointerType(lanes)), align=4)
            factor = builder.load(builder.gep(factors, [loop.index]))
            product = builder.fmul(spread(builder, factor, lanes), row)
            builder.store(builder.fadd(builder.load(held), product), held)
        builder.store(builder.load(held), target, align=4)
        return context.get_dummy_value()

    return types.void(matrix, places, weights, types.int64, total), generate


@intrinsic
def weighted_sums_of_4(
    typing_context: Any, matrices: Any, which: Any, weights: Any, totals: Any, first: Any
) -> Any:
    """totals[i] += sum over k of weights[i, k] * matrices[which[i], k], for four i from `first` on side by side, since
    each sum is a chain of additions that wait for each other. In order of k, each product rounded by itself.

    matrices: float32[m, 64, 32]; which: int64[n]; weights: float32[n, 64]; totals: float32[n, 32]; all contiguous.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.VectorType(ir.FloatType(), 32)
        rows, chosen, factors, out = (pointer_to(context, builder, signature, args, k) for k in range(4))

        def number(value: int) -> Any:
            return ir.Constant(ir.IntType(64), value)

        places = [builder.add(args[4], number(k)) for k in range(4)]
        starts = [builder.mul(builder.load(builder.gep(chosen, [each])), number(64 * 32)) for each in places]
        targets = [
            builder.bitcast(builder.gep(out, [builder.mul(each, number(32))]), ir.PointerType(lanes))
            for each in places
        ]
        held = [cgutils.alloca_once_value(builder, builder.load(target, align=4)) for target in targets]
        with cgutils.for_range(builder, number(64)) as loop:
            for place, start, total in zip(places, starts, held, strict=True):
                at = builder.add(start, builder.mul(loop.index, number(32)))
                row = builder.load(builder.bitcast(builder.gep(rows, [at]), ir.PointerType(lanes)), align=4)
                weight = builder.add(builder.mul(place, number(64)), loop.index)
                factor = spread(builder, builder.load(builder.gep(factors, [weight])), lanes)
                builder.store(builder.fadd(builder.load(total), builder.fmul(factor, row)), total)
        for target, total in zip(targets, held, strict=True):
            builder.store(builder.load(total), target, align=4)
        return context.get_dummy_value()

    return types.void(matrices, which, weights, totals, types.int64), generate


@intrinsic
def largest_of_32(typing_context: Any, values: Any) -> Any:
    """Index of the first of the largest of 32 numbers. values: float32[32], contiguous."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.VectorType(ir.FloatType(), 32)
        data = pointer_to(context, builder, signature, args, 0)
        chunk = builder.load(builder.bitcast(data, ir.PointerType(lanes)), align=4)
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.FloatType(), [lanes]), "llvm.vector.reduce.fmax.v32f32"
        )
        largest = spread(builder, builder.call(reduce, [chunk]), lanes)
        found = builder.bitcast(builder.fcmp_ordered("==", chunk, largest), ir.IntType(32))
        place = builder.cttz(
            builder.or_(found, ir.Constant(ir.IntType(32), 1 << 31)), ir.Constant(ir.IntType(1), 1)
        )
        return builder.zext(place, ir.IntType(64))

    return types.int64(values), generate
