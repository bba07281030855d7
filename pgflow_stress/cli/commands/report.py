"""`report`: files out of results."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pgflow_stress.cli.streams import complain, say, write_data
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.exports import DEFAULT_METRIC, EXPORTS, Export
from pgflow_stress.report.layout import REPORT_FILE

if TYPE_CHECKING:  # it brings numpy
    from pgflow_stress.report.saved import Saved

_FORMATS = "; ".join(f"{name}: {export.job}" for name, export in EXPORTS.items())
_INDEX_PAGE = "index.html"


@click.command()
@click.argument("result", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format", "format_", type=click.Choice([*EXPORTS]), default="html", show_default=True, help=f"{_FORMATS}."
)
@click.option(
    "--metric",
    metavar="NAME",
    help="Whose latencies one hgrm or parquet file holds: a phase, one of its metrics, or an operation; of csv, which "
    f"metrics.  [default: {DEFAULT_METRIC}; of csv, all]",
)
@click.option(
    "--index",
    "index",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Instead of a report one page of all results below DIR: list, filter, compare two, trends. Goes to "
    f"DIR/{_INDEX_PAGE} unless --output says otherwise.",
)
@click.option(
    "--merge",
    is_flag=True,
    help="Instead of a report one result of hosts that were run with --host-id and loaded one database together: each "
    "RESULT is a host's directory. Goes to the directory that --output names.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH|DIR/|-",
    help=f"Where to; - is standard output. A directory (DIR/) gets all that hgrm, csv and parquet have. "
    f"Default: {REPORT_FILE} beside the first RESULT for html, - for other text.",
)
@click.pass_context
def report(
    ctx: click.Context,
    /,
    result: tuple[Path, ...],
    format_: str,
    metric: str | None,
    index: Path | None,
    merge: bool,
    output: str | None,
) -> None:
    """Make files out of each RESULT: a directory, its result.json, an index.json, what --json wrote.

    Several results become one page, or one document. A sweep's directory becomes the page of the sweep.
    """
    if merge:
        if index is not None or metric or format_ != "html":
            raise UsageFault("--merge makes a result: it takes no --index, --format or --metric")
        from pgflow_stress.cli.merging import merge_hosts  # noqa: PLC0415  --help is quick

        ctx.exit(merge_hosts(result, output))
    if index is not None:
        if result or metric or format_ != "html":
            raise UsageFault("--index makes a page of a directory: it takes no RESULT, --format or --metric")
        _index(index, output)
        return
    if not result:
        raise UsageFault("report takes a RESULT, or --index DIR")
    if len(result) == 1 and format_ == "html" and metric is None and _sweep(result[0], output):
        return
    _export(result, EXPORTS[format_], format_, metric, output)


def _sweep(path: Path, output: str | None) -> bool:
    """Write the page of a sweep; False where it is none."""
    from pgflow_stress.report.result_file import require_writable, write_atomically  # noqa: PLC0415
    from pgflow_stress.report.sweep_page import page_of, read_sweep  # noqa: PLC0415

    document = read_sweep(path)
    if document is None:
        return False
    page = page_of(path, document)
    if output == "-":
        write_data(page)
        return True
    target = Path(output) if output else (path if path.is_dir() else path.parent) / REPORT_FILE
    require_writable(target)
    write_atomically(target, page)
    say(f"written: {target}")
    return True


def _export(result: tuple[Path, ...], export: Export, name: str, metric: str | None, output: str | None) -> None:
    from pgflow_stress.report.malformed import told_if_malformed  # noqa: PLC0415  --help is quick
    from pgflow_stress.report.saved import load  # noqa: PLC0415

    if metric is not None and not export.metric:
        raise UsageFault(f"--metric is not for --format {name}: it holds all metrics")
    saved = load(result)
    if output is None:
        output = str(saved[0].folder / REPORT_FILE) if name == "html" else "-"
    if output == "-" and export.shape != "text":
        raise UsageFault(f"--format {name} makes a {export.shape}: give --output PATH")
    with told_if_malformed(saved):
        _write(saved, export, metric, output)


def _write(saved: list[Saved], export: Export, metric: str | None, output: str) -> None:
    from pgflow_stress.report.result_file import require_writable, write_atomically  # noqa: PLC0415

    module, path = import_module(export.module), Path(output)
    if export.folder and output != "-" and _is_folder(output):
        if metric is not None:
            raise UsageFault("--metric is for one file, and a directory gets all: give --output FILE")
        module.write_all(saved, path)
        say(f"written: {path}")
        return
    chosen = (metric,) if export.metric else ()
    if output == "-":
        write_data(module.render(saved, *chosen))
        return
    require_writable(path)
    if export.shape == "text":
        write_atomically(path, module.render(saved, *chosen))
    else:
        module.write(saved, path, *chosen)
    say(f"written: {path}")


def _is_folder(output: str) -> bool:
    """A directory that is there, or a name that can only be one."""
    return output.endswith("/") or Path(output).is_dir() or not Path(output).suffix


def _index(directory: Path, output: str | None) -> None:
    from pgflow_stress.report.index_page import INDEX_PAGE, list_results, render_index  # noqa: PLC0415
    from pgflow_stress.report.result_file import require_writable, write_atomically  # noqa: PLC0415

    listing = list_results(directory)
    for name, why in listing.unread:
        complain(f"not read: {name}: {why}")
    if output == "-":
        write_data(render_index(directory, listing))
        return
    path = Path(output) if output is not None else directory / INDEX_PAGE
    require_writable(path)
    write_atomically(path, render_index(directory, listing))
    say(f"written: {path}, {len(listing.results)} results")
