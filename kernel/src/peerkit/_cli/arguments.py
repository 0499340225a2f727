"""Click's parameters from a catalogue entry, and an operation's arguments from what click parsed."""

import json
import os
from typing import Any

import click
from click.core import ParameterSource

from .._control.wire import Json
from .access import Entry

_PREFIX = "arg_"  # an operation's own argument named `json` must not meet the option --json


class _JsonValue(click.ParamType[Json]):
    """For arguments that have no plain form."""

    name = "json"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Json:
        try:
            parsed: Json = json.loads(value)
        except ValueError as exc:
            self.fail(f"{value!r} is not JSON: {exc}", param, ctx)
        return parsed


_TYPES: dict[str, click.ParamType[Any]] = {
    "text": click.STRING,
    "path": click.Path(),
    "int": click.INT,
    "float": click.FLOAT,
    "json": _JsonValue(),
}


def parameters_of(entry: Entry) -> list[click.Parameter]:
    """Arguments by place first, in the order of the request model; then its options."""
    described = [p for p in _list(entry.get("parameters")) if isinstance(p, dict)]
    return [_parameter(p) for p in sorted(described, key=lambda p: not p.get("positional"))]


def _parameter(described: Entry) -> click.Parameter:
    name, kind = str(described["name"]), str(described["type"])
    many, required = bool(described.get("many")), bool(described.get("required"))
    metavar = str(described.get("metavar") or "") or None
    choices = [str(choice) for choice in _list(described.get("choices"))]
    type_ = click.Choice(choices) if kind == "choice" else _TYPES.get(kind, click.STRING)
    if described.get("positional"):
        shown = metavar or name.upper()
        shown = shown + "..." if many else shown
        return click.Argument(
            [_PREFIX + name],
            nargs=-1 if many else 1,
            required=required,
            type=type_,
            metavar=shown if required else f"[{shown}]",
        )
    option = name.replace("_", "-")
    names = [_PREFIX + name, f"--{option}"]
    if short := str(described.get("short") or ""):
        names.append("-" + short.lstrip("-"))
    text = str(described.get("help") or "")
    default = described.get("default")
    if kind == "flag":
        if default is True:
            names[1] = f"--{option}/--no-{option}"
        return click.Option(names, is_flag=True, default=bool(default), help=text)
    if default not in (None, "", []) and kind != "path":
        text = f"{text}  [default: {default}]".strip()
    return click.Option(names, type=type_, multiple=many, required=required, metavar=metavar, help=text)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def arguments_of(entry: Entry, ctx: click.Context) -> dict[str, object]:
    """What was typed, as the operation takes it.  What was not typed is left to the operation's own default, but paths:
    those are completed here, in the directory that the command was typed in."""
    args: dict[str, object] = {}
    for described in _list(entry.get("parameters")):
        if not isinstance(described, dict):
            continue
        name = str(described["name"])
        value = ctx.params.get(_PREFIX + name)
        is_path = described["type"] == "path"
        if ctx.get_parameter_source(_PREFIX + name) in (ParameterSource.DEFAULT, None) or value == ():
            if not is_path or not described.get("default"):
                continue
            value = described["default"]
        args[name] = _absolute(value) if is_path else list(value) if isinstance(value, tuple) else value
    return args


def _absolute(value: object) -> object:
    if isinstance(value, tuple | list):
        return [_absolute(item) for item in value]
    return os.path.abspath(os.fspath(value)) if isinstance(value, str) else value
