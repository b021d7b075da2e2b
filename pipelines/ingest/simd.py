"""Two things that numba cannot say by itself: an unaligned load, and looking at 32 bytes at once.

Both are written as LLVM vector operations, so that they compile to what each processor has.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES: Final = 32
PADDING: Final = 2 * LANES
"""Bytes that a buffer must hold behind its last record, all zero."""


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    buffer = context.make_array(signature.args[0])(context, builder, args[0])
    return cgutils.gep_inbounds(builder, buffer.data, args[1])


def _splat(byte: int) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(8), LANES), [byte] * LANES)


@intrinsic  # type: ignore[misc]
def word_at(typing_context: Any, buffer: Any, at: Any) -> Any:
    """The 8 bytes at a position as a little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.PointerType(ir.IntType(64)))
        return builder.load(pointer, align=1)

    return types.uint64(buffer, types.int64), generate


@intrinsic  # type: ignore[misc]
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
