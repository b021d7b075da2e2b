"""The one place that imports Beam, which warns on import about cloud libraries that nobody here asked for."""

import logging
from typing import Any

__all__ = ["PipelineOptions", "beam"]

_root = logging.getLogger()
_handlers = list(_root.handlers)


def _is_wanted(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.getMessage()


# Beam logs the traceback of every exception that it raises as well. Whoever catches it knows what to do; a broker that
# is away while a topic is followed would fill pages.
logging.getLogger("apache_beam").setLevel(logging.CRITICAL)

_root.addFilter(_is_wanted)
try:
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions
finally:
    _root.removeFilter(_is_wanted)
    # A warning on a root logger without handlers installs one, which would print whatever others log later.
    for _handler in set(_root.handlers) - set(_handlers):
        _root.removeHandler(_handler)

beam: Any = apache_beam
"""Beam's own functions carry no types."""
