"""SQL of the product, one file per model, macro, audit or example, loaded by name.

Belongs here: `staging/`, `marts/`, `macros/`, `audits/`, `examples/`, each file with a header comment. Not
here: Python that runs them.
"""

from importlib.resources import files


def load(name: str) -> str:
    """Text of a file such as `macros/top_suspects.sql`; FileNotFoundError when there is none."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def listed(folder: str) -> list[str]:
    """Names of the SQL files of a folder, for `load`, in order."""
    entries = files(__name__).joinpath(folder).iterdir()
    return sorted(f"{folder}/{entry.name}" for entry in entries if entry.name.endswith(".sql"))
