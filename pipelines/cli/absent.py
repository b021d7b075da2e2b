"""Leaves out of a command's process what libraries load whenever it is installed and the command never uses.

PyArrow looks at Pandas when it makes its first array and Beam when it is imported; Beam also loads a MongoDB client.
That is 1.5 seconds of each start of an ingest, and 40 MB. Both are made to work where these are not installed, so an
import hook tells them that they are not.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NotFound(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Leaves every other module to the finders behind this one."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is left out of this command", name=fullname)


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Inside the block, top-level packages that nobody has loaded yet are not found."""
    finder = _NotFound(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
