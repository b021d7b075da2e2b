"""Health and metrics of an ingest that follows a source: `/healthz` and Prometheus `/metrics` on a port.

Belongs here: what is told to probes and dashboards. It never influences the ingest.
"""

import json
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from pipelines.errors import ScarecrowError
from pipelines.ingest.cycle import CycleReport
from pipelines.ingest.source import PartitionStatus

STALE_SECONDS: Final = 60.0
"""An ingest that has neither committed nor found nothing new for so long is unhealthy."""


class Health:
    """Counts what an ingest does. All methods may be called from any thread."""

    def __init__(self, stale_seconds: float = STALE_SECONDS) -> None:
        self._stale = stale_seconds
        self._alive = time.monotonic()
        self._trouble: str | None = None
        self.registry = CollectorRegistry()
        self._records = Counter("scarecrow_records", "Records read", registry=self.registry)
        self._rows = Counter("scarecrow_requests", "Requests measured", registry=self.registry)
        self._rejects = Counter("scarecrow_rejects", "Records rejected", registry=self.registry)
        self._duplicates = Counter("scarecrow_duplicates", "Repeats of an event_id", registry=self.registry)
        self._lost = Counter(
            "scarecrow_lost", "Records that were gone before they were read", registry=self.registry
        )
        self._bytes = Counter("scarecrow_bytes", "Bytes read", registry=self.registry)
        self._seconds = Histogram(
            "scarecrow_cycle_seconds", "Seconds per committed cycle", registry=self.registry
        )
        self._version = Gauge("scarecrow_lake_version", "Version of account_hours", registry=self.registry)
        self._newest = Gauge(
            "scarecrow_newest_event_seconds", "Newest event time, epoch seconds", registry=self.registry
        )
        self._lag = Gauge(
            "scarecrow_lag_records", "Records not yet committed", ["partition"], registry=self.registry
        )
        self._lag_seconds = Gauge(
            "scarecrow_lag_seconds",
            "Age of the oldest record not yet committed",
            ["partition"],
            registry=self.registry,
        )

    def committed(self, report: CycleReport, seconds: float) -> None:
        """A cycle was committed."""
        self.alive()
        self._records.inc(report.records)
        self._rows.inc(report.rows)
        self._rejects.inc(report.rejects)
        self._duplicates.inc(report.duplicates)
        self._bytes.inc(report.bytes)
        self._lost.inc(report.lost)
        self._seconds.observe(seconds)
        self._version.set(report.version)
        if report.newest_event_ms:
            self._newest.set(report.newest_event_ms / 1000)

    def alive(self) -> None:
        """The source was reached."""
        self._alive = time.monotonic()
        self._trouble = None

    def in_trouble(self, why: str) -> None:
        """The source or the lake cannot be reached at the moment."""
        self._trouble = why

    def lag(self, found: Sequence[PartitionStatus]) -> None:
        """Where the partitions stand."""
        for status in found:
            if status.lag_records is not None:
                self._lag.labels(status.name).set(status.lag_records)
            if status.lag_seconds is not None:
                self._lag_seconds.labels(status.name).set(status.lag_seconds)

    def state(self) -> tuple[bool, dict[str, object]]:
        """(healthy, facts)."""
        silent = time.monotonic() - self._alive
        return silent <= self._stale, {"seconds_since_progress": round(silent, 1), "trouble": self._trouble}


class _Handler(BaseHTTPRequestHandler):
    health: Health

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.health.registry))
        elif self.path == "/healthz":
            good, facts = self.health.state()
            self._answer(200 if good else 503, "application/json", json.dumps(facts).encode())
        else:
            self._answer(404, "text/plain", b"/healthz or /metrics\n")

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes are not worth a line each."""


def serve(health: Health, host: str, port: int) -> ThreadingHTTPServer:
    """Answer on a port until `shutdown` is called; port 0 takes a free one."""
    handler = type("Handler", (_Handler,), {"health": health})
    try:
        server = ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise ScarecrowError(
            f"port {port} for /healthz and /metrics cannot be opened ({error.strerror}); choose another --health-port"
        ) from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
