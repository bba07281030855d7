"""`report`: files out of results."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from pgflow_stress.cli.later import NOT_YET
from pgflow_stress.cli.streams import say, write_data
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.exports import EXPORTS, LATER_FORMATS
from pgflow_stress.report.layout import REPORT_FILE

_FORMATS = "; ".join(f"{name}: {export.job}" for name, export in EXPORTS.items())


@click.command()
@click.argument("result", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice([*EXPORTS, *LATER_FORMATS]),
    default="html",
    show_default=True,
    help=f"{_FORMATS}; {', '.join(LATER_FORMATS)}: not available yet.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH|-",
    help=f"Where to; - is standard output. Default: {REPORT_FILE} beside the first RESULT for html, - for other text.",
)
def report(result: tuple[Path, ...], format_: str, output: str | None) -> None:
    """Make files out of each RESULT: a directory, its result.json, an index.json, what --json wrote."""
    if format_ in LATER_FORMATS:
        raise UsageFault(f"--format {format_} {NOT_YET}")
    from pgflow_stress.report.result_file import require_writable, write_atomically  # noqa: PLC0415  --help is quick
    from pgflow_stress.report.saved import load  # noqa: PLC0415

    export, saved = EXPORTS[format_], load(result)
    if output is None:
        output = str(saved[0].folder / REPORT_FILE) if format_ == "html" else "-"
    if output == "-" and export.shape != "text":
        raise UsageFault(f"--format {format_} makes a {export.shape}: give --output PATH")
    module = import_module(export.module)
    if output == "-":
        write_data(module.render(saved))
        return
    path = Path(output)
    if export.shape != "folder":
        require_writable(path)
    if export.shape == "text":
        write_atomically(path, module.render(saved))
    else:
        module.write(saved, path)
    say(f"written: {path}")
