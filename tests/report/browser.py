"""Opens a page in headless Chromium and reports what the browser made of it.

The page forbids foreign scripts, so a harness page shows it in a frame of the wanted width, visits its views, and
writes what it finds as JSON into its own text.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_HARNESS = """<!doctype html><meta charset="utf-8"><style>body{margin:0}iframe{border:0;width:WIDTHpx;height:5000px}</style>
<iframe id="page" src="report.html"></iframe><pre id="found"></pre><script>
const frame = document.getElementById("page");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
async function until(test) { for (let i = 0; i < 100 && !test(); i++) await pause(50); return test(); }
frame.onload = async () => {
  const page = frame.contentDocument, found = { title: page.title, views: {} };
  const shown = () => page.querySelector(".view.shown");
  for (const view of VIEWS) {
    frame.contentWindow.location.hash = view;
    await until(() => shown() && shown().id === view);
    const charts = [...shown().querySelectorAll(".chart")];
    await until(() => charts.every((c) => c.dataset.drawn && c.querySelector("svg")));
    found.views[view] = {
      shown: shown().id,
      views_shown: page.querySelectorAll(".view.shown").length,
      charts: charts.length,
      drawn: charts.filter((c) => c.querySelector("svg")).length,
      bars: charts.map((c) => c.querySelectorAll("svg .mark-rect path, svg .mark-symbol path").length),
      texts: charts.map((c) => [...c.querySelectorAll("svg text")].map((t) => t.textContent)),
      width: frame.contentWindow.innerWidth,
      scroll_width: page.documentElement.scrollWidth,
      wider: [...shown().querySelectorAll("*")].filter((e) => !e.closest(".scroll, svg")
        && e.getBoundingClientRect().right > frame.contentWindow.innerWidth + 1).map((e) => e.className || e.tagName),
    };
  }
  frame.contentWindow.location.hash = "overview";
  await until(() => shown().id === "overview");
  const table = page.getElementById("accounts-table");
  const column = (i) => [...table.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.cells[i].dataset.v);
  const headers = [...table.tHead.rows[0].cells];
  const score = headers.findIndex((h) => h.textContent.trim() === "Score");
  const press = () => headers[score].querySelector("button").click();
  press();
  found.sorted_once = column(score).map(Number);
  found.sort_once = headers[score].getAttribute("aria-sort");
  press();
  found.sorted_twice = column(score).map(Number);
  const filter = page.querySelector("[data-filter=accounts-table]");
  filter.value = "FILTER";
  filter.dispatchEvent(new frame.contentWindow.Event("input"));
  found.filtered = column(1);
  found.background = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
  found.ink = frame.contentWindow.getComputedStyle(page.body).color;
  found.focusable = [...page.querySelectorAll("a[href], button, input, summary")].filter((e) => e.tabIndex < 0).length;
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>"""


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
    text = _HARNESS.replace("WIDTH", str(width)).replace("VIEWS", json.dumps(views)).replace("FILTER", wanted)
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
    unescaped = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u00a0").replace("&amp;", "&")
    return Seen(json.loads(unescaped), console)
