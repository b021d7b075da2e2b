"""A small world that was simulated and ingested once: the lake of tests that rank."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from pipelines.ingest.cycle import IngestOptions
from pipelines.ingest.run import ingest, open_source
from pipelines.lake.tables import Lake
from pipelines.mart import build
from pipelines.mart.open import open_mart
from pipelines.prompt_map.store import NO_MAP, current
from pipelines.rank.steps import Ranking
from pipelines.rank.workspace import Workspace
from pipelines.simulate import simulate
from schemas.mart import MART

KEY = b"0123456789abcdef"
NOW = 1_800_000_000_000
DAY_MS = 86_400_000
FIRST_MS = 1_767_571_200_000
"""2026-01-05T00:00Z, where simulated logs begin."""
DAYS = 6


def write_world(folder: Path) -> list[Path]:
    """Logs of six days, one file a day: 200 accounts, one campaign among them."""
    simulate(
        folder, accounts=200, days=DAYS, seed=11, strategies=["hydra:32:45-90"], requests_per_account=30.0, by_day=True,
    )  # fmt: skip
    return sorted(folder.glob("*.ndjson"))


def fill(
    lake: Lake, files: list[Path], map_version: str = NO_MAP, slice_bytes: int = 1 << 22, threads: int = 1
) -> None:
    """Ingest files in the given order."""
    for file in files:
        source = open_source(str(file), lake.path, slice_bytes, follow=False)
        options = IngestOptions(hash_key=KEY, map_version=map_version, threads=threads)
        ingest(lake, str(file), source, options, lambda: NOW)


@cache
def small_world() -> tuple[Path, Lake]:
    """Folder of the logs, and the lake; once per process. Read it, never write it."""
    folder = Path(mkdtemp(prefix="scarecrow-test-world-"))
    files = write_world(folder / "log")
    lake = Lake(folder / "lake")
    source = str(folder / "log" / "*.ndjson")
    ingest(
        lake, source, open_source(source, lake.path, 1 << 22, follow=False),
        IngestOptions(hash_key=KEY, map_version=NO_MAP), lambda: NOW,
    )  # fmt: skip
    assert files
    assert current(lake.path) is not None
    return folder, lake


def ranking(lake: Lake, mart: Path, as_of_ms: int | None = None, **changes: object) -> Ranking:
    """A ranking of a fortnight, results in memory."""
    return Ranking(
        lake, mart, Workspace.beside(mart, "test", {}), 14, as_of_ms, "settings", **changes,  # type: ignore[arg-type]
    )  # fmt: skip


def content(mart: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every relation in order, but the wall seconds of the run."""
    found = {}
    with open_mart(str(mart)) as opened:
        for relation in MART:
            names = ", ".join(f'"{c.name}"' for c in relation.columns if c.name != "seconds")
            found[relation.name] = opened.rows(f"SELECT {names} FROM {relation.name} ORDER BY ALL")
    return found


def as_of(mart: Path) -> int | None:
    """End of the horizon of a mart."""
    return build.as_of(mart)
