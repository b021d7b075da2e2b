"""Opens a page in headless Chromium and reports what the browser made of it.

The page forbids foreign scripts, so a harness page shows it in a frame of the wanted width, visits its views,
and writes what it finds as JSON into its own text.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_HARNESS = Path(__file__).with_name("harness.html")


@dataclass(frozen=True)
class Seen:
    """found: what the harness reports. console: lines that the page or the browser wrote to the console."""

    found: dict[str, Any]
    console: list[str]


def chromium() -> str:
    """Chromium's program; skips the test, loudly, where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip("NOT LOOKED AT: the report was opened in no browser, because Chromium is not installed")


def look(page: Path, folder: Path, width: int, is_dark: bool, views: list[str], wanted: str) -> Seen:
    """Shows the page at a width in a colour scheme, visits views, sorts, and filters by what is wanted."""
    program = chromium()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(page, folder / "report.html")
    harness = folder / "harness.html"
    text = (
        _HARNESS.read_text()
        .replace("WIDTH", str(width))
        .replace("VIEWS", json.dumps(views))
        .replace("FILTER", wanted)
    )
    harness.write_text(text)
    done = subprocess.run(
        [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--allow-file-access-from-files", "--hide-scrollbars", "--enable-logging=stderr",
            f"--blink-settings=preferredColorScheme={0 if is_dark else 1}",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 500)},1000",
            "--virtual-time-budget=60000", "--dump-dom", harness.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )  # fmt: skip
    shutil.rmtree(folder / "profile", ignore_errors=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    shown = done.stdout.partition('<pre id="found">')[2].partition("</pre>")[0]
    assert shown, f"the page did not finish; console: {console}; browser: {done.stderr[-1500:]}"
    unescaped = (
        shown.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u00a0").replace("&amp;", "&")
    )
    return Seen(json.loads(unescaped), console)
