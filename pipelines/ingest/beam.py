"""The one place that imports Beam, which on import warns about cloud libraries that nobody here asked for, and loads
pandas and a MongoDB client for connectors that nobody here uses: half of its three seconds."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["PipelineOptions", "beam"]


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Optional libraries that Beam does not find meanwhile; those that are loaded already stay."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how an import is made to fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


_root = logging.getLogger()
_handlers = list(_root.handlers)


def _is_wanted(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.getMessage()


# Beam logs the traceback of every exception that it raises as well. Whoever catches it knows what to do; a broker that
# is away while a topic is followed would fill pages.
logging.getLogger("apache_beam").setLevel(logging.CRITICAL)

_root.addFilter(_is_wanted)
try:
    with _without("pandas", "pymongo"):
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
finally:
    _root.removeFilter(_is_wanted)
    # A warning on a root logger without handlers installs one, which would print whatever others log later.
    for _handler in set(_root.handlers) - set(_handlers):
        _root.removeHandler(_handler)

beam: Any = apache_beam
"""Beam's own functions carry no types."""
