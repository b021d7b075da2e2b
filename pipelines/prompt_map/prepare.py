"""Which map new rows are measured with: the one in use, or the first one, fitted to the input at hand."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ScarecrowError
from pipelines.ingest.decode import PROMPT, Decoded, decode
from pipelines.ingest.formats import Format
from pipelines.ingest.hashing import key_fingerprint, subkeys
from pipelines.ingest.slices import native
from pipelines.ingest.source import Source
from pipelines.ingest.texts import text_keys
from pipelines.ingest.vectors import EMBEDDING_DOMAIN
from pipelines.prompt_map import store
from pipelines.prompt_map.fit import MIN_SAMPLE, fit
from pipelines.prompt_map.fit_embeddings import fit_embeddings
from pipelines.prompt_map.kinds import Kind, first_kind
from pipelines.prompt_map.sample import SAMPLE, PromptSample, VectorSample

MAX_FIT_BYTES: Final = 1 << 30
"""Input that is read for a fit; of a longer one, the first part."""


@dataclass(frozen=True)
class FitReport:
    """version of the map in use; fitted: whether it was made just now; prompts: distinct prompts (or embeddings, by
    kind) seen."""

    version: str
    fitted: bool
    prompts: int
    kind: Kind = "prompt"


@dataclass(frozen=True)
class Sample:
    """Distinct prompts, or embeddings float32[n, length], to fit a map to."""

    values: list[bytes] | NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def kind(self) -> Kind:
        return "prompt" if isinstance(self.values, list) else "embedding"


def sample_source(
    source: Source,
    hash_key: bytes,
    log_format: Format | None,
    now_ms: int,
    kind: Kind | None = None,
    max_bytes: int = MAX_FIT_BYTES,
) -> Sample:
    """Up to 60,000 distinct prompts or embeddings of a source, from its start, whatever was ingested already.

    kind: which; None takes embeddings when at least as many requests carry one as carry a prompt, since they are
    used instead of the text (CONTRACT section 1). Embeddings are those of the commonest length.
    """
    sample = PromptSample(text_keys(hash_key), SAMPLE)
    prompts = 0
    lengths: Counter[int] = Counter()
    for decoded in _decoded(source, log_format, now_ms, max_bytes):
        sample.add(decoded)
        prompts += int((decoded.spans.kinds[PROMPT][decoded.valid] == 1).sum())
        if decoded.vectors is not None:
            lengths.update(decoded.vectors.lengths[decoded.valid].tolist())
    del lengths[0]
    if (kind or first_kind(prompts, lengths.total())) != "embedding":
        return Sample(sample.prompts())
    if not lengths:
        raise ScarecrowError("the input has no prompt_embedding; fit to its prompts with --kind prompt")
    del sample
    length = min(lengths, key=lambda each: (-lengths[each], each))
    vectors = VectorSample(subkeys(hash_key, EMBEDDING_DOMAIN), length)
    for decoded in _decoded(source, log_format, now_ms, max_bytes):
        vectors.add(decoded)
    return Sample(vectors.vectors())


def _decoded(source: Source, log_format: Format | None, now_ms: int, max_bytes: int) -> Iterator[Decoded]:
    for part in source.plan(lambda app_id: None, max_bytes):
        for block in source.read(part):
            yield decode(native(block, log_format)[0], now_ms)


def fit_and_store(lake: Path, sample: Sample, hash_key: bytes, source: str) -> str:
    """Fit a map and store it; returns its version. It is not put to use."""
    provenance = {"source": source, "sample": len(sample), "key": key_fingerprint(hash_key)}
    values = sample.values
    return store.save(lake, fit(values) if isinstance(values, list) else fit_embeddings(values), provenance)


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
        sample = sample_source(source, self.hash_key, log_format, now_ms)
        if len(sample) < MIN_SAMPLE:
            self._tried_bytes = size
            return FitReport(store.NO_MAP, False, len(sample), sample.kind)
        version = fit_and_store(self.lake, sample, self.hash_key, uri)
        return FitReport(store.use_first(self.lake, version), True, len(sample), sample.kind)
