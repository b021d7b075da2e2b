"""Which map new rows are measured with: the one in use, or the first one, fitted to the input at hand."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipelines.ingest.decode import decode
from pipelines.ingest.formats import Format
from pipelines.ingest.hashing import key_fingerprint
from pipelines.ingest.slices import native
from pipelines.ingest.source import Source
from pipelines.ingest.texts import text_keys
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import MIN_SAMPLE, fit
from pipelines.prompt_map.sample import SAMPLE, PromptSample

MAX_FIT_BYTES: Final = 1 << 30
"""Input that is read for a fit; of a longer one, the first part."""


@dataclass(frozen=True)
class FitReport:
    """version of the map in use; fitted: whether it was made just now; prompts: distinct prompts seen."""

    version: str
    fitted: bool
    prompts: int


def sample_source(
    source: Source, hash_key: bytes, log_format: Format | None, now_ms: int, max_bytes: int = MAX_FIT_BYTES
) -> list[bytes]:
    """Up to 60,000 distinct prompts of a source, from its start, whatever was ingested already."""
    sample = PromptSample(text_keys(hash_key), SAMPLE)
    for part in source.plan(lambda app_id: None, max_bytes):
        for block in source.read(part):
            sample.add(decode(native(block, log_format)[0], now_ms))
    return sample.prompts()


def fit_and_store(lake: Path, prompts: list[bytes], hash_key: bytes, source: str) -> str:
    """Fit a map and store it; returns its version. It is not put to use."""
    provenance = {"source": source, "sample": len(prompts), "key": key_fingerprint(hash_key)}
    return store.save(lake, fit(prompts), provenance)


@dataclass
class FirstMap:
    """Sees to the first map of a lake; remembers how much input did not suffice."""

    lake: Path
    hash_key: bytes = field(repr=False)
    _tried_bytes: int = 0

    def version(self, source: Source, uri: str, log_format: Format | None, now_ms: int) -> FitReport:
        """The map in use, fitted to the source now if the lake has none and the source is large enough."""
        held = store.current(self.lake)
        if held is not None:
            return FitReport(held, False, 0)
        size = sum(part.end - part.start for part in source.plan(lambda app_id: None, MAX_FIT_BYTES))
        if size < 2 * self._tried_bytes or size == 0:
            return FitReport(store.NO_MAP, False, 0)
        prompts = sample_source(source, self.hash_key, log_format, now_ms)
        if len(prompts) < MIN_SAMPLE:
            self._tried_bytes = size
            return FitReport(store.NO_MAP, False, len(prompts))
        version = fit_and_store(self.lake, prompts, self.hash_key, uri)
        return FitReport(store.use_first(self.lake, version), True, len(prompts))
