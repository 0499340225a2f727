"""Requests, messages, datagrams and streams between two nodes: answers, errors, deadlines, limits, back-pressure."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from peerkit import Peer, ProtocolSpec, Request, Stream
from peerkit._runtime.handler_budgets import HandlerBudgets
from peerkit._runtime.pool import RuntimePool
from peerkit.errors import DeadlineExceeded, EndpointClosed, LocalProtocolError, NotFound
from peerkit.session import RemoteFailure, Session
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import open_node


def between_two(*protocols: ProtocolSpec) -> Callable[[Callable[[Peer], Awaitable[None]]], None]:
    """Runs `test(peer)` on a node whose peer speaks `protocols`."""

    def start(test: Callable[[Peer], Awaitable[None]]) -> None:
        async def main() -> None:
            net = SimNetwork()
            async with AsyncExitStack() as stack:
                a = await stack.enter_async_context(open_node(net, *protocols))
                b = await stack.enter_async_context(open_node(net, *protocols))
                await test(await a.connect(b.addresses[0]))

        run(main(), seed=1)

    return start


def test_plain_and_async_handlers_answer() -> None:
    async def later(request: Request) -> bytes:
        await asyncio.sleep(1)
        return request.payload.upper()

    async def test(peer: Peer) -> None:
        assert await peer.request("plain", b"abc") == b"cba"
        assert await peer.request("async", b"abc") == b"ABC"
        assert await asyncio.gather(*(peer.request("plain", b"%d" % i) for i in range(500))) == [
            (b"%d" % i)[::-1] for i in range(500)
        ]

    between_two(
        ProtocolSpec("plain", "1", on_request=lambda r: r.payload[::-1]), ProtocolSpec("async", "1", on_request=later)
    )(test)


def test_errors_of_a_handler_reach_the_asker_and_bugs_do_not_leak() -> None:
    def missing(request: Request) -> bytes:
        raise NotFound("no such book")

    def buggy(request: Request) -> bytes:
        raise ZeroDivisionError("secret path /etc/x")

    async def test(peer: Peer) -> None:
        with pytest.raises(RemoteFailure, match="no such book") as failure:
            await peer.request("missing", b"")
        assert failure.value.remote_code == "not_found"
        with pytest.raises(RemoteFailure) as failure:
            await peer.request("buggy", b"")
        assert "secret" not in str(failure.value)
        assert peer.session.is_open

    between_two(ProtocolSpec("missing", "1", on_request=missing), ProtocolSpec("buggy", "1", on_request=buggy))(test)


def test_a_request_without_an_answer_ends_at_its_deadline() -> None:
    async def never(request: Request) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def test(peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        with pytest.raises(DeadlineExceeded):
            await peer.request("never", b"", timeout_s=3)
        assert loop.time() - began_at == pytest.approx(3)
        assert peer.session.stats.streams_open == 0

    between_two(ProtocolSpec("never", "1", on_request=never))(test)


def test_bodies_beyond_the_limit_are_refused_and_the_session_goes_on() -> None:
    async def test(peer: Peer) -> None:
        assert await peer.request("echo", bytes(1000)) == bytes(1000)
        with pytest.raises(RemoteFailure, match="more than 1000 bytes"):
            await peer.request("echo", bytes(1001))
        with pytest.raises(LocalProtocolError, match="was not agreed"):
            await peer.request("other", b"")
        assert await peer.request("echo", b"still here") == b"still here"

    between_two(ProtocolSpec("echo", "1", on_request=lambda r: r.payload, max_request_bytes=1000))(test)


def test_answers_larger_than_every_window_arrive_whole() -> None:
    body = bytes(range(256)) * 40_000  # 10 MiB against a stream window of 1 MiB

    async def test(peer: Peer) -> None:
        assert await peer.request("big", b"") == body

    between_two(ProtocolSpec("big", "1", on_request=lambda r: body))(test)


def test_messages_and_datagrams_arrive() -> None:
    got: list[tuple[str, bytes]] = []

    def take_message(message: Request) -> None:
        got.append(("message", message.payload))

    def take_datagram(session: Session, body: bytes) -> None:
        got.append(("datagram", body))

    async def test(peer: Peer) -> None:
        await peer.send("p", b"one")
        assert peer.session.send_datagram("p", b"two")
        await asyncio.sleep(1)
        assert sorted(got) == [("datagram", b"two"), ("message", b"one")]

    between_two(ProtocolSpec("p", "1", on_message=take_message, on_datagram=take_datagram))(test)


def test_a_writer_waits_for_a_reader_that_does_not_read() -> None:
    gate = asyncio.Event()
    received = bytearray()

    async def slow(stream: Stream) -> None:
        await gate.wait()
        while part := await stream.read():
            received.extend(part)
        await stream.write(b"done")

    async def test(peer: Peer) -> None:
        data = bytes(range(256)) * 16_384  # 4 MiB
        stream = await peer.open_stream("slow")
        writing = asyncio.create_task(stream.write(data))
        await asyncio.sleep(60)
        assert not writing.done()
        # the ping that keeps the member alive is not held up by the full stream
        assert peer.session.is_open
        gate.set()
        await writing
        await stream.finish()
        assert await stream.read() == b"done"
        assert received == data

    between_two(ProtocolSpec("slow", "1", on_stream=slow))(test)


def test_half_close_reset_and_stop() -> None:
    seen: list[object] = []

    async def serve(stream: Stream) -> None:
        try:
            first = await stream.read()
            if first == b"stop":
                stream.stop(0x101)
                await stream.write(b"ok")
                return
            while await stream.read():
                pass
            await stream.write(b"after your end")
        except EndpointClosed as exc:
            seen.append((exc.reason_code, exc.by_peer))

    async def test(peer: Peer) -> None:
        stream = await peer.open_stream("s")
        await stream.write(b"x")
        await stream.finish()
        assert await stream.read() == b"after your end" and await stream.read() == b""
        stream = await peer.open_stream("s")
        await stream.write(b"x")
        stream.reset(0x100)
        await asyncio.sleep(1)
        assert seen == [(0x100, True)]
        stream = await peer.open_stream("s")
        await stream.write(b"stop")
        assert await stream.read() == b"ok"
        with pytest.raises(EndpointClosed):
            await stream.write(bytes(10))

    between_two(ProtocolSpec("s", "1", on_stream=serve))(test)


def test_handlers_of_one_peer_run_in_bounded_number() -> None:
    running, most = 0, 0

    async def count(request: Request) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return b""

    async def test(peer: Peer) -> None:
        await asyncio.gather(*(peer.request("count", b"") for _ in range(40)))
        assert most == 8

    between_two(ProtocolSpec("count", "1", on_request=count, max_concurrent=8))(test)


def test_handlers_of_all_peers_together_run_in_bounded_number() -> None:
    async def hang(_: Request) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def main() -> None:
        net = SimNetwork()
        spec = ProtocolSpec("hang", "1", on_request=hang)
        async with AsyncExitStack() as stack:
            server, first, second = [await stack.enter_async_context(open_node(net, spec)) for _ in range(3)]
            assert isinstance(server.pool, RuntimePool)
            handlers = server.pool.context.handlers = HandlerBudgets(max_handlers=100, max_of_protocol=3)
            one, two = await first.connect(server.addresses[0]), await second.connect(server.addresses[0])
            waiting = [asyncio.ensure_future(one.request("hang", b"")) for _ in range(3)]
            await asyncio.sleep(1)
            with pytest.raises(RemoteFailure, match="protocol hang may hold 3 handlers") as refused:
                await two.request("hang", b"")
            assert refused.value.remote_code == "limit"
            await one.close()
            await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.sleep(1)
            assert handlers.node.used == 0
            with pytest.raises(DeadlineExceeded):
                await two.request("hang", b"", timeout_s=3)

    run(main(), seed=1)


def test_exported_secrets_are_the_same_at_both_ends_only() -> None:
    secrets: list[bytes] = []

    def tell(request: Request) -> bytes:
        return request.session.export(b"label")

    async def test(peer: Peer) -> None:
        secrets.append(await peer.request("tell", b""))
        assert secrets == [peer.session.export(b"label")]
        assert peer.session.export(b"other") != secrets[0]

    between_two(ProtocolSpec("tell", "1", on_request=tell))(test)
