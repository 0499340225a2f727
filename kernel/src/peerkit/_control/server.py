"""The control server: takes calls from the owner's programs, runs operations, sends what they say.  Asyncio.

One task per caller, one per call.  Bounds: `MAX_CALLERS` connections, `MAX_CALLS` running calls each, 1 MiB lines.  A
caller that reads slowly loses progress and early items first; one that reads nothing for `SEND_TIMEOUT_S` while we have
an answer for it is dropped.  A caller that goes away (end of its stream counts) has its calls cancelled.  What
operations mean is not here: see `registry`; nor where the socket is: `endpoint`.
"""

import asyncio
import hmac
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

from .. import __version__
from ..errors import EndpointClosed, LimitExceeded, PeerkitError, PluginError, UsageError, to_wire
from .endpoint import Endpoint
from .place import HAVE_UNIX_SOCKETS
from .progress import ProgressThrottle
from .registry import OperationRegistry
from .wire import (
    API,
    MAX_LINE_BYTES,
    CallId,
    CallReceived,
    CancelReceived,
    Json,
    LineRefused,
    LineSplitter,
    Progress,
    encode,
    encode_reply,
    parse_request,
    parse_token,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

MAX_CALLERS = 64  # open programs of one owner; bounds file descriptors
MAX_CALLS = 32  # at once per caller; times 1 MiB is what a caller that reads nothing can make us hold
MAX_BACKLOG_BYTES = 1 << 20  # unsent bytes beyond which progress and early items are dropped
SEND_TIMEOUT_S = 60.0  # guess: longer than any pause of a program that is alive
TOKEN_TIMEOUT_S = 5.0  # a TCP caller that says nothing would hold a place
MAX_TOKEN_LINE_BYTES = 1024

Answer = BaseModel | Sequence[BaseModel]
T = TypeVar("T")


class RunBlocking(Protocol):
    """`Platform.run_blocking`."""

    async def __call__(self, fn: Callable[[], T], /) -> T: ...


class ControlServer:
    """The control socket of one node.

    Args:
        registry: the operations; may still grow.
        peer_id: text, told in the hello.
        data_dir: owned and locked by this node.
        run_blocking: `Platform.run_blocking`; the socket and its files are made there.
        use_tcp: loopback TCP although there are Unix sockets.
    """

    def __init__(
        self,
        registry: OperationRegistry,
        peer_id: str,
        data_dir: Path,
        run_blocking: RunBlocking,
        log: "FilteringBoundLogger",
        *,
        use_tcp: bool = not HAVE_UNIX_SOCKETS,
    ) -> None:
        self.registry = registry
        self._run_blocking = run_blocking
        self.log = log
        self.hello = encode({"peerkit": __version__, "api": API, "peer_id": peer_id})
        self.stopping = False
        self._endpoint = Endpoint(data_dir, use_tcp)
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.  Raises `StorageError` when the socket cannot be bound."""
        sock = await self._run_blocking(self._endpoint.bind)
        start = asyncio.start_server if self._endpoint.place.tcp else asyncio.start_unix_server
        self._server = await start(self._serve, sock=sock)

    async def close(self) -> None:
        """Cancel running calls (their callers are told), close, take the files away.  Idempotent."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        await self._run_blocking(self._endpoint.remove)
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            if len(self._callers) > MAX_CALLERS or self.stopping:
                refusal = LimitExceeded(f"this node already serves {MAX_CALLERS} control connections")
                writer.write(encode({"id": None, "error": to_wire(refusal)}))
            elif await self._has_token(reader):
                await _Caller(self, reader, writer).serve()
        except asyncio.CancelledError:
            if not self.stopping:
                raise
        finally:
            self._callers.discard(task)
            writer.close()

    async def _has_token(self, reader: asyncio.StreamReader) -> bool:
        """On TCP anybody on this machine, a web page too, can connect: the first line must hold the token."""
        if self._endpoint.place.tcp is None:
            return True
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT_S):
                line = await reader.readuntil(b"\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # a timeout is an OSError
            return False
        token = parse_token(line if len(line) <= MAX_TOKEN_LINE_BYTES else None)
        return token is not None and hmac.compare_digest(token, self._endpoint.place.token)


class _Caller:
    """One connection."""

    def __init__(self, server: ControlServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.writer = writer
        self._reader = reader
        self._calls: dict[CallId, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        self.writer.write(self.server.hello)
        splitter = LineSplitter()
        async with asyncio.TaskGroup() as group:
            try:
                while data := await self._reader.read(65_536):
                    for line in splitter.receive_data(data):
                        self._receive(line, group)
                    await self.drain()  # a caller that sends without reading is not read from
            except OSError as exc:
                self.server.log.debug("control_caller_lost", error=str(exc))
            finally:
                for task in self._calls.values():
                    task.cancel()

    def _receive(self, line: bytes | None, group: asyncio.TaskGroup) -> None:
        match parse_request(line):
            case CallReceived(call_id, op, args):
                if call_id in self._calls:
                    self.send_error(call_id, UsageError(f"a call with the id {call_id!r} is still running"))
                elif len(self._calls) >= MAX_CALLS:
                    self.send_error(call_id, LimitExceeded(f"{MAX_CALLS} calls are running already on this connection"))
                else:
                    task = group.create_task(self._run(call_id, op, args), name=f"operation {op[:64]}")
                    self._calls[call_id] = task
                    task.add_done_callback(lambda _: self._calls.pop(call_id, None))
            case CancelReceived(call_id):
                if (running := self._calls.get(call_id)) is not None:
                    running.cancel()
            case LineRefused(refused_id, error):
                self.send_error(refused_id, error)

    async def _run(self, call_id: CallId, op: str, args: dict[str, Json]) -> None:
        call = _RunningCall(self, call_id)
        registry = self.server.registry
        try:
            request = registry.parse(op, args)
            registered = registry.get(op)
            with registry.running(registered.owner):
                answer = await registry.call(registered, request, call)
            call.finish()
            await self._send_answer(call_id, answer)
        except PeerkitError as exc:
            call.finish()
            self.send_error(call_id, exc)
        except asyncio.CancelledError:
            call.close()
            if self.server.stopping:
                self.send_error(call_id, EndpointClosed("the node", "it is stopping", by_peer=True))
            else:
                message = f"{op[:64]} was cancelled"
                self.writer.write(encode({"id": call_id, "error": {"code": "cancelled", "message": message}}))
            raise
        except OSError:
            call.close()  # the caller is gone; its reading side ends too

    async def _send_answer(self, call_id: CallId, answer: Answer) -> None:
        if isinstance(answer, BaseModel):
            self.writer.write(encode_reply(call_id, "result", _json(answer)))
            await self.drain()
            return
        pieces: list[bytes] = []
        size = 0
        for item in answer:
            piece = _json(item)
            if pieces and size + len(piece) > MAX_LINE_BYTES // 2:
                self.writer.write(encode_reply(call_id, "part", b"[" + b",".join(pieces) + b"]"))
                await self.drain()
                pieces, size = [], 0
            pieces.append(piece)
            size += len(piece) + 1
        self.writer.write(encode_reply(call_id, "result", b"[" + b",".join(pieces) + b"]"))
        await self.drain()

    def send_error(self, call_id: CallId | None, error: PeerkitError) -> None:
        try:
            line = encode({"id": call_id, "error": to_wire(error)})
        except LimitExceeded:
            line = encode({"id": call_id, "error": {"code": error.code, "message": error.message[:1000]}})
        self.writer.write(line)

    async def drain(self) -> None:
        """Wait until the caller took what we wrote, or drop it."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.writer.drain()
        except TimeoutError:
            self.writer.transport.abort()
            raise ConnectionResetError("the caller does not read") from None

    @property
    def is_behind(self) -> bool:
        return self.writer.transport.get_write_buffer_size() > MAX_BACKLOG_BYTES


class _RunningCall:
    """What a handler sees of its caller; see `operation.Call`."""

    def __init__(self, caller: _Caller, call_id: CallId) -> None:
        self._caller = caller
        self._id = call_id
        self._loop = asyncio.get_running_loop()
        self._throttle = ProgressThrottle()
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = True

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        if not self._is_open:
            return
        now = self._throttle.offer(Progress(done, total, unit, text), self._loop.time())
        if now is not None:
            self._send_progress(now)
        elif self._timer is None and self._throttle.due_at is not None:
            self._timer = self._loop.call_at(self._throttle.due_at, self._flush)

    def item(self, value: BaseModel) -> None:
        if self._is_open and not self._caller.is_behind:
            self._caller.writer.write(encode_reply(self._id, "item", _json(value)))

    def finish(self) -> None:
        """Send the last progress and take no more."""
        self._flush()
        self.close()

    def close(self) -> None:
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()

    def _flush(self) -> None:
        self._timer = None
        if self._is_open and (waiting := self._throttle.take(self._loop.time())) is not None:
            self._send_progress(waiting)

    def _send_progress(self, progress: Progress) -> None:
        if not self._caller.is_behind:
            fields = {"done": progress.done, "total": progress.total, "unit": progress.unit, "text": progress.text}
            self._caller.writer.write(encode_reply(self._id, "progress", _json(fields)))


def _json(value: object) -> bytes:
    """JSON as other programs read it: what is not a number becomes null."""
    try:
        return to_json(value, inf_nan_mode="null", serialize_unknown=True)
    except ValueError as exc:  # text that is not Unicode: a file name in another encoding
        raise PluginError(f"the answer cannot be written as JSON: {exc}") from exc
