"""The feed as a file (JSON lines or Parquet) and as a compacted topic."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipelines.alerts.channels.base import Refused, TryAgain
from pipelines.alerts.channels.topic import TopicWriter
from pipelines.enforce.actions import Entry
from pipelines.enforce.gateways import envoy, litellm
from pipelines.enforce.store import Store
from pipelines.errors import ScarecrowError

Form = Literal["jsonl", "parquet", "envoy", "litellm"]


def render(entries: Sequence[Entry], form: Form, usd_per_request: float) -> bytes:
    """The file's bytes. Ids are exact, for a gateway compares them; JSON and YAML are ASCII."""
    if form == "envoy":
        return envoy(entries).encode()
    if form == "litellm":
        return litellm(entries, usd_per_request).encode()
    if form == "jsonl":
        return "".join(json.dumps(e.row()) + "\n" for e in entries).encode()
    return _parquet(entries)


def _parquet(entries: Sequence[Entry]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.int64()
    schema = pa.schema(
        [("version", number), ("subject_kind", text), ("subject_id", text), ("action", text),
         ("requests_per_day", number), ("reason", text), ("reason_codes", pa.list_(text)), ("score", pa.float64()),
         ("campaign_id", text), ("since_ms", number), ("expires_at_ms", number), ("appeal", text),
         ("is_dry_run", pa.bool_()), ("as_of_ms", number)]
    )  # fmt: skip
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([e.row() for e in entries], schema=schema), sink)
    return bytes(sink.getvalue())


def write(path: Path, content: bytes) -> None:
    """Replace the file, atomically and durably: a gateway never reads half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ScarecrowError(
            f"The feed {path} cannot be written ({error.strerror}); choose another --out."
        ) from error


def publish(store: Store, writer: TopicWriter) -> int:
    """Bring the topic up to date: the newest row of each changed key, a null value where an action ended.

    Raises ScarecrowError when the brokers do not take a record; the next run sends all of them again.
    """
    topic = str(writer.address)
    version, rows = store.unpublished(topic)
    try:
        for key, row in rows.items():
            writer.write(key.encode(), None if row is None else row.encode(), [])
    except (TryAgain, Refused) as error:
        raise ScarecrowError(f"The feed is not in {topic} ({str(error).rstrip('.')}); run again.") from error
    if rows:
        store.note_published(topic, version)
    return len(rows)
