"""One clear sentence for everything that is wrong with a table of settings: path, value, what is allowed, and the
nearest known key.  Pure.

`plugins.transport_tcp.port: 70000 is not in 0..65535`
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

MAX_SHOWN_CHARS = 60
_SECRET = re.compile(r"psk|passphrase|password|secret|token|private_key", re.IGNORECASE)
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_WORDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "path_type": "a path",
    "none_required": "none",
}


def validate(model: type[BaseModel], table: Mapping[str, object], path: str) -> tuple[BaseModel | None, list[str]]:
    """The settings, or `None` and a sentence for every problem.

    Args:
        path: of the table, `plugins.transport_tcp`; begins each sentence.
    """
    try:
        return model.model_validate(dict(table)), []
    except ValidationError as exc:
        return None, sentences(exc, model, path)


def sentences(error: ValidationError, model: type[BaseModel], path: str) -> list[str]:
    """One sentence per error; several of one place (the branches of a union) become one."""
    found: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        where = _where(detail, model, path)
        found.setdefault(where, f"{where}: {_what(detail, model, where)}")
    return list(found.values())


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean port?`, or nothing when no known name is near."""
    close = difflib.get_close_matches(name, sorted(known), 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""


def show(value: object, where: str = "") -> str:
    """A value for a sentence: short, and hidden where it may be a secret."""
    if _SECRET.search(where.rpartition(".")[2]):
        return "the value"
    text = repr(value) if isinstance(value, str) else _toml(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…"


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case str():
            return repr(value)
        case _:
            return str(value)


def _where(detail: ErrorDetails, model: type[BaseModel], path: str) -> str:
    """The path of the error without the names of union branches and validators that pydantic mixes in."""
    parts: list[str] = []
    table: type[BaseModel] | None = model
    for step in detail["loc"]:
        if isinstance(step, int):
            parts[-1:] = [f"{parts[-1] if parts else ''}[{step}]"]
        elif table is not None:
            parts.append(step)
            table = _model_of(table.model_fields[step].annotation) if step in table.model_fields else None
        elif _is_key(step) and detail["type"] not in _WORDS:
            parts.append(step)
    return ".".join([path, *parts])


def _is_key(step: str) -> bool:
    return "[" not in step and step not in ("str", "int", "float", "bool", "none", "tuple", "dict")


def _model_of(annotation: object) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and get_origin(candidate) is None and issubclass(candidate, BaseModel):
            return candidate
    return None


def _what(detail: ErrorDetails, model: type[BaseModel], where: str) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"there is no such setting{nearest(str(detail['loc'][-1]), _siblings(model, detail['loc'][:-1]))}"
    if kind == "missing":
        return "it is required"
    if kind in _BOUNDS:
        return f"{show(value, where)} is not {_range(_field(model, detail['loc']), kind, context)}"
    if kind in ("literal_error", "enum"):
        return f"{show(value, where)} is not {context.get('expected', 'allowed')}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    if kind in _WORDS:
        return f"{show(value, where)} is not {_WORDS[kind]}"
    return f"{show(value, where)}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _siblings(model: type[BaseModel], loc: Sequence[str | int]) -> Iterable[str]:
    table: type[BaseModel] | None = model
    for step in loc:
        if table is None:
            return ()
        if isinstance(step, str) and step in table.model_fields:
            table = _model_of(table.model_fields[step].annotation)
    return table.model_fields if table is not None else ()


def _field(model: type[BaseModel], loc: Sequence[str | int]) -> FieldInfo | None:
    table: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for step in loc:
        if table is not None and isinstance(step, str) and step in table.model_fields:
            field = table.model_fields[step]
            table = _model_of(field.annotation)
    return field


def _range(field: FieldInfo | None, kind: str, context: Mapping[str, object]) -> str:
    """`in 0..65535` when both bounds are known, else the one that was broken."""
    bounds = {name: _bound(field, name) for name in ("ge", "gt", "le", "lt")}
    low, high = bounds["ge"], bounds["le"]
    if low is not None and high is not None:
        return f"in {low}..{high}"
    if bounds["gt"] is not None and high is not None:
        return f"above {bounds['gt']} and at most {high}"
    words = {
        "greater_than": "above",
        "greater_than_equal": "at least",
        "less_than": "below",
        "less_than_equal": "at most",
    }
    return f"{words[kind]} {next(iter(context.values()), '')}"


def _bound(field: FieldInfo | None, name: str) -> object:
    """From the field's own metadata or from an `Annotated` inside its type."""
    todo: list[object] = [*(field.metadata if field else ()), *get_args(field.annotation if field else None)]
    while todo:
        item = todo.pop(0)
        if getattr(item, name, None) is not None and not isinstance(item, type):
            return getattr(item, name)
        if isinstance(item, FieldInfo):
            todo += item.metadata
        else:
            todo += get_args(item)
    return None
