"""Something a person can ask of a node: `share`, `search`, `peers`.  One registry, four faces: the control socket, the
command line, the Python client and (later) HTTP all come from the same declaration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

from .errors import PeerkitError

RequestT = TypeVar("RequestT", bound=BaseModel)


class LocalPath:
    """Marks a path on the owner's machine.  It arrives absolute: the client completes it in the caller's directory, a
    default too (`Path(".")` is the directory that the command was typed in).  Legal only with `reach="owner"` (or a web
    page could make the node read its owner's files)."""


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{str(path)!r} is not an absolute path")
    return path


LocalPathType = Annotated[
    Path, LocalPath(), AfterValidator(_absolute), WithJsonSchema({"type": "string", "format": "local-path"})
]


@dataclass(frozen=True, slots=True)
class Arg:
    """How the command line takes a field of a request: `words: Annotated[tuple[str, ...], Arg(positional=True)]`.

    Attributes:
        positional: taken by place, not by `--name`; a tuple takes all that remain.
        short: a one-letter option such as `-o`.
        metavar: what the usage line calls it, `PATH`.
        help: one line.
    """

    positional: bool = False
    short: str = ""
    metavar: str = ""
    help: str = ""


class Model(BaseModel):
    """Base for requests and answers: frozen, unknown keys forbidden.  What checks them is made when one is first used:
    a node starts with some sixty of them, and most are never asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Nothing(Model):
    """A request without arguments."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table shown to a person.

    Attributes:
        key: the field of the answer's items.
        title: its heading.
        format: how to write the value: `text`, `bytes` (1.5 MiB), `rate` (12 MB/s), `seconds`, `id` (short), `bool`,
            `list`, `time` (of a date in seconds since 1970), `pairs` (key=value).
    """

    key: str
    title: str
    format: Literal["text", "bytes", "rate", "seconds", "id", "bool", "list", "time", "pairs"] = "text"


@dataclass(frozen=True, slots=True)
class View:
    """How a terminal shows an answer.

    Attributes:
        kind: `table` for lists, `fields` for one object, `lines` to print each item as it comes, `none`.
        columns: of a table or the fields, in order.
        details: of a list whose items have more on request: when the last of these is there, each item is shown as
            fields, one after the other.
        empty: the sentence for an empty list.
        done: a sentence after success, with `{field}` places; may be empty.
    """

    kind: Literal["table", "fields", "lines", "none"] = "fields"
    columns: Sequence[Column] = ()
    details: Sequence[Column] = ()
    empty: str = ""
    done: str = ""


class Call(Protocol):
    """The caller's side of one running operation."""

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        """Tell how far we are; shown as a bar.  Cheap: at most 10 a second travel, the last one always."""
        ...

    def item(self, value: BaseModel) -> None:
        """Tell one part of the answer before the end (search hits as they come).  The handler's return value is
        still the whole answer, unless it never ends (`events`).  Dropped when the caller reads too slowly."""
        ...


@dataclass(frozen=True)  # no slots: `Operation[X](…)` could not be made on Python 3.11
class Operation(Generic[RequestT]):
    """One operation.

    Attributes:
        name: dotted words, `share`, `peers.block`; the command line's `peerkit peers block`.
        request: the model of its arguments (`Nothing` for none); docstring and `Arg` annotations make the usage text.
        answer: the model of the answer, or of one item when `many`.
        handler: does it.  It is cancelled when the caller goes away.
        effect: `read` changes nothing; `change` does.  Decides the HTTP verb.
        reach: `owner` only through the control socket; `any` also for authorised remote callers.
        many: the answer is a list; the handler returns a sequence (and may send items before with `Call.item`).
        summary: one line for `--help`.
        view: how a terminal shows the answer.
        one_shot: without a running node the command line starts a short-lived node for it.
        errors: what it raises beyond `UsageError`; for the documentation.
    """

    name: str
    request: type[RequestT]
    answer: type[BaseModel]
    handler: Callable[[RequestT, Call], Awaitable[BaseModel | Sequence[BaseModel]]]
    effect: Literal["read", "change"] = "read"
    reach: Literal["owner", "any"] = "owner"
    many: bool = False
    summary: str = ""
    view: View = field(default_factory=View)
    one_shot: bool = False
    errors: Sequence[type[PeerkitError]] = ()
