"""The one place that imports Beam, which warns on import about cloud libraries that nobody here asked for."""

import logging
from typing import Any, Final

__all__ = ["SAMPLING_MS", "PipelineOptions", "beam"]

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
    from apache_beam.runners.worker.statesampler import StateSampler
finally:
    _root.removeFilter(_is_wanted)
    # A warning on a root logger without handlers installs one, which would print whatever others log later.
    for _handler in set(_root.handlers) - set(_handlers):
        _root.removeHandler(_handler)

# At the end of a bundle Beam joins the thread that samples its state, which sleeps up to 200 ms at a time and has
# neither an option nor an event to be woken by. Waking takes 2 ms of CPU time a second at 20 ms, 4 at 5 ms.
SAMPLING_MS: Final = 20
StateSampler.__init__.__defaults__ = (SAMPLING_MS,)

beam: Any = apache_beam
"""Beam's own functions carry no types."""
