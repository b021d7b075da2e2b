"""A full disk under the lake, told as one: it reaches us through Beam, delta-rs and pyarrow in their own words.

Belongs here: recognising it. What a full disk leaves behind is what a crash leaves behind.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deltalake.exceptions import DeltaError

from pipelines.errors import ScarecrowError

_CODES: Final = (errno.ENOSPC, errno.EDQUOT)
_WORDS: Final = re.compile(rf"\b(?:os error|errno) (?:{'|'.join(map(str, _CODES))})\b", re.IGNORECASE)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error, or what caused it, was that there is no space left (or no quota)."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        if isinstance(each, OSError) and each.errno in _CODES:
            return True
        # Rust and Beam pass the text on and drop the number.
        if isinstance(each, OSError | RuntimeError | DeltaError) and _WORDS.search(str(each)):
            return True
        each = each.__cause__ or each.__context__
    return False


@contextmanager
def telling_full_disk(lake: Path) -> Iterator[None]:
    """Turns errors of a full disk inside the block into a ScarecrowError with the remedy; others pass."""
    try:
        yield
    except (OSError, RuntimeError, DeltaError) as error:
        if not is_full_disk(error):
            raise
        raise ScarecrowError(
            f"the disk of lake {lake} is full; free some space and run the same command again, it goes on from what is "
            "committed"
        ) from error
