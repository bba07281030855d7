"""Makes docs/reference out of the code: every command and option by click, every field by the schema, every registry.

scripts/reference           writes the files
scripts/reference --check   says which are not what the code says, with exit code 1
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from pgflow_stress.analysis.evidence import Limits
from pgflow_stress.analysis.metrics import METRICS
from pgflow_stress.analysis.verdict import RULES
from pgflow_stress.cli.app import VARIABLES, app, load_command
from pgflow_stress.cli.commands import COMMANDS
from pgflow_stress.cli.config import outside_name
from pgflow_stress.cli.run_options import run_parameters
from pgflow_stress.cli.streams import PROGRAM
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.report.words import CODE_WORDS
from pgflow_stress.scenario.presets import PRESETS
from pgflow_stress.scenario.shapes import SHAPES

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
SCHEMA = ROOT / "pgflow_stress" / "report" / "result.schema.json"
_MADE = "<!-- Made by scripts/reference; a change here is lost. -->\n"
_SHARED = "run"  # whose options other commands have too: told once


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    made = {f"{name}.md": _command_page(name) for name in COMMANDS}
    made["result.md"] = _result_page()
    made["metrics.md"] = _metrics_page()
    made["validity.md"] = _validity_page()
    made["scenarios-list.md"] = _scenarios_page()
    made["README.md"] = _index(made)
    return made


def _page(title: str, *parts: str) -> str:
    return "\n".join([_MADE, f"# {title}\n", *(part.rstrip() + "\n" for part in parts if part.strip())])


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(columns), "|".join("---" for _ in columns)]
    lines += [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


# Commands and options.


def _command_page(name: str) -> str:
    command = load_command(name)
    parts = list(_described(command, (name,)))
    if isinstance(command, click.Group):
        for inner_name, inner in command.commands.items():
            parts += [f"## {inner_name}", *_described(inner, (name, inner_name))]
    return _page(f"{PROGRAM} {name}", *parts)


def _described(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(command, info_name=" ".join((PROGRAM, *path)))
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"    {context.info_name} {usage}"
    yield _paragraphs(command.help or "")
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    shared = set() if path == (_SHARED,) else {_identity(one) for one in run_parameters()}
    own = [one for one in options if _identity(one) not in shared]
    if own:
        yield _table(("option", "what it says", "default", "variable"), [_option_row(one, path) for one in own])
    if len(own) < len(options):
        common = ", ".join(_code(_long(one)) for one in options if _identity(one) in shared)
        yield f"As [`{_SHARED}`]({_SHARED}.md) has them, with `{_variable(path, 'OPTION')}`: {common}."


def _identity(option: click.Option) -> tuple[object, ...]:
    return (option.name, tuple(option.opts), option.help)


def _option_row(option: click.Option, path: tuple[str, ...]) -> tuple[str, ...]:
    names = ", ".join(_code(name) for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {_code(option.make_metavar(click.Context(click.Command('x'))))}"
    text, default = _split_default(option.help or "")
    if not default and option.show_default and not callable(option.default):
        default = str(option.default)
    many = "; may be given often" if option.multiple else ""
    return f"{names}{value}", f"{text.rstrip('.')}{many}.", default, _code(_variable(path, outside_name(option)))


def _split_default(text: str) -> tuple[str, str]:
    """The help without its own words on the default, and those."""
    head, mark, tail = " ".join(text.split()).partition("[default:")
    return (head.strip(), tail.strip().removesuffix("]").strip()) if mark else (head.strip(), "")


def _variable(path: tuple[str, ...], name: str) -> str:
    return "_".join((VARIABLES, *path, name)).replace("-", "_").upper()


def _long(option: click.Option) -> str:
    return max(option.opts, key=len)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.replace("\b", "").split("\n\n"))


# The result.


def _result_page() -> str:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    parts = [f"Schema: `docs/result.schema.json`. {schema['description']}"]
    parts += [
        "`[]`: each of a list; `*`: any key. *Optional* fields may be absent. A name of a shape (*latency*) is below."
    ]
    parts += [_fields(schema)]
    for name, shape in schema["$defs"].items():
        parts += [f"## {name}", _sentence(shape.get("description", "")), _fields(shape)]
    return _page("Fields of result.json", *parts)


def _fields(schema: dict[str, Any]) -> str:
    return _table(("field", "type", "meaning"), [*_walk(schema, "")])


def _walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for shape in _shapes(schema):
        required = set(shape.get("required", ()))
        for key, field in shape.get("properties", {}).items():
            yield from _field(field, f"{path}.{key}" if path else key, optional=key not in required)
        if isinstance(shape.get("additionalProperties"), dict):
            yield from _field(shape["additionalProperties"], f"{path}.*" if path else "*", optional=False)
        if isinstance(shape.get("items"), dict) and _has_fields(shape["items"]):
            yield from _walk(shape["items"], f"{path}[]")


def _field(field: Any, path: str, *, optional: bool) -> Iterator[tuple[str, str, str]]:
    about = field if isinstance(field, dict) else {}
    kind = _kind(field) + (", optional" if optional else "")
    if not path.endswith("*") or not _has_fields(about) or about.get("description"):
        yield _code(path), kind, _sentence(about.get("description", ""))
    yield from _walk(about, path)


def _shapes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The object that it may be; of one that may have several forms the fullest."""
    forms = [form for key in ("oneOf", "anyOf") for form in schema.get(key, ())]
    return [max([schema, *forms], key=lambda form: len(form.get("properties", ())))]


