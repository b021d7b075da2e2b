"""Prompt maps in the lake: one folder per version, and a pointer to the one in use.

A version is the hash of the map's content. Rows of different maps are never summed.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ScarecrowError, UsageError
from pipelines.ingest.quantise import Quantiser, zeros
from pipelines.ingest.vectors import VectorQuantiser, no_cells
from pipelines.lake.durable import sync_folders
from pipelines.prompt_map.fit import CELLS_PER_TOPIC, DIMENSIONS, TOPICS, FittedMap
from pipelines.prompt_map.kinds import Kind
from pipelines.prompt_map.tokens import BUCKETS, TOKENS_VERSION
from pipelines.replacing import replacing, sync

_ARRAYS: Final = "map.npz"
_ABOUT: Final = "about.json"
_CURRENT: Final = "current"
EMBEDDING_VERSION: Final = 1
"""Of what is done to an embedding before the projection."""
NO_MAP: Final = "none"
"""Version of rows that were measured before a map was fitted."""


@dataclass(frozen=True)
class PromptMap:
    """A stored map. centroids: float32[cells, d]; ordinary: float32[cells], share of the fitting sample."""

    version: str
    quantiser: Quantiser
    centroids: NDArray[np.float32]
    ordinary: NDArray[np.float32]
    about: Mapping[str, Any]

    @classmethod
    def none(cls) -> "PromptMap":
        """What rows are measured with before a map is fitted: they have no cells."""
        cells = TOPICS * CELLS_PER_TOPIC
        empty = np.zeros((cells, DIMENSIONS), np.float32)
        return cls(NO_MAP, no_cells(), empty, np.zeros(cells, np.float32), {})

    @property
    def kind(self) -> Kind:
        """What its cells are cells of."""
        return kind_of(self.quantiser)

    @property
    def cells_per_topic(self) -> int:
        return int(self.quantiser.cell_norms.shape[1])


def kind_of(quantiser: Quantiser) -> Kind:
    """What a quantiser gives cells to."""
    return "embedding" if isinstance(quantiser, VectorQuantiser) else "prompt"


def _folder(lake: Path) -> Path:
    return lake / "prompt_maps"


def save(lake: Path, fitted: FittedMap, provenance: Mapping[str, Any]) -> str:
    """Store a fitted map; returns its version. Storing the same map twice changes nothing."""
    quantiser = fitted.quantiser
    used = np.flatnonzero(np.any(quantiser.projection != 0, axis=1)).astype(np.int32)
    arrays = {
        "buckets": used,
        "projection": quantiser.projection[used],
        "topics": quantiser.topics,
        "topic_norms": quantiser.topic_norms,
        "cells": quantiser.cells,
        "cell_norms": quantiser.cell_norms,
        "centroids": fitted.centroids,
        "ordinary": fitted.ordinary,
    }
    kind = f"tokens {TOKENS_VERSION}"
    if isinstance(quantiser, VectorQuantiser):
        kind = f"embedding of {len(quantiser.projection)} numbers, version {EMBEDDING_VERSION}"
        arrays["bias"] = quantiser.bias
    digest = hashlib.blake2b(kind.encode(), digest_size=8)
    for name, array in arrays.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    version = digest.hexdigest()
    folder = _folder(lake) / version
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _ARRAYS) as file:
        np.savez(file, allow_pickle=False, **arrays)
    about = {
        "version": version,
        "kind": kind_of(quantiser),
        "tokens": TOKENS_VERSION,
        "statistics": asdict(fitted.statistics),
        "provenance": dict(provenance),
    }
    with replacing(folder / _ABOUT) as file:
        file.write(json.dumps(about, indent=2, sort_keys=True).encode())
    sync_folders(lake, [folder])
    return version


def use(lake: Path, version: str) -> None:
    """Make a stored version the one that new rows are measured with."""
    if not (_folder(lake) / version / _ABOUT).exists():
        raise UsageError(
            f"prompt map {version} does not exist in {lake}; `scarecrow prompt-map list` shows those that do"
        )
    with replacing(_folder(lake) / _CURRENT) as file:
        file.write(version.encode())
    sync_folders(lake, [_folder(lake)])


def use_first(lake: Path, version: str) -> str:
    """Make a version the one in use unless another process was quicker; returns the one in use."""
    pointer = _folder(lake) / _CURRENT
    temporary = pointer.with_name(f".{_CURRENT}.{uuid.uuid4().hex}")
    temporary.write_text(version)
    sync(temporary)
    try:
        os.link(temporary, pointer)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_folders(lake, [pointer.parent])
    return pointer.read_text().strip()


def current(lake: Path) -> str | None:
    """The version in use, if any."""
    try:
        return (_folder(lake) / _CURRENT).read_text().strip() or None
    except FileNotFoundError:
        return None


def versions(lake: Path) -> list[Mapping[str, Any]]:
    """What is known of every stored map, by version."""
    found = sorted(_folder(lake).glob(f"*/{_ABOUT}"))
    return [json.loads(path.read_text()) for path in found]


def load(lake: Path, version: str) -> PromptMap:
    """Read a stored map."""
    if version == NO_MAP:
        return PromptMap.none()
    folder = _folder(lake) / version
    try:
        about = json.loads((folder / _ABOUT).read_text())
        with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise UsageError(
            f"prompt map {version} does not exist in {lake}; `scarecrow prompt-map list` shows those that do"
        ) from error
    except (ValueError, OSError) as error:
        raise ScarecrowError(
            f"prompt map {version} in {lake} cannot be read ({type(error).__name__}); restore its folder from a backup"
        ) from error
    if "bias" in arrays:
        return _load_for_embeddings(version, arrays, about)
    if about.get("tokens") != TOKENS_VERSION:
        raise ScarecrowError(
            f"prompt map {version} in {lake} was fitted by another version of Scarecrow, which hashes words "
            "differently; fit a new one with `scarecrow prompt-map fit --use`"
        )
    projection = zeros((BUCKETS, arrays["projection"].shape[1]))
    projection[arrays["buckets"]] = arrays["projection"]
    quantiser = Quantiser(
        projection, arrays["topics"], arrays["topic_norms"], arrays["cells"], arrays["cell_norms"]
    )
    return PromptMap(version, quantiser, arrays["centroids"], arrays["ordinary"], about)


def _load_for_embeddings(
    version: str, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]
) -> PromptMap:
    projection = zeros((about["statistics"]["vocabulary"], arrays["projection"].shape[1]))
    projection[arrays["buckets"]] = arrays["projection"]
    quantiser = VectorQuantiser(
        projection,
        arrays["topics"],
        arrays["topic_norms"],
        arrays["cells"],
        arrays["cell_norms"],
        arrays["bias"],
    )
    return PromptMap(version, quantiser, arrays["centroids"], arrays["ordinary"], about)
