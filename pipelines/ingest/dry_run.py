"""`scarecrow ingest --dry-run`: what the first records hold, field by field, and which evidence that allows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pipelines.ingest.decode import decode, reason
from pipelines.ingest.formats import get_format, guess_format
from pipelines.ingest.slices import native
from pipelines.ingest.source import Source
from pipelines.ingest.streams import closing_streams
from pipelines.prompt_map.kinds import first_kind
from schemas.missing import unavailable
from schemas.request import FIELDS

LOOK_BYTES: Final = 16 << 20
LOOK_RECORDS: Final = 10_000


@dataclass
class Look:
    """What was found. fields: records that carry each field; rejects: reason -> how many. embeddings: length ->
    how many. cells_of: what a first ingest of this log would fit its prompt map to; empty when nothing allows one."""

    log_format: str
    looks_like: str
    records: int = 0
    valid: int = 0
    skipped: int = 0
    accounts: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    rejects: dict[str, int] = field(default_factory=dict)
    embeddings: dict[int, int] = field(default_factory=dict)
    cells_of: str = ""
    missing: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    first_event_ms: int | None = None
    last_event_ms: int | None = None


def look(
    source: Source, log_format: str, options: Mapping[str, object], now_ms: int, content_free: bool = False
) -> Look:
    """Read up to 10,000 records from the start of a source; writes nothing. content_free: as for `decode`."""
    adapter = None if log_format == "native" else get_format(log_format, options)
    found = Look(log_format, log_format)
    counts = np.zeros(len(FIELDS), dtype=np.int64)
    rejects: Counter[str] = Counter()
    accounts: set[bytes] = set()
    lengths: Counter[int] = Counter()
    account = [f.name for f in FIELDS].index("account_id")
    with closing_streams():
        for part in source.plan(lambda app_id: None, LOOK_BYTES):
            for block in source.read(part):
                if found.records == 0:
                    found.looks_like = guess_format(block.records()[:50])
                records, _, refused, skipped = native(block, adapter)
                decoded = decode(records, now_ms, content_free or adapter is not None)
                rows = decoded.valid[: max(0, LOOK_RECORDS - found.valid)]
                found.records += len(records) + len(refused) + len(block.rejects)
                found.skipped += skipped
                found.valid += len(rows)
                rejects.update(reason(int(error)) for error in decoded.errors[decoded.errors != 0])
                rejects.update(why for _, why in refused)
                rejects.update(raw.reason for raw in block.rejects)
                counts += (decoded.spans.kinds[:, rows] != 0).sum(axis=1)
                if decoded.vectors is not None:
                    lengths.update(decoded.vectors.lengths[rows].tolist())
                begins, sizes = decoded.spans.begins[account], decoded.spans.sizes[account]
                accounts.update(
                    decoded.spans.text[begins[r] : begins[r] + sizes[r]].tobytes() for r in rows.tolist()
                )
                if len(rows):
                    times = decoded.event_times[rows]
                    found.first_event_ms = min(int(times.min()), found.first_event_ms or int(times.min()))
                    found.last_event_ms = max(int(times.max()), found.last_event_ms or 0)
                if found.valid >= LOOK_RECORDS:
                    break
            if found.valid >= LOOK_RECORDS:
                break
    found.accounts = len(accounts)
    found.fields = {f.name: int(count) for f, count in zip(FIELDS, counts, strict=True)}
    found.rejects = dict(rejects.most_common())
    del lengths[0]
    found.embeddings = dict(lengths.most_common())
    found.cells_of = first_kind(found.fields["prompt"], lengths.total())
    missing = [f.name for f, count in zip(FIELDS, counts, strict=True) if count == 0]
    found.unavailable = unavailable(missing)
    # Whoever logs prompts misses nothing without embeddings.
    found.missing = [name for name in missing if name != "prompt_embedding" or "prompt" in missing]
    return found
