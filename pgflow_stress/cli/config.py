"""`--config FILE`: a TOML table a command, with the same names as its options; below the environment in precedence."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from pgflow_stress.cli.commands import COMMANDS
from pgflow_stress.cli.sources import note_source
from pgflow_stress.core.errors import UsageFault

CONFIG = "config"


def outside_name(parameter: click.Parameter) -> str:
    """What a parameter is called in files and variables: its long form with `_`, whatever the function calls it."""
    long_forms = [opt for opt in parameter.opts if opt.startswith("--")]
    return (max(long_forms, key=len)[2:] if long_forms else parameter.name).replace("-", "_")


def add_config_option(command: click.Command) -> None:
    """Give a command `--config`; a group's commands each their own, its table being `[group.command]`."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_config_option(inner)
        return
    if any(parameter.name == CONFIG for parameter in command.params):
        return
    command.params.append(
        click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            is_eager=True,  # it says what the others' defaults are
            expose_value=False,
            callback=_use,
            help="TOML file with the names of these options in a table a command.",
        )
    )


def _use(ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None or ctx.resilient_parsing:
        return
    ctx.default_map = {**(ctx.default_map or {}), **read_defaults(ctx, path)}


def read_defaults(ctx: click.Context, path: Path) -> dict[str, Any]:
    """The file's values for this command, by parameter name, as text that is parsed like typed text.

    Raises:
        UsageFault: the file cannot be read, is not TOML, or holds a key or type that the command does not know.
    """
    table = _table(_load(path), ctx, path)
    where = f"{path}, [{'.'.join(_keys(ctx))}]"
    parameters = {outside_name(p): p for p in ctx.command.params if p.name not in (CONFIG, "help")}
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in parameters:
            raise UsageFault(f"{where}: unknown key {key!r}")
        parameter = parameters[name]
        if parameter.name in defaults:
            raise UsageFault(f"{where}: {key!r} is there twice, once with - and once with _")
        defaults[parameter.name] = _as_typed(parameter, value, f"{where} {key}")
        note_source(ctx, parameter.name, f"{where} {key}")
    return defaults


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UsageFault(f"--config {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageFault(f"--config {path}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageFault(f"--config {path}: {error}") from None


def _keys(ctx: click.Context) -> list[str]:
    """The table's path: the names of the command and of the groups it is in, without the program's own."""
    names: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        names.insert(0, str(at.info_name))
        at = at.parent
    return names or [str(ctx.command.name)]


def _table(document: dict[str, Any], ctx: click.Context, path: Path) -> dict[str, Any]:
    known = {name.replace("-", "_") for name in COMMANDS}
    for key, value in document.items():
        if key.replace("-", "_") not in known:
            what = "table" if isinstance(value, dict) else "key"
            raise UsageFault(f"{path}: unknown {what} {key!r}; there is a table a command: {', '.join(COMMANDS)}")
    table: Any = document
    for name in _keys(ctx):
        table = table.get(name, table.get(name.replace("-", "_"), {}))
        if not isinstance(table, dict):
            raise UsageFault(f"{path}: {name} must be a table, [{name}]")
    return dict(table)


def _as_typed(parameter: click.Parameter, value: Any, where: str) -> Any:
    if isinstance(value, list):
        if not (parameter.multiple or parameter.nargs != 1):
            raise UsageFault(f"{where}: one value, not a list")
        return [_scalar(parameter, item, where) for item in value]
    if parameter.multiple or parameter.nargs != 1:
        return [_scalar(parameter, value, where)]
    return _scalar(parameter, value, where)


def _scalar(parameter: click.Parameter, value: Any, where: str) -> str:
    number = isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)
    flag = isinstance(parameter.type, click.types.BoolParamType)
    if isinstance(value, bool):
        if not flag:
            raise UsageFault(f"{where}: true and false are for switches only")
    elif flag:
        raise UsageFault(f"{where}: give true or false")
    elif isinstance(value, str):
        if number:
            raise UsageFault(f"{where}: give a number, without quotes")
    elif not isinstance(value, int | float):
        raise UsageFault(f"{where}: a {type(value).__name__} is no value of an option")
    return str(value)
