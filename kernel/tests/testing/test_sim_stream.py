"""Simulated streams: order, latency, back-pressure, every way to end, and trouble on the wire."""

import asyncio
import random
from dataclasses import replace

import pytest

from peerkit.errors import ConnectFailed
from peerkit.network import ServerTls
from peerkit.testing import SimNetwork, run
from peerkit.testing.sim_stream import HIGH_WATER_BYTES

from .streams import Recorder, Server, dial


async def _connected(net: SimNetwork) -> tuple[Recorder, Recorder]:
    """(client, server) on hosts 10.0.0.1 and 10.0.1.1."""
    a, b = net.platform("10.0.0.1"), net.platform("10.0.1.1")
    server = Server()
    address = await server.listen(b.network, b.ip)
    client = await dial(a.network, address)
    return client, await server.handler()


def test_bytes_arrive_in_order_after_the_latency() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.1, 0.1))
        client, server = await _connected(net)
        start = net.loop.time()
        assert start == pytest.approx(0.2)  # a round trip to connect
        client.pipe.write([b"one", bytearray(b"two"), memoryview(b"three")])
        client.pipe.write([b"four"])
        assert await server.until_received(15) == b"onetwothreefour"
        assert net.loop.time() - start == pytest.approx(0.1)

    run(main())


def test_writes_of_one_moment_travel_by_one_timer() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        timers = len(net.loop._timers)
        for _ in range(100):
            client.pipe.write([b"x"])
        assert len(net.loop._timers) == timers + 1
        assert await server.until_received(100) == b"x" * 100

    run(main())


def test_addresses_of_both_ends_mirror_each_other() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        assert client.pipe.local == server.pipe.remote
        assert client.pipe.remote == server.pipe.local
        assert client.pipe.local.host == "10.0.0.1"

    run(main())


def test_a_small_buffer_is_filled_again_and_again() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        server._buffer = bytearray(7)
        data = random.Random(1).randbytes(1_000)
        client.pipe.write([data])
        assert await server.until_received(1_000) == data

    run(main())


def test_the_writer_is_paused_above_the_bound_and_resumed_when_the_reader_has_read() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        server.pipe.pause_reading()
        client.pipe.write([bytes(HIGH_WATER_BYTES)])
        assert not client.paused
        client.pipe.write([b"one more"])
        assert client.paused
        await asyncio.sleep(10)
        assert client.paused
        assert not server.received
        server.pipe.resume_reading()
        await server.until_received(HIGH_WATER_BYTES + 8)
        assert not client.paused

    run(main())


def test_pausing_in_the_middle_of_a_piece_keeps_the_rest() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        server._buffer = bytearray(10)
        server.on_data = lambda _: server.pipe.pause_reading()
        client.pipe.write([bytes(range(25))])
        for count in (10, 20, 25):
            await asyncio.sleep(1)
            assert bytes(server.received) == bytes(range(count))
            server.pipe.resume_reading()

    run(main())


def test_close_delivers_everything_and_then_ends_both_sides_in_order() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        client.pipe.write([b"last words"])
        client.pipe.close()
        client.pipe.close()
        client.pipe.write([b"after the end"])
        assert await server.until_lost() == ""
        assert bytes(server.received) == b"last words"
        assert client.lost == [""]
        server.pipe.close()
        await asyncio.sleep(1)
        assert server.lost == [""]  # told once

    run(main())


def test_a_paused_reader_learns_the_end_after_the_data() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        server.pipe.pause_reading()
        client.pipe.write([b"data"])
        client.pipe.close()
        await asyncio.sleep(5)
        assert not server.lost
        server.pipe.resume_reading()
        assert await server.until_lost() == ""
        assert bytes(server.received) == b"data"

    run(main())


def test_abort_resets_the_other_side() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        client.pipe.abort()
        client.pipe.abort()
        assert "reset" in await server.until_lost()
        assert client.lost == ["aborted on this side"]

    run(main())


def test_writing_to_a_side_that_has_closed_is_answered_by_a_reset() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.1, 0.1))
        client, server = await _connected(net)
        server.pipe.pause_reading()
        client.pipe.close()
        server.pipe.write([b"too late"])
        await asyncio.sleep(0.15)
        assert not server.lost
        await asyncio.sleep(0.1)
        assert "reset" in server.lost[0]

    run(main())


def test_a_handler_that_raises_ends_the_pipe() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        problems: list[object] = []
        net.loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))

        def explode(_: bytes) -> None:
            raise ZeroDivisionError

        server.on_data = explode
        client.pipe.write([b"boom"])
        assert "reset" in await client.until_lost()
        assert [type(problem) for problem in problems] == [ZeroDivisionError]

    run(main())


def test_nobody_listening_is_refused_after_a_round_trip() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.1, 0.1))
        a, b = net.platform(), net.platform()
        address = await Server().listen(b.network, b.ip)
        with pytest.raises(ConnectFailed, match="refused"):
            await dial(a.network, replace(address, port=1))
        assert net.loop.time() == pytest.approx(0.2)
        with pytest.raises(ConnectFailed, match="no route"):
            await dial(a.network, replace(address, host="10.99.99.1"))

    run(main())


def test_a_refused_pipe_is_reset_without_a_byte() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b = net.platform(), net.platform()
        address = await Server(refuse=True).listen(b.network, b.ip)
        client = await dial(a.network, address)
        assert "reset" in await client.until_lost()
        assert not client.received

    run(main())


