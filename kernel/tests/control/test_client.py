"""Both clients against a real server."""

import asyncio
import itertools
import json
import os
import signal
import socket
import threading
from contextlib import aclosing
from pathlib import Path

import pytest

from kernel.tests.control.nodes import PEER_ID, serving, serving_on_a_thread
from kernel.tests.control.operations import Tasks
from peerkit.client import Client, Progress, SyncClient
from peerkit.errors import EndpointClosed, NodeNotRunning, NotFound, PeerkitError, TrustDenied, UsageError

DEADLINE_S = 100.0


@pytest.mark.parametrize("use_tcp", [False, True])
def test_a_blocking_client_calls(tmp_path: Path, use_tcp: bool) -> None:
    with serving_on_a_thread(tmp_path, use_tcp), SyncClient.connect(tmp_path) as node:
        assert node.peer_id == PEER_ID
        assert node.call("echo", text="hi") == {"text": "hi"}
        assert len(node.call("many", up_to=3000)) == 3000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("op", "kind"), [("fail.denied", TrustDenied), ("fail.lost", NotFound), ("echo", UsageError), ("no", UsageError)]
)
def test_errors_are_raised_as_the_same_class(tmp_path: Path, op: str, kind: type[PeerkitError]) -> None:
    with serving_on_a_thread(tmp_path), SyncClient.connect(tmp_path) as node:
        with pytest.raises(kind):
            node.call(op)
        assert node.call("echo", text="next") == {"text": "next"}


def test_paths_are_made_absolute_where_the_caller_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving_on_a_thread(tmp_path / "d"), SyncClient.connect(Path("d")) as node:
        answer = node.call("files", paths=[Path("a.txt")], into=Path("sub"))
        assert isinstance(answer, list)
        assert [item["path"] for item in answer if isinstance(item, dict)] == [f"{tmp_path}/a.txt", f"{tmp_path}/sub"]


def test_progress_and_items_reach_the_caller(tmp_path: Path) -> None:
    progress: list[Progress] = []
    items: list[object] = []
    with serving_on_a_thread(tmp_path), SyncClient.connect(tmp_path) as node:
        answer = node.call("count", up_to=3, on_progress=progress.append, on_item=items.append)
    assert answer == items
    assert progress[-1] == Progress(3, 3, "numbers", "counting")


def test_a_stream_yields_items_or_else_the_answer(tmp_path: Path) -> None:
    with serving_on_a_thread(tmp_path), SyncClient.connect(tmp_path) as node:
        assert [item["number"] for item in node.stream("count", up_to=3) if isinstance(item, dict)] == [0, 1, 2]
        assert [item["number"] for item in node.stream("many", up_to=3) if isinstance(item, dict)] == [0, 1, 2]
        assert list(node.stream("echo", text="one")) == [{"text": "one"}]


def test_leaving_a_stream_cancels_it(tmp_path: Path) -> None:
    with serving_on_a_thread(tmp_path), SyncClient.connect(tmp_path) as node:
        for _item in itertools.islice(node.stream("count", up_to=1000, pause_s=0.01), 2):
            pass
        assert node.call("echo", text="free") == {"text": "free"}


def test_ctrl_c_cancels_the_call_on_the_node(tmp_path: Path) -> None:
    with serving_on_a_thread(tmp_path) as tasks, SyncClient.connect(tmp_path) as node:

        def interrupt() -> None:
            while not tasks.started.is_set():
                pass
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            node.call("wait")
        assert tasks.cancelled.is_set()


def test_without_a_node_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NodeNotRunning, match="no node is running in"):
        SyncClient.connect(tmp_path)
    (tmp_path / "control.json").write_text(json.dumps({"unix": f"{tmp_path}/gone.sock"}))
    with pytest.raises(NodeNotRunning, match="no node answers at"):
        SyncClient.connect(tmp_path)
    (tmp_path / "control.json").write_text("{")
    with pytest.raises(NodeNotRunning, match="cannot read"):
        SyncClient.connect(tmp_path)


def test_something_else_on_the_socket_is_no_node(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        (tmp_path / "control.json").write_text(json.dumps({"unix": f"{tmp_path}/s"}))

        def answer(line: bytes) -> None:
            accepted, _ = listener.accept()
            accepted.sendall(line)
            accepted.close()

        for line, error in [
            (b"SSH-2.0\n", UsageError),
            (b"", NodeNotRunning),
            (b'{"peerkit": "9", "api": 9, "peer_id": "p"}\n', NodeNotRunning),
        ]:
            thread = threading.Thread(target=answer, args=(line,))
            thread.start()
            with pytest.raises(error):
                SyncClient.connect(tmp_path)
            thread.join()


@pytest.mark.parametrize("use_tcp", [False, True])
def test_calls_of_one_async_client_run_side_by_side(tmp_path: Path, use_tcp: bool) -> None:
    async def main() -> None:
        tasks = Tasks()
        async with asyncio.timeout(DEADLINE_S), serving(tmp_path, tasks, use_tcp), Client(tmp_path) as node:
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(node.call("wait"))
                await tasks.started.wait()
                echoes = [group.create_task(node.call("echo", text=str(n))) for n in range(10)]
                assert [await echo for echo in echoes] == [{"text": str(n)} for n in range(10)]
                waiting.cancel()
            await tasks.cancelled.wait()
            with pytest.raises(NotFound):
                await node.call("fail.lost")

    asyncio.run(main())


def test_an_async_stream_yields_and_is_cancelled_when_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), serving(tmp_path), Client(tmp_path) as node:
            got = []
            async with aclosing(node.stream("count", up_to=100_000, pause_s=0.001)) as numbers:
                async for number in numbers:
                    got.append(number)
                    if len(got) == 3:
                        break
            assert [n["number"] for n in got if isinstance(n, dict)] == [0, 1, 2]
            assert await node.call("echo", text="free") == {"text": "free"}

    asyncio.run(main())


def test_a_node_that_goes_away_ends_every_call(tmp_path: Path) -> None:
    async def main() -> None:
        tasks = Tasks()
        async with asyncio.timeout(DEADLINE_S), serving(tmp_path, tasks) as server, Client(tmp_path) as node:
            waiting = asyncio.gather(node.call("wait"), return_exceptions=True)
            await tasks.started.wait()
            await server.close()
            (error,) = await waiting
            assert isinstance(error, EndpointClosed)
            assert "it is stopping" in str(error)
            with pytest.raises(EndpointClosed):
                await node.call("echo", text="x")

    asyncio.run(main())
