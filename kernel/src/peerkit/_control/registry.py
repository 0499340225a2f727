"""The operations of one node, and the catalogue from which command line, clients and HTTP make their faces.

In: operations with their owners.  Out: validated requests, and for each operation an `OperationInfo` that says in JSON
all that a face needs to know, so that no face imports a plugin.
"""

import asyncio
import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from .._runtime.plugin_call import call_plugin_async
from .._runtime.tally import Tally
from ..errors import PluginConflictError, PluginError, PluginLoadError, UsageError
from ..operation import Arg, Call, Column, Model, Operation, RequestT

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
MAX_PROBLEMS = 8  # of one refused request: a list of a million wrong items must not give a million sentences

ParameterType = Literal["text", "int", "float", "flag", "path", "choice", "json"]


class Parameter(Model):
    """One argument as a command line takes it.

    Attributes:
        type: `flag` is a truth value, `choice` one of `choices`, `json` anything that has no plain form.
        many: may be given several times, or takes all remaining words when positional.
        default: as JSON; meaningless when `required`.
    """

    name: str
    type: ParameterType
    many: bool
    required: bool
    default: object = None
    choices: tuple[str, ...] = ()
    positional: bool = False
    short: str = ""
    metavar: str = ""
    help: str = ""


class ColumnInfo(Model):
    key: str
    title: str
    format: str


class ViewInfo(Model):
    kind: str
    columns: tuple[ColumnInfo, ...]
    details: tuple[ColumnInfo, ...]
    empty: str
    done: str


class OperationInfo(Model):
    """One operation, as JSON.  `request` is the schema of its arguments, `parameters` the same for a command line."""

    name: str
    owner: str
    summary: str
    help: str
    effect: Literal["read", "change"]
    reach: Literal["owner", "any"]
    many: bool
    one_shot: bool
    parameters: tuple[Parameter, ...]
    view: ViewInfo
    errors: tuple[str, ...]
    request: dict[str, object]


@dataclass(frozen=True, slots=True)
class Registered:
    """An operation and the plugin (or `kernel`) that brought it."""

    owner: str
    operation: Operation[BaseModel]
    info: OperationInfo


class OperationRegistry:
    """Every operation of one node by name.

    Args:
        tally: of a plugin.
    """

    def __init__(self, tally: Callable[[str], Tally] = Tally) -> None:
        self._operations: dict[str, Registered] = {}
        self._running: dict[str, set[asyncio.Task[object]]] = {}  # by owner
        self._tally = tally

    def add(self, owner: str, operation: Operation[RequestT]) -> None:
        """Take one operation.

        Raises:
            PluginConflictError: the name is taken, or it makes one word both a command with arguments by place and a
                group of commands; the sentence names both owners.
            PluginLoadError: the declaration is wrong.
        """
        name = operation.name
        if (taken := self._operations.get(name)) is not None:
            raise PluginConflictError(f"{owner} and {taken.owner} both offer an operation named {name}")
        info = describe(owner, operation)
        for other in self._operations.values():
            for above, below in ((other.info, info), (info, other.info)):
                if below.name.startswith(f"{above.name}.") and any(p.positional for p in above.parameters):
                    raise PluginConflictError(
                        f"{above.owner} offers {above.name} with arguments by place and {below.owner} offers"
                        f" {below.name}: a word after {above.name} could mean either"
                    )
        self._operations[name] = Registered(owner, cast(Operation[BaseModel], operation), info)

    def get(self, name: str) -> Registered:
        """Raises `UsageError` with the nearest name."""
        if (found := self._operations.get(name)) is not None:
            return found
        near = difflib.get_close_matches(name[:64], self._operations, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"this node has no operation {name[:64]!r}{hint}")

    def parse(self, name: str, args: Mapping[str, object]) -> BaseModel:
        """The request model of operation `name`.  Raises `UsageError` with the path of every wrong field."""
        operation = self.get(name).operation
        try:
            return operation.request.model_validate(dict(args))
        except ValidationError as exc:
            problems = exc.errors(include_url=False, include_context=False, include_input=False)
            sentences = [_sentence(problem["loc"], problem["msg"]) for problem in problems[:MAX_PROBLEMS]]
            if len(problems) > MAX_PROBLEMS:
                sentences.append(f"and {len(problems) - MAX_PROBLEMS} more")
            raise UsageError(f"{name}: " + "; ".join(sentences)) from None

    async def call(self, registered: Registered, request: BaseModel, call: Call) -> BaseModel | Sequence[BaseModel]:
        """Run the operation.

        Raises:
            PeerkitError: of its handler.
            PluginError: it failed, or answered something else than it declares.
        """
        operation, where = registered.operation, f"operation {registered.operation.name}"
        tally = self._tally(registered.owner)
        answer: object = await call_plugin_async(tally, where, operation.handler, request, call)
        if not operation.many and isinstance(answer, BaseModel):
            return answer
        if operation.many and isinstance(answer, list | tuple):
            wrong = next((type(item).__name__ for item in answer if not isinstance(item, BaseModel)), None)
            if wrong is None:
                return answer
            wrong = f"a list with {wrong}"
        else:
            wrong = type(answer).__name__
        wanted = "a list of models" if operation.many else "a model"
        tally.failed(where, f"it answered with {wrong} instead of {wanted}")
        raise PluginError(f"plugin {tally.plugin} failed in {where}: it answered with {wrong} instead of {wanted}")

    @contextmanager
    def running(self, owner: str) -> Iterator[None]:
        """The current task runs an operation of `owner`, and is cancelled when those are removed."""
        task = asyncio.current_task()
        assert task is not None
        tasks = self._running.setdefault(owner, set())
        tasks.add(task)
        try:
            yield
        finally:
            tasks.discard(task)

    def remove(self, owner: str) -> None:
        """Take away all operations of `owner`, and cancel those that run."""
        for name in [name for name, registered in self._operations.items() if registered.owner == owner]:
            del self._operations[name]
        for task in self._running.pop(owner, set()):
            task.cancel()

    def catalogue(self) -> list[OperationInfo]:
        """All operations, by name."""
        return [self._operations[name].info for name in sorted(self._operations)]