def _has_fields(schema: Any) -> bool:
    return isinstance(schema, dict) and any(
        form.get("properties") or isinstance(form.get("additionalProperties"), dict) for form in _shapes(schema)
    )


def _kind(field: Any) -> str:
    if not isinstance(field, dict) or not field:
        return "any"
    if "$ref" in field:
        return f"*{field['$ref'].rpartition('/')[2]}*"
    if "const" in field:
        return _code(json.dumps(field["const"]))
    if "enum" in field:
        return " or ".join(_code(json.dumps(value)) for value in field["enum"])
    forms = [form for key in ("oneOf", "anyOf") for form in field.get(key, ())]
    if forms:
        return " or ".join(dict.fromkeys(map(_kind, forms)))
    kinds = field.get("type", "any")
    named = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    items = field.get("items")
    return f"{named} of {_kind(items)}" if named == "array" and items and not _has_fields(items) else named


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")


# Registries.


def _metrics_page() -> str:
    rows = [
        (_code(one.name), one.unit or "-", one.better or "neither", _sentence(one.description))
        for one in METRICS.values()
    ]
    told = (
        "Metrics of `summary`, of `--threshold`, of `--fail-on` and of `sweep --metric`. Whatever number a probe adds "
        "to `client` or `server` is a metric as well, under its path."
    )
    return _page("Metrics", told, _table(("metric", "unit", "better", "meaning"), rows))


def _validity_page() -> str:
    rules = [(_code(rule.__name__), " ".join((rule.__doc__ or "").split())) for rule in RULES]
    limits = [(_code(field.name), f"{field.default:g}") for field in fields(Limits)]
    return _page(
        "Validity rules",
        "What a measurement is held against. `docs/statistics.md` says why; `--limit NAME=VALUE` changes a number.",
        _table(("rule", "what it asks for"), rules),
        "## Limits",
        _table(("limit", "number"), limits),
    )


def _scenarios_page() -> str:
    parts = [f"`{PROGRAM} scenarios describe NAME` says the same."]
    for name, shape in SHAPES.items():
        parts += [f"## {name}", f"{shape.summary} {shape.explains}"]
        if shape.parameters:
            rows = [(_code(f"--{one.name}"), one.kind, str(one.default), one.help) for one in shape.parameters]
            parts += [_table(("parameter", "kind", "default", "meaning"), rows)]
    parts += [
        "## Presets",
        _table(("name", "scenario", "what it is"), [_preset_row(*item) for item in PRESETS.items()]),
    ]
    codes = [(str(int(code)), CODE_WORDS[code]) for code in ExitCode]
    parts += ["## Exit codes", _table(("code", "meaning"), codes)]
    return _page("Scenarios", *parts)


def _preset_row(name: str, preset: Any) -> tuple[str, ...]:
    return _code(name), _code(preset.scenario), preset.summary


def _index(made: dict[str, str]) -> str:
    context = click.Context(app)
    commands = [
        (f"[`{name}`]({name}.md)", app.get_command(context, name).get_short_help_str(200))  # type: ignore[union-attr]
        for name in COMMANDS
    ]
    others = [(f"[{page}]({page})", text.split("# ", 1)[1].split("\n")[0]) for page, text in made.items()]
    others = [row for row in others if row[0][1:].partition(".md")[0] not in COMMANDS]
    told = (
        "Every option also reads its variable, and its name in a TOML table a command (`--config FILE`). The command "
        f"line beats the environment, which beats the file. `{PROGRAM} COMMAND --help` says the same."
    )
    return _page("Reference", told, _table(("command", "job"), commands), _table(("page", "what is on it"), others))


def stale() -> list[str]:
    """Names of pages that are not what the code says, that are missing, or that nothing makes."""
    made = pages()
    there = {path.name for path in FOLDER.glob("*")}
    changed = [name for name in made if name in there and (FOLDER / name).read_text(encoding="utf-8") != made[name]]
    return sorted({*changed, *(made.keys() ^ there)})


def main() -> None:
    """Write them, or check them."""
    if "--check" in sys.argv[1:]:
        left = stale()
        for name in left:
            print(
                f"{FOLDER.relative_to(ROOT) / name} is not what the code says: type scripts/reference", file=sys.stderr
            )
        sys.exit(1 if left else 0)
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    main()
