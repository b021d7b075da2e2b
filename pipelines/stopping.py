"""Ending long work in order when it is told to: the one place that catches signals."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stop:
    """Set by SIGINT and SIGTERM: what is under way is finished, nothing else is begun."""

    event: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def on_signals(self) -> Iterator["Stop"]:
        """Catch both signals inside the block (main thread only)."""
        before = {s: signal.signal(s, lambda *_: self.event.set()) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
