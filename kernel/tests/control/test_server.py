"""The control server over real sockets."""

import asyncio
import contextlib
import json
import os
import select
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from kernel.tests.control.nodes import PEER_ID, serving
from kernel.tests.control.operations import Tasks
from peerkit._control import server as server_module
from peerkit._control.endpoint import Endpoint
from peerkit._control.place import read_place
from peerkit._control.server import MAX_CALLERS, MAX_CALLS
from peerkit._control.wire import MAX_LINE_BYTES
from peerkit.errors import NodeNotRunning, StorageError

Json = dict[str, object]
DEADLINE_S = 100.0


class Caller:
    """A raw connection that speaks lines."""

    all: ClassVar[list["Caller"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.all.append(self)
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, data_dir: Path) -> "Caller":
        place = read_place(data_dir)
        if place.tcp:
            caller = cls(*await asyncio.open_connection(*place.tcp, limit=2 * MAX_LINE_BYTES))
            caller.send({"token": place.token})
        else:
            caller = cls(*await asyncio.open_unix_connection(place.unix, limit=2 * MAX_LINE_BYTES))
        assert (await caller.receive())["peer_id"] == PEER_ID
        return caller

    def send(self, message: Json | bytes) -> None:
        self.writer.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")

    async def receive(self) -> Json:
        line = await self.reader.readline()
        assert line, "the server closed the connection"
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    async def call(self, call_id: int, op: str, **args: object) -> Json:
        self.send({"id": call_id, "op": op, "args": args})
        return await self.receive()


@contextlib.asynccontextmanager
async def closing_callers() -> AsyncIterator[None]:
    try:
        yield
    finally:
        for caller in Caller.all:
            caller.writer.close()
        Caller.all.clear()


Scene = Callable[[Path, Tasks], Awaitable[None]]


def play(data_dir: Path, scene: Scene, use_tcp: bool = False) -> None:
    async def main() -> None:
        tasks = Tasks()
        async with asyncio.timeout(DEADLINE_S), serving(data_dir, tasks, use_tcp), closing_callers():
            await scene(data_dir, tasks)

    asyncio.run(main())


def error_of(reply: Json) -> Json:
    error = reply["error"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize("use_tcp", [False, True])
def test_a_call_is_answered(tmp_path: Path, use_tcp: bool) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        assert await caller.call(1, "echo", text="hi", times=2) == {"id": 1, "result": {"text": "hi hi"}}
        assert await caller.call(2, "count", up_to=0) == {"id": 2, "result": []}

    play(tmp_path, scene, use_tcp)


def test_the_socket_and_its_file_are_for_the_owner_alone(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        assert stat.S_IMODE(os.stat(data_dir / "control.json").st_mode) == 0o600
        assert stat.S_IMODE(os.stat(read_place(data_dir).unix).st_mode) == 0o700 & ~0o077

    play(tmp_path, scene)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long_goes_to_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    data_dir = tmp_path / ("d" * 120)

    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        folder = Path(read_place(data_dir).unix).parent
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        caller = await Caller.open(data_dir)
        assert await caller.call(1, "echo", text="hi") == {"id": 1, "result": {"text": "hi"}}

    play(data_dir, scene)
    assert list(tmp_path.iterdir()) == [data_dir]


def test_what_a_killed_node_left_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    data_dir = tmp_path / ("d" * 120)
    data_dir.mkdir()
    killed = Endpoint(data_dir)
    killed.bind().close()
    left = Path(killed.place.unix).parent

    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        assert not left.exists()
        assert (await (await Caller.open(data_dir)).call(1, "echo", text="hi"))["result"] == {"text": "hi"}

    play(data_dir, scene)


def test_a_folder_that_holds_more_than_a_socket_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "peerkit-documents"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("all my work")
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "control.json").write_text(json.dumps({"unix": str(foreign / "control.sock")}))
    endpoint = Endpoint(data_dir)
    endpoint.bind().close()
    assert (foreign / "thesis.txt").read_text() == "all my work"


def test_a_directory_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open the control socket"):
        Endpoint(tmp_path / "missing").bind()


def test_without_the_token_nothing_is_told(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        place = read_place(data_dir)
        assert place.tcp
        for first in (b'{"token": "guess"}\n', b"POST / HTTP/1.1\r\n\r\n", b"x" * 100_000 + b"\n", b""):
            reader, writer = await asyncio.open_connection(*place.tcp)
            writer.write(first)
            writer.write_eof()
            with contextlib.suppress(ConnectionResetError):  # when it is closed with bytes of ours unread
                assert await reader.read() == b""
            writer.close()

    play(tmp_path, scene, use_tcp=True)


def test_bad_lines_are_answered_and_the_next_call_works(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        for line, call_id, code in [
            (b"hello\n", None, "usage"),
            (b'{"id": 1, "op": "nothing"}\n', 1, "usage"),
            (b'{"id": 2, "op": "echo", "args": {"txt": 1}}\n', 2, "usage"),
            (b'{"id": 3, "op": "echo", "args": {"text": "' + b"x" * MAX_LINE_BYTES + b'"}}\n', None, "limit"),
        ]:
            caller.send(line)
            reply = await caller.receive()
            assert (reply["id"], error_of(reply)["code"]) == (call_id, code)
        assert await caller.call(4, "echo", text="still here") == {"id": 4, "result": {"text": "still here"}}

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("op", "code", "message"),
    [
        ("fail.denied", "denied", "dialling tcp://192.0.2.1:1 was denied by denylist: it is on the list"),
        ("fail.lost", "not_found", "nobody has it"),
        ("fail.huge", "limit", "a line of 2097181 bytes is longer"),
    ],
)
def test_an_error_tells_its_code_and_sentence(tmp_path: Path, op: str, code: str, message: str) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        error = error_of(await (await Caller.open(data_dir)).call(1, op))
        assert error["code"] == code
        assert str(error["message"]).startswith(message)

    play(tmp_path, scene)


def test_a_crash_in_a_plugin_is_an_error_without_its_secrets(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        error = error_of(await caller.call(1, "fail.crash"))
        assert error["code"] == "plugin"
        assert "secret" not in str(error["message"])
        assert (await caller.call(2, "echo", text="alive"))["result"] == {"text": "alive"}

    play(tmp_path, scene)


def test_items_and_progress_come_before_the_answer(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        caller.send({"id": 1, "op": "count", "args": {"up_to": 500}})
        replies = [await caller.receive()]
        while "result" not in replies[-1]:
            replies.append(await caller.receive())
        assert [r["item"] for r in replies if "item" in r] == [{"number": n, "padding": ""} for n in range(500)]
        progress = [r["progress"] for r in replies if "progress" in r]
        assert progress[0] == {"done": 1, "total": 500, "unit": "numbers", "text": "counting"}
        assert progress[-1] == {"done": 500, "total": 500, "unit": "numbers", "text": "counting"}
        assert len(progress) < 100  # ten a second, not one per number

    play(tmp_path, scene)


def test_a_long_list_comes_in_parts(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        caller.send({"id": 1, "op": "many", "args": {"up_to": 5000}})
        got: list[object] = []
        while True:
            reply = await caller.receive()
            piece = reply.get("part") or reply.get("result")
            assert isinstance(piece, list)
            got += piece
            if "result" in reply:
                break
        assert [item["number"] for item in got if isinstance(item, dict)] == list(range(5000))

    play(tmp_path, scene)


def test_a_cancelled_call_stops_its_handler_and_says_so(tmp_path: Path) -> None:
    async def scene(data_dir: Path, tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        caller.send({"id": 1, "op": "wait"})
        await tasks.started.wait()
        caller.send({"id": 1, "cancel": True})
        caller.send({"id": 99, "cancel": True})  # none of ours: nothing to cancel, nothing to say
        assert error_of(await caller.receive())["code"] == "cancelled"
        assert tasks.cancelled.is_set()
        assert (await caller.call(1, "echo", text="again"))["result"] == {"text": "again"}

    play(tmp_path, scene)


def test_a_caller_that_goes_away_cancels_its_calls(tmp_path: Path) -> None:
    async def scene(data_dir: Path, tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        caller.send({"id": 1, "op": "wait"})
        await tasks.started.wait()
        caller.writer.close()
        await tasks.cancelled.wait()

    play(tmp_path, scene)


def test_a_stopping_node_tells_its_callers(tmp_path: Path) -> None:
    async def main() -> None:
        tasks = Tasks()
        async with asyncio.timeout(DEADLINE_S):
            async with serving(tmp_path, tasks) as server, closing_callers():
                caller = await Caller.open(tmp_path)
                caller.send({"id": 1, "op": "wait"})
                await tasks.started.wait()
                await server.close()
                assert error_of(await caller.receive())["code"] == "closed"
                assert await caller.reader.read() == b""
        with pytest.raises(NodeNotRunning):
            read_place(tmp_path)

    asyncio.run(main())


def test_calls_at_once_are_bounded_and_ids_are_unique(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        caller = await Caller.open(data_dir)
        for call_id in range(MAX_CALLS):
            caller.send({"id": call_id, "op": "wait"})
        assert error_of(await caller.call(0, "wait"))["message"] == "a call with the id 0 is still running"
        assert error_of(await caller.call(1000, "echo", text="x"))["code"] == "limit"
        caller.send({"id": 0, "cancel": True})
        assert (await caller.receive())["id"] == 0
        assert (await caller.call(1000, "echo", text="x"))["result"] == {"text": "x"}

    play(tmp_path, scene)


def test_callers_at_once_are_bounded(tmp_path: Path) -> None:
    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        callers = [await Caller.open(data_dir) for _ in range(MAX_CALLERS)]
        reader, writer = await asyncio.open_unix_connection(read_place(data_dir).unix)
        assert json.loads(await reader.readline())["error"]["code"] == "limit"
        assert await reader.read() == b""
        writer.close()
        callers[0].writer.close()
        assert (await callers[1].call(1, "echo", text="x"))["result"] == {"text": "x"}

    play(tmp_path, scene)


def test_a_caller_that_reads_nothing_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SEND_TIMEOUT_S", 0.05)

    async def scene(data_dir: Path, _tasks: Tasks) -> None:
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(read_place(data_dir).unix)
            deaf.sendall(b'{"id": 1, "op": "many", "args": {"up_to": 20000}}\n')
            caller = await Caller.open(data_dir)
            while not await asyncio.to_thread(is_hung_up, deaf):
                assert (await caller.call(1, "echo", text="x"))["result"] == {"text": "x"}

    play(tmp_path, scene)


def is_hung_up(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLHUP)
    return bool(poll.poll(10))
