"""Log lines as JSON objects on standard error, for machines that collect them (`--log-json`).

Belongs here: how a line looks. What is logged is decided where it happens, by the standard `logging`; prompt text
is never in it.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

FIELDS: Final = "fields"
"""Name of the attribute of a log record that holds further fields of its line: `extra={FIELDS: {...}}`."""


class JsonLines(logging.Formatter):
    """time (RFC 3339, UTC), level, logger, message, and the record's own fields, one object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line without a line feed."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= vars(record).get(FIELDS, {})
        if record.exc_info is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_json() -> None:
    """From now on every log line is JSON, and our own loggers tell what they do from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("pipelines").setLevel(logging.INFO)
