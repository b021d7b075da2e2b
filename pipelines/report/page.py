"""The report: one HTML page that needs nothing but itself.

Scripts, styles and charts are inlined, and a content security policy with the hash of each script forbids
everything else, the network included. Text from the log is made inert (`inert.terminal`) and escaped by the
template engine.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import vl_convert
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pipelines.errors import ScarecrowError
from pipelines.mart.open import Mart
from pipelines.mart.words import family_name, instant, link_name, probability, times, wording
from pipelines.report.charts import specs
from pipelines.report.data import MEMBERS, ReportData, gather
from pipelines.report.inert import terminal


def write_report(mart: Mart, out: Path, top: int = 50) -> ReportData:
    """Writes the page, whole or not at all, and returns what it shows.

    top: accounts with a page of their own. Raises ScarecrowError when the file cannot be written.
    """
    data = gather(mart, top)
    page = render(data).encode()
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        draft.write_bytes(page)
        draft.replace(out)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ScarecrowError(
            f"The report {out} cannot be written ({error.strerror}); name another --out."
        ) from error
    return data


def render(data: ReportData) -> str:
    """The page as text."""
    library = _library()
    script = _asset("report.js")
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_filters())
    return environment.get_template("report.html.j2").render(
        data=data,
        members_shown=MEMBERS,
        style=Markup(_asset("report.css")),  # noqa: S704 (files of this package, no data)
        library=Markup(library),  # noqa: S704
        script=Markup(script),  # noqa: S704
        hashes=[_hash(library), _hash(script)],
        charts=_json({"specs": specs(), "charts": data.charts}),
    )


def _filters() -> dict[str, Callable[..., object]]:
    return {
        "id": lambda text: Markup("<bdi class=id>{}</bdi>").format(terminal(text)),
        "inert": terminal,
        "count": lambda n: f"{n:,}",
        "short": _short,
        "instant": instant,
        "day": lambda at: f"{at.day} {at:%b %Y}" if isinstance(at, datetime) else "",
        "period": _period,
        "family": family_name,
        "evidence": lambda name: wording(name).says,
        "link": link_name,
        "probability": probability,
        "times": times,
        "words": lambda text: text.replace("_", " "),
        "share": lambda part, whole: f"{part / whole:.1%}".replace("%", " %") if whole else "none",
    }


def _period(first: datetime, last: datetime) -> str:
    start = f"{first.day} {first:%b}" if first.year == last.year else f"{first.day} {first:%b %Y}"
    return f"{start} to {last.day} {last:%b %Y}"


def _short(n: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if n >= size:
            return f"{n / (1e3 if unit == 'k' else size):.3g} {unit}"
    return f"{n:,.0f}"


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script. Bundling takes a second."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _asset(name: str) -> str:
    return files("pipelines.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _json(value: object) -> Markup:
    # ASCII, and no `<`: nothing in a string can end the script element.
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    inert = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(inert)  # noqa: S704 (no character of markup is left)