def test_a_closed_listener_refuses_and_its_pipes_live_on() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b = net.platform(), net.platform()
        server = Server()
        address = await server.listen(b.network, b.ip)
        client = await dial(a.network, address)
        await server.listener.close()
        await server.listener.close()
        with pytest.raises(ConnectFailed, match="refused"):
            await dial(a.network, address)
        client.pipe.write([b"still here"])
        assert await (await server.handler()).until_received(10) == b"still here"

    run(main())


def test_ports_are_exclusive_and_a_wildcard_takes_them_all() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b = net.platform(), net.platform()
        address = await Server().listen(b.network, "0.0.0.0", 4_433)
        with pytest.raises(ConnectFailed, match="in use"):
            await Server().listen(b.network, b.ip, 4_433)
        with pytest.raises(ConnectFailed, match="not one of this machine"):
            await Server().listen(b.network, a.ip, 4_434)
        await dial(a.network, replace(address, host=b.ip))
        await dial(b.network, replace(address, host="127.0.0.1"))
        with pytest.raises(ConnectFailed):
            await dial(a.network, replace(address, host="127.0.0.1"))

    run(main())


def test_a_partition_holds_streams_up_and_healing_lets_them_go_on() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        client.pipe.write([b"before "])
        await asyncio.sleep(1)
        net.partition(["10.0.0.1"], ["10.0.1.1"])
        client.pipe.write([b"during "])
        server.pipe.write([b"other way"])
        await asyncio.sleep(60)
        assert bytes(server.received) == b"before "
        with pytest.raises(ConnectFailed, match="timed out"):
            await dial(net.host("10.0.0.1"), server.pipe.local)
        net.heal()
        client.pipe.write([b"after"])
        assert await server.until_received(19) == b"before during after"
        assert await client.until_received(9) == b"other way"

    run(main())


def test_a_partition_leaves_third_hosts_alone() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        net.partition(["10.0.0.1"], ["10.0.7.1"])
        client.pipe.write([b"through"])
        assert await server.until_received(7) == b"through"

    run(main())


def test_a_crashed_host_is_silent_and_resets_when_it_is_back() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        net.crash("10.0.1.1")
        client.pipe.write([b"hello?"])
        await asyncio.sleep(100)
        assert not client.lost
        assert not server.lost  # nobody runs there
        net.bring_up("10.0.1.1")
        assert "reset" in await client.until_lost()
        with pytest.raises(ConnectFailed, match="refused"):
            await dial(net.host("10.0.0.1"), server.pipe.local)

    run(main())


def test_an_unplugged_host_keeps_its_connections() -> None:
    async def main() -> None:
        net = SimNetwork()
        client, server = await _connected(net)
        net.unplug("10.0.1.1")
        client.pipe.write([b"patience"])
        await asyncio.sleep(10)
        net.bring_up("10.0.1.1")
        assert await server.until_received(8) == b"patience"

    run(main())


def test_cancelling_a_dial_resets_the_accepted_pipe() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.1, 0.1))
        a, b = net.platform(), net.platform()
        server = Server()
        address = await server.listen(b.network, b.ip)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await dial(a.network, address)
        assert "reset" in await (await server.handler()).until_lost()

    run(main())


def test_loss_delays_a_stream_and_never_breaks_it() -> None:
    async def main() -> None:
        net = SimNetwork(loss=0.3, jitter_s=0.02)
        client, server = await _connected(net)
        pieces = [bytes([number]) * 3_000 for number in range(100)]
        for piece in pieces:
            client.pipe.write([piece])
            await asyncio.sleep(0.001)
        assert await server.until_received(300_000) == b"".join(pieces)

    run(main(), seed=3)


def test_bandwidth_is_shared_by_all_streams_of_a_host() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.0, 0.0), bandwidth_bytes_per_s=100_000)
        client, server = await _connected(net)
        second = Server()
        address = await second.listen(net.platform("10.0.2.1").network, "10.0.2.1")
        other = await dial(net.host("10.0.0.1"), address)
        start = net.loop.time()
        client.pipe.write([bytes(100_000)])
        other.pipe.write([bytes(100_000)])
        await server.until_received(100_000)
        assert net.loop.time() - start == pytest.approx(1.0)
        await second.handlers[0].until_received(100_000)
        assert net.loop.time() - start == pytest.approx(2.0)

    run(main())


def test_tls_gives_both_ends_the_same_binding_and_plain_dials_are_told_apart() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b = net.platform(), net.platform()
        server, tls = Server(), ServerTls(None, b"certificate")
        address = await server.listen(b.network, b.ip, tls=tls)
        secure = await dial(a.network, replace(address, scheme="tls"), tls=object())
        plain = await dial(a.network, address)
        assert secure.pipe.binding == server.handlers[0].pipe.binding == tls.binding
        assert plain.pipe.binding == server.handlers[1].pipe.binding == b""
        assert [handler.pipe.local.scheme for handler in server.handlers] == ["tls", "tcp"]
        only = Server()
        address = await only.listen(b.network, b.ip, tls=tls, scheme="tls")
        with pytest.raises(ConnectFailed, match="TLS"):
            await dial(a.network, address)

    run(main())
