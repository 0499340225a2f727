"""Small real operations for the tests of the control socket and the command line."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from peerkit._control.kernel_views import CATALOGUE
from peerkit._control.registry import OperationInfo, OperationRegistry
from peerkit.errors import NotFound, TrustDenied
from peerkit.operation import Arg, Call, Column, LocalPathType, Model, Nothing, Operation, View


class Text(Model):
    text: str


class EchoRequest(Model):
    """Say a text again."""

    text: Annotated[str, Arg(positional=True, metavar="TEXT", help="what to say")]
    times: Annotated[int, Field(ge=1, le=5), Arg(short="-n", help="how often")] = 1
    loud: Annotated[bool, Arg(help="in capitals")] = False
    style: Literal["plain", "quoted"] = "plain"


class CountRequest(Model):
    up_to: Annotated[int, Arg(positional=True)]
    pause_s: float = 0.0


class Number(Model):
    number: int
    padding: str = ""


class FilesRequest(Model):
    paths: Annotated[tuple[LocalPathType, ...], Field(min_length=1), Arg(positional=True, metavar="PATH")]
    into: Annotated[LocalPathType, Arg(short="-o", metavar="PATH")] = Path(".")


class FileInfo(Model):
    name: str
    size_bytes: int
    path: str


class Tasks:
    """What the waiting operations did, for the tests to see."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def wait(self, _request: Nothing, _call: Call) -> BaseModel:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Text(text="")


async def echo(request: EchoRequest, _call: Call) -> BaseModel:
    text = " ".join([request.text] * request.times)
    text = text.upper() if request.loud else text
    return Text(text=f"“{text}”" if request.style == "quoted" else text)


async def count(request: CountRequest, call: Call) -> Sequence[BaseModel]:
    numbers = [Number(number=n) for n in range(request.up_to)]
    loop = asyncio.get_running_loop()
    for number in numbers:
        call.progress(number.number + 1, request.up_to, "numbers", "counting")
        call.item(number)
        gone = loop.create_future()
        loop.call_later(request.pause_s, gone.set_result, None)
        await gone
    return numbers


async def many(request: CountRequest, _call: Call) -> Sequence[BaseModel]:
    return [Number(number=n, padding="x" * 1000) for n in range(request.up_to)]


async def files(request: FilesRequest, _call: Call) -> Sequence[BaseModel]:
    paths = (*request.paths, request.into)
    return [FileInfo(name=path.name, size_bytes=len(str(path)), path=str(path)) for path in paths]


async def deny(_request: Nothing, _call: Call) -> BaseModel:
    raise TrustDenied("dialling tcp://192.0.2.1:1", "denylist", "it is on the list")


async def lose(_request: Nothing, _call: Call) -> BaseModel:
    raise NotFound("nobody has it")


async def crash(_request: Nothing, _call: Call) -> BaseModel:
    raise ZeroDivisionError("secret")


async def huge(_request: Nothing, _call: Call) -> BaseModel:
    return Text(text="x" * (2 << 20))


def registry(tasks: Tasks) -> OperationRegistry:
    made = OperationRegistry()
    text = View(kind="lines", columns=[Column("text", "Text")])
    numbers = View(kind="table", columns=[Column("number", "Number")], empty="no numbers")
    table = View(
        kind="table", columns=[Column("name", "Name"), Column("size_bytes", "Size", "bytes")], empty="no files"
    )
    made.add("test", Operation("echo", EchoRequest, Text, echo, summary="Say a text again", view=text))
    made.add("test", Operation("count", CountRequest, Number, count, many=True, summary="Count", view=numbers))
    made.add("test", Operation("many", CountRequest, Number, many, many=True, view=numbers))
    made.add("test", Operation("files", FilesRequest, FileInfo, files, many=True, summary="Look at files", view=table))
    made.add("test", Operation("fail.denied", Nothing, Text, deny, errors=[TrustDenied]))
    made.add("test", Operation("fail.lost", Nothing, Text, lose, errors=[NotFound]))
    made.add("test", Operation("fail.crash", Nothing, Text, crash))
    made.add("test", Operation("fail.huge", Nothing, Text, huge))
    made.add("test", Operation("wait", Nothing, Text, tasks.wait))

    async def catalogue(_request: Nothing, _call: Call) -> Sequence[BaseModel]:
        return made.catalogue()

    made.add("kernel", Operation("operations", Nothing, OperationInfo, catalogue, many=True, view=CATALOGUE))
    return made