def _sentence(location: tuple[int | str, ...], problem: str) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    text = problem.removeprefix("Value error, ")
    return f"{path[:80] or 'arguments'}: {text[:1].lower()}{text[1:200]}"


# A process may hold a thousand nodes with the same operations: a schema takes 2 ms, and all these models 60 KiB a node.


@lru_cache(maxsize=256)
def _arguments(request: type[BaseModel]) -> tuple[dict[str, object], tuple[Parameter, ...]]:
    schema = request.model_json_schema()
    return schema, tuple(_parameters(request, schema))


@lru_cache(maxsize=256)
def _columns(columns: tuple[Column, ...]) -> tuple[ColumnInfo, ...]:
    return tuple(ColumnInfo(key=c.key, title=c.title, format=c.format) for c in columns)


def describe(owner: str, operation: Operation[RequestT]) -> OperationInfo:
    """All about one operation as JSON.  Raises `PluginLoadError` when its declaration is wrong."""
    name = operation.name
    if not _NAME.fullmatch(name):
        raise PluginLoadError([f"{owner}: {name!r} is no operation name; use small letters, digits and dots"])
    schema, parameters = _arguments(operation.request)
    if operation.reach != "owner" and any(parameter.type == "path" for parameter in parameters):
        raise PluginLoadError([f"{owner}: {name} takes a local path, so its reach must be `owner`"])
    open_ended = [p.name for p in parameters if p.positional and (p.many or not p.required)]
    if open_ended and open_ended[0] != [p.name for p in parameters if p.positional][-1]:
        raise PluginLoadError([f"{owner}: {name}: only the last argument by place may be optional or repeated"])
    docs = operation.request.__doc__ or ""
    help_text = "" if operation.request.__name__ == "Nothing" else " ".join(docs.split())
    view = operation.view
    return OperationInfo(
        name=name,
        owner=owner,
        summary=operation.summary,
        help=help_text,
        effect=operation.effect,
        reach=operation.reach,
        many=operation.many,
        one_shot=operation.one_shot,
        parameters=parameters,
        view=ViewInfo(
            kind=view.kind,
            columns=_columns(tuple(view.columns)),
            details=_columns(tuple(view.details)),
            empty=view.empty,
            done=view.done,
        ),
        errors=tuple(error.code for error in operation.errors),
        request=schema,
    )


def _parameters(request: type[BaseModel], schema: Mapping[str, object]) -> list[Parameter]:
    properties = schema.get("properties")
    found: list[Parameter] = []
    for name, field in request.model_fields.items():
        key = field.alias or name
        arg = next((extra for extra in field.metadata if isinstance(extra, Arg)), Arg())
        described = properties.get(key) if isinstance(properties, Mapping) else None
        kind, many, choices = _plain_type(described if isinstance(described, Mapping) else {}, schema)
        default = None if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=True))
        found.append(
            Parameter(
                name=key,
                type=kind,
                many=many,
                required=field.is_required(),
                default=default,
                choices=choices,
                positional=arg.positional,
                short=arg.short,
                metavar=arg.metavar,
                help=arg.help or field.description or "",
            )
        )
    return found


def _plain_type(
    prop: Mapping[str, object], schema: Mapping[str, object]
) -> tuple[ParameterType, bool, tuple[str, ...]]:
    """From JSON schema to a command line's types; `X | None` counts as an X that may be left out."""
    prop = _resolve(prop, schema)
    if isinstance(options := prop.get("anyOf"), list):
        rest = [o for o in options if isinstance(o, Mapping) and o.get("type") != "null"]
        return _plain_type(rest[0], schema) if len(rest) == 1 else ("json", False, ())
    if isinstance(choices := prop.get("enum"), list) and all(isinstance(c, str) for c in choices):
        return "choice", False, tuple(choices)
    match prop.get("type"):
        case "array":
            items = prop.get("items")
            kind, nested, choices = _plain_type(items if isinstance(items, Mapping) else {}, schema)
            return ("json", False, ()) if nested or kind == "json" else (kind, True, choices)
        case "string":
            return ("path" if prop.get("format") == "local-path" else "text"), False, ()
        case "integer":
            return "int", False, ()
        case "number":
            return "float", False, ()
        case "boolean":
            return "flag", False, ()
        case _:
            return "json", False, ()


def _resolve(prop: Mapping[str, object], schema: Mapping[str, object]) -> Mapping[str, object]:
    """Follow one `$ref` into the schema's own definitions."""
    reference = prop.get("$ref")
    definitions = schema.get("$defs")
    if isinstance(reference, str) and isinstance(definitions, Mapping):
        target = definitions.get(reference.rsplit("/", 1)[-1])
        return target if isinstance(target, Mapping) else {}
    return prop
