"""One HTML file that needs nothing else: style, script, figures and plotly.js inside, and nothing fetched.

plotly.js is 4.8 MB and packs to a third; it is unpacked by the browser after the text is shown. What may run is named
by its hash in the page's own security policy, so that a text that slipped through the escaping is still only text.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources, util
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pgflow_stress.core.errors import RunFailed
from pgflow_stress.core.result import Json
from pgflow_stress.report.plots import Plot
from pgflow_stress.report.printable import printable

_PACKAGE = "pgflow_stress.report"
_PLOTLY = ("package_data", "plotly.min.js")


def render_page(template: str, title: str, figures: Mapping[str, Plot], script: str = "page.js", **values: Any) -> str:
    """A page out of a template that extends base.html.

    Args:
        template: below templates/.
        title: of the page.
        figures: plots by the id of the element that each is drawn in; without any plotly.js is left out.
        script: below assets/: what runs beside the common one.
        values: what the template shows; `data`, if there is one, is handed to the script as JSON.
    Raises:
        RunFailed: plotly's files are not where its package has them.
    """
    scripts = [_asset("common.js"), _asset(script)]
    if figures:
        scripts.insert(1, _asset("plots.js"))
    runs = ["\n".join(scripts), *([_plotly()[0]] if figures else [])]
    data = values.pop("data", None)
    return _environment().get_template(template).render(
        title=title,
        policy=_policy(runs),
        style=Markup(_asset("page.css")),
        script=Markup(runs[0]),
        plotly=Markup(_plotly()[1]) if figures else None,
        figures=script_json({place: plot.figure for place, plot in figures.items()}),
        data=None if data is None else script_json(data),
        **values,
    )  # fmt: skip


def script_json(value: Any) -> Markup:
    """JSON that may stand in a <script>: nothing in it ends the element, and it is ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True, default=_plain)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def placed(prefix: str, plots: Iterable[Plot]) -> Json:
    """Plots by their ids in the page."""
    return {f"{prefix}-{plot.name}": plot for plot in plots}


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.tests["marked"] = lambda cell: hasattr(cell, "mark")
    environment.tests["folded"] = lambda cell: hasattr(cell, "whole")
    return environment


def _finalize(value: Any) -> Any:
    """What a template writes out: text of others without its control characters; our own markup as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(scripts: Iterable[str]) -> str:
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}"


def _asset(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _plotly() -> tuple[str, str]:
    """(plotly.js, the same packed and in base64). Found without importing plotly, which takes its time."""
    found = util.find_spec("plotly")
    try:
        folder = Path((found.submodule_search_locations or [""])[0]) if found else Path()
        code = folder.joinpath(*_PLOTLY).read_bytes()
    except OSError as error:
        raise RunFailed(f"plotly.js cannot be read: {error.strerror or error}") from None
    return code.decode(), base64.b64encode(gzip.compress(code, 6, mtime=0)).decode()
