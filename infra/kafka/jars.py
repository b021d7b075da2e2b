"""The broker's jars: fetched once with Maven, kept in the user's cache, found again by a hash of pom.xml.

Here: the cache and its atomic filling. Not here: how the jars are started (cluster.py).
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipelines.errors import ScarecrowError

POM = Path(__file__).with_name("pom.xml")
_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
_FETCH_SECONDS = 600


def cache_home() -> Path:
    """The user's cache folder by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scarecrow"


def required_tool(name: str, remedy: str) -> str:
    """The absolute path of a program on PATH; ScarecrowError with the remedy when it is not there."""
    found = shutil.which(name)
    if found is None:
        raise ScarecrowError(f"`{name}` is not on PATH; {remedy}.")
    return found


def broker_jars(pom: Path = POM, cache: Path | None = None) -> Path:
    """A folder that holds every jar of `pom`; filled by Maven at the first call, about 44 MB.

    The folder's name is a hash of the pom, and it is moved into place when complete, so two callers at once
    and a killed download are harmless. Raises ScarecrowError when Maven is missing or fails.
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    folder = (cache or cache_home()) / f"kafka-jars-{digest}"
    if folder.is_dir():
        return folder
    maven = required_tool(
        "mvn", "install Apache Maven, or use `docker compose -f infra/compose.yaml up kafka`"
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-jars-", dir=folder.parent) as scratch:
        incoming = Path(scratch) / "lib"
        project = Path(scratch) / "pom.xml"
        shutil.copyfile(pom, project)
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(project), _COPY_GOAL, f"-DoutputDirectory={incoming}"],
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
        )
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()
            first = next((line for line in lines if "ERROR" in line), "no message")
            raise ScarecrowError(
                f"Maven could not fetch the jars of {pom}: {first}; check Maven's repository access."
            )
        try:
            incoming.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder
