"""How the cost of pgflow grows, found by `sweep` and its fits alone, and written into docs/scaling.md.

Each part is one sweep, all versions of --pgflow in the same rounds, in a directory of its own below --output: a part
that was killed or interrupted goes on where it was, one that is done is not measured again. The forecast of each
part's time is printed first; short parts come first. Prints a line of JSON a part and version; ends with 1 where
something that is known of pgflow was not found. --write only writes what is there. A part that is not there keeps what
the page says of it.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _planted import tell
from _scaling_parts import BY_NAME, FLAT, PARTS, Expected, Part
from scipy.special import stdtrit

from pgflow_stress.analysis import formats
from pgflow_stress.analysis.growth import ALIKE
from pgflow_stress.analysis.metrics import describe
from pgflow_stress.analysis.sweeping import cost_of
from pgflow_stress.report.layout import SWEEP_FILE
from pgflow_stress.report.sweep_terminal import curve_words

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- measured: written by scripts/prove scaling -->", "<!-- end of what was measured -->"
ABOUT = "about.json"  # beside a part's directory: how long it took, and whether something else ran beside it
JOURNAL = "sweep.journal"
VERSION = "0.8.1"
_TITLE = "### "


def folder_of(output: Path, part: Part, small: bool) -> Path:
    """Where a part's sweep is."""
    return output / (f"{part.name}-small" if small else part.name)


def command_of(part: Part, versions: Sequence[str], small: bool, repetitions: int) -> list[str]:
    """The sweep as it is typed."""
    sizes = part.small if small else part.sizes
    varied = ["--vary", f"{part.axis}={','.join(map(str, sizes))}", "--vary", f"pgflow={';'.join(versions)}"]
    return ["sweep", *map(str, part.job), *varied, "--repetitions", str(repetitions)]


def is_done(folder: Path) -> bool:
    """Whether a part's sweep is through; one that was interrupted has a sweep.json too."""
    file = folder / SWEEP_FILE
    return file.exists() and json.loads(file.read_text())["outcome"]["exit_code"] == 0


def measure(part: Part, given: argparse.Namespace) -> None:
    """Measure a part, or what is missing of it."""
    folder = folder_of(given.output, part, given.small)
    if is_done(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    typed = command_of(part, given.pgflow or [VERSION], given.small, given.repetitions or part.repetitions)
    resume = ["--resume"] if (folder / JOURNAL).exists() else []
    beside = folder.parent / f"{folder.name}.{ABOUT}"
    about = json.loads(beside.read_text()) if beside.exists() else {"seconds": 0.0, "beside": given.beside}
    about["command"] = " ".join(word if ";" not in word else f"'{word}'" for word in typed)
    about["beside"] = about["beside"] or given.beside
    beside.write_text(json.dumps(about))
    began = time.monotonic()
    command = [sys.executable, "-m", "pgflow_stress.cli.main", *typed, *resume, "--quiet", "--output", str(folder)]
    code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    about["seconds"] += time.monotonic() - began
    beside.write_text(json.dumps(about))
    if code:
        raise SystemExit(f"{part.name} ended with {code}: call this again to go on with it")


def version_of(typed: str) -> str:
    """0.14.1 of a folder that is named pgflow-0.14.1."""
    return Path(typed).name.removeprefix("pgflow-")


def curves_of(part: Part, document: Any) -> Iterator[tuple[str, str, Expected | None, Any]]:
    """(version, metric, what is expected, curve) of what a part tells; where there is none, one without a growth."""
    for version in next(axis["values"] for axis in document["axes"] if axis["name"] == "pgflow"):
        for metric, expected in part.metrics.items():
            wanted = (part.axis, metric, version)
            found = (c for c in document["curves"] if (c["axis"], c["metric"], c["at"].get("pgflow")) == wanted)
            missing = {"growth": None, "reason": "too few cells ended as they should", "sizes": []}
            yield version, metric, expected, next(found, missing)


def is_as_expected(expected: Expected | None, growth: Any) -> bool | None:
    """Whether the fit says what is known; None where nothing is. A cost that falls does not grow: flat, as known."""
    if expected is None:
        return None
    if growth is None or growth["shown"] not in ((FLAT, "falls") if expected.shown == FLAT else (expected.shown,)):
        return False
    alike = {growth["model"], *([growth["runner_up"]] if growth["margin"] < ALIKE else [])}
    return not expected.model or expected.model in alike


def costs_of(part: Part, document: Any, version: str, metric: str) -> dict[int, list[float]]:
    """By size: what each repetition cost, ns."""
    found = {}
    for cell in document["cells"]:
        summary = cell["summary"].get(metric)
        if cell["values"]["pgflow"] == version and summary and not cell["codes"]:
            values = [cost_of(metric, value) for value in summary["values"] if value is not None]
            if values:
                found[int(cell["values"][part.axis])] = values
    return dict(sorted(found.items()))


def is_each(part: Part, metric: str) -> bool:
    """Whether a cost is shared by as many as the size says: a start is, a task is not."""
    return bool(part.each) and metric.startswith("start.")


def step_at(part: Part, metric: str, costs: dict[int, list[float]]) -> tuple[float, float, float] | None:
    """By which factor what one takes changes between the two sizes of a bend, and its 95 % interval; by rounds."""
    if part.bend is None or not all(size in costs for size in part.bend):
        return None
    before, after = (np.log(costs[size]) - (math.log(size) if is_each(part, metric) else 0) for size in part.bend)
    rounds = min(len(before), len(after))
    if rounds < 2:
        return None
    ratios = after[:rounds] - before[:rounds]
    half = float(stdtrit(rounds - 1, 0.975)) * float(ratios.std(ddof=1)) / math.sqrt(rounds)
    middle = float(ratios.mean())
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def report(part: Part, document: Any) -> bool:
    """A line a version and metric; whether all that is known was found."""
    good = True
    for version, metric, expected, curve in curves_of(part, document):
        held = is_as_expected(expected, curve["growth"])
        good = good and held is not False
        step = step_at(part, metric, costs_of(part, document, version, metric))
        tell(
            part=part.name, pgflow=version_of(version), metric=metric, sizes=curve["sizes"],
            found=curve_words(curve) if curve["growth"] else curve["reason"],
            expected=expected and f"{expected.shown} {expected.model}".strip(), held=held,
            **({f"from_{part.bend[0]}_to_{part.bend[1]}": step} if step and part.bend else {}),
        )  # fmt: skip
    return good


def page_of(output: Path, before: str) -> str:
    """What was measured, part by part; of a part whose sweep is not below `output`, what the page said `before`."""
    kept = {text.partition("\n")[0]: f"{_TITLE}{text.strip()}\n" for text in before.split(_TITLE)[1:]}
    parts = (_measured(output, part) or kept.get(part.title) for part in PARTS)
    return "\n".join(filter(None, parts)) or "Nothing was measured yet.\n"


def _measured(output: Path, part: Part) -> str | None:
    """A part's section; None where it was not swept, not even at small sizes."""
    for small in (False, True):
        folder = folder_of(output, part, small)
        if is_done(folder):
            document = json.loads((folder / SWEEP_FILE).read_text())
            about = json.loads((folder.parent / f"{folder.name}.{ABOUT}").read_text())
            return _section(part, document, about, small)
    return None


def _section(part: Part, document: Any, about: Any, small: bool) -> str:
    versions = next(axis["values"] for axis in document["axes"] if axis["name"] == "pgflow")
    columns = [(version, metric) for metric in part.metrics for version in versions]
    costs = {column: costs_of(part, document, *column) for column in columns}
    sizes = sorted({size for one in costs.values() for size in one})
    words = [f"{version_of(version)}: {_cost_name(metric)}" for version, metric in columns]
    lines = [
        f"{_TITLE}{part.title}",
        "",
        f"{'Tried at small sizes. ' if small else ''}{document['repetitions']} repetitions a cell, "
        f"{about['seconds'] / 60:.1f} min{', beside other work: no figures to go by' if about['beside'] else ''}.",
        "",
        f"    pgflow-stress {_without_paths(about['command'])}",
        "",
        f"| {part.axis} | {' | '.join(words)} |",
        f"|---|{'---|' * len(words)}",
        *(_row(part, size, {column: costs[column].get(size, []) for column in columns}) for size in sizes),
        "",
    ]
    for version, metric, expected, curve in curves_of(part, document):
        held = is_as_expected(expected, curve["growth"])
        known = "" if held is None else (" As known." if held else f" Known otherwise: {expected and expected.shown}.")
        step = step_at(part, metric, costs[version, metric])
        bend = f" From {part.bend[0]} to {part.bend[1]}: × {_factor(step)}." if step and part.bend else ""
        said = curve_words({**curve, "at": {}}) if curve["growth"] else f"no fit: {curve['reason']}"
        lines.append(f"- {version_of(version)}: {said}.{known}{bend}")
    return "\n".join([*lines, ""])


def _row(part: Part, size: int, costs: dict[tuple[str, str], list[float]]) -> str:
    figures = [_figure(part, found, size, metric) for (_, metric), found in costs.items()]
    return f"| {size:,} | {' | '.join(figures)} |"


def _factor(step: tuple[float, float, float]) -> str:
    return f"{step[0]:.3g} [{step[1]:.3g}, {step[2]:.3g}]"


def _cost_name(metric: str) -> str:
    info = describe(metric)
    return f"cost of {metric.removesuffix('.per_second')}" if info.kind == "rate" else metric


def _without_paths(command: str) -> str:
    return " ".join(_shortened(word) for word in command.split())


def _shortened(word: str) -> str:
    name, equals, values = word.strip("'").partition("=")
    if name != "pgflow" or not equals:
        return word
    return f"'pgflow={';'.join(Path(value).name for value in values.split(';'))}'"


def _figure(part: Part, costs: list[float], size: int, metric: str) -> str:
    if not costs:
        return formats.ABSENT
    mean = sum(costs) / len(costs)
    spread = float(np.std(costs, ddof=1)) if len(costs) > 1 else 0.0
    half = float(stdtrit(len(costs) - 1, 0.975)) * spread / math.sqrt(len(costs)) if len(costs) > 1 else 0.0
    each = f" ({formats.duration_ns(mean / size)} {part.each})" if is_each(part, metric) else ""
    return f"{formats.duration_ns(mean)} ± {formats.share(half / mean)}{each}"


def write(output: Path) -> None:
    """Put what was measured into the page, between its marks."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    measured, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page_of(output, measured)}\n{END}{after}")


def main() -> int:
    """Measure the parts that are asked for; 1 where something known was not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"[all]: {', '.join(BY_NAME)}")
    parser.add_argument(
        "--pgflow", action="append", default=[], metavar="VERSION|DIR", help=f"may be repeated [{VERSION}]"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "scaling", help="[build/scaling]")
    parser.add_argument("--repetitions", type=int, help="of each cell [the part's]")
    parser.add_argument("--small", action="store_true", help="at small sizes: whether it works")
    parser.add_argument("--beside", action="store_true", help="something else runs beside it: the page says so")
    parser.add_argument("--list", action="store_true", help="the parts and their forecasts, and nothing else")
    parser.add_argument("--write", action="store_true", help="only write docs/scaling.md of what is there")
    given = parser.parse_args()
    if unknown := [name for name in given.parts if name not in BY_NAME]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    if given.write:
        write(given.output)
        return 0
    chosen = [BY_NAME[name] for name in BY_NAME if name in (given.parts or BY_NAME)]
    versions = len(given.pgflow) or 1
    for part in chosen:
        seconds = versions * part.seconds(
            part.small if given.small else part.sizes, given.repetitions or part.repetitions
        )
        tell(part=part.name, title=part.title, forecast_minutes=round(seconds / 60, 1))
    if given.list:
        return 0
    good = []
    for part in chosen:
        measure(part, given)
        good.append(report(part, json.loads((folder_of(given.output, part, given.small) / SWEEP_FILE).read_text())))
        write(given.output)
    tell(proof="scaling", parts=len(chosen), held=all(good))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
