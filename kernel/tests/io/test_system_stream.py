"""Real streams on loopback, on both loops: the same promises as the simulated ones."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernel.tests.io.certificates import client_context, server_tls
from kernel.tests.io.conftest import OnLoop
from kernel.tests.testing.streams import Recorder, Server, dial, meet
from peerkit._io import system_listener
from peerkit._io.system_platform import SystemPlatform
from peerkit.address import Address
from peerkit.errors import ConnectFailed


@contextlib.asynccontextmanager
async def _platform() -> AsyncIterator[SystemPlatform]:
    platform = SystemPlatform()
    try:
        yield platform
    finally:
        await platform.close()


async def _pair(platform: SystemPlatform, host: str = "127.0.0.1") -> tuple[Server, Recorder, Recorder]:
    server = Server()
    client = await dial(platform.network, await server.listen(platform.network, host))
    return server, client, await server.handler()


async def _end(server: Server, *handlers: Recorder) -> None:
    await server.listener.close()
    for handler in [*handlers, *server.handlers]:
        handler.pipe.abort()
        await handler.until_lost()


def test_a_connection_from_a_port_in_use_goes_to_a_listener_but_not_from_a_listeners_port(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server, first, _ = await _pair(platform)
            other = Server()
            address = await other.listen(platform.network, "127.0.0.1")
            second = await meet(platform.network, first.pipe.local, address)
            assert (await other.handler()).pipe.remote == second.pipe.local == first.pipe.local
            with pytest.raises(ConnectFailed, match="in use"):
                await meet(platform.network, server.listener.addresses[0], address)
            await _end(server, first)
            await _end(other, second)

    on_loop(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_two_that_connect_to_each_other_become_one_connection_whoever_begins(on_loop: OnLoop, host: str) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            there = await server.listen(platform.network, host)
            ends = [(await dial(platform.network, there)) for _ in range(2)]
            here = [end.pipe.local for end in ends]
            early = asyncio.create_task(meet(platform.network, here[0], here[1]))
            for _ in range(20):
                await asyncio.sleep(0)  # its first packet has been refused
            found = [await meet(platform.network, here[1], here[0]), await early]
            assert [end.pipe.local for end in found] == [end.pipe.remote for end in reversed(found)] == here[::-1]
            for a, b in (found, found[::-1]):
                a.pipe.write([b"hello"])
                assert await b.until_received(5) == b"hello"
            await _end(server, *ends, *found)

    on_loop(main())


def test_who_comes_from_another_host_is_not_taken_for_the_one_that_is_met(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            there = await server.listen(platform.network, "127.0.0.1")
            ends = [(await dial(platform.network, there)) for _ in range(2)]
            local, remote = (end.pipe.local for end in ends)
            meeting = asyncio.create_task(meet(platform.network, local, remote))
            for _ in range(20):
                await asyncio.sleep(0)
            stranger = socket.create_connection((local.host, local.port), 10, ("127.0.0.2", 0))
            stranger.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b"", "closed"
            assert not meeting.done()
            meeting.cancel()
            stranger.close()
            await _end(server, *ends)

    on_loop(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_bytes_arrive_in_order_and_the_addresses_mirror_each_other(on_loop: OnLoop, host: str) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server, client, handler = await _pair(platform, host)
            assert client.pipe.local == handler.pipe.remote
            assert client.pipe.remote == handler.pipe.local == server.listener.addresses[0]
            data = random.Random(1).randbytes(3_000_000)
            client.pipe.write([data[:10], bytearray(data[10:1_000]), memoryview(data)[1_000:]])
            assert await handler.until_received(len(data)) == data
            handler.pipe.write([b"thanks"])
            assert await client.until_received(6) == b"thanks"
            await _end(server, client)

    on_loop(main())


def test_the_writer_is_paused_and_resumed(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server, client, handler = await _pair(platform)
            handler.pipe.pause_reading()
            sent = 0
            while not client.paused:
                client.pipe.write([bytes(100_000), b"x"])
                sent += 100_001
                await asyncio.sleep(0)
                assert sent < 100_000_000, "nothing pauses the writer"
            handler.pipe.resume_reading()
            await handler.until_received(sent)
            await client.until(lambda: not client.paused)
            assert len(handler.received) == sent
            await _end(server, client)

    on_loop(main())


def test_close_delivers_everything_and_ends_both_sides_in_order(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server, client, handler = await _pair(platform)
            client.pipe.write([bytes(1_000_000)])
            client.pipe.close()
            client.pipe.close()
            client.pipe.write([b"too late"])
            assert await handler.until_lost() == ""
            assert len(handler.received) == 1_000_000
            assert await client.until_lost() == ""
            assert client.lost == handler.lost == [""]
            handler.pipe.pause_reading()  # harmless on a pipe that is gone
            handler.pipe.resume_reading()
            await server.listener.close()

    on_loop(main())


def test_abort_tells_both_sides_and_the_other_one_was_reset(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server, client, handler = await _pair(platform)
            handler.pipe.pause_reading()
            handler.pipe.write([bytes(1_000)])
            client.pipe.write([bytes(1_000)])  # unread at the other side: its abort becomes a reset
            await client.until_received(1_000)
            handler.pipe.resume_reading()
            client.pipe.pause_reading()
            handler.pipe.abort()
            handler.pipe.abort()
            assert await handler.until_lost() == "aborted on this side"
            client.pipe.resume_reading()
            assert await client.until_lost() in ("", "the other side reset the connection")
            await server.listener.close()

    on_loop(main())


def test_a_reader_that_is_gone_ends_a_writer_that_waits(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server, client, handler = await _pair(platform)
            handler.pipe.pause_reading()
            while not client.paused:
                client.pipe.write([bytes(1_000_000)])
                await asyncio.sleep(0)
            handler.pipe.abort()
            await client.until_lost()
            await server.listener.close()

    on_loop(main())


def test_a_refused_connection_ends_without_a_byte(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server = Server(refuse=True)
            client = await dial(platform.network, await server.listen(platform.network, "127.0.0.1"))
            await client.until_lost()
            assert not client.received
            await server.listener.close()

    on_loop(main())


def test_failures_have_a_reason_a_person_understands(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            network, server = platform.network, Server()
            address = await server.listen(network, "127.0.0.1")
            with pytest.raises(ConnectFailed, match="the address is in use"):
                await Server().listen(network, "127.0.0.1", address.port)
            with pytest.raises(ConnectFailed, match="not one of this machine"):
                await Server().listen(network, "192.0.2.77")
            await server.listener.close()
            await server.listener.close()
            with pytest.raises(ConnectFailed, match="connection refused"):
                await dial(network, address)
            with pytest.raises(ConnectFailed, match="not a numeric address"):
                await dial(network, replace(address, host="localhost"))
            with pytest.raises(ConnectFailed, match="zone"):
                await dial(network, replace(address, host="fe80::1%nosuch0"))
            again = Server()  # the port is free at once
            await again.listen(network, "127.0.0.1", address.port)
            await again.listener.close()

    on_loop(main())


def test_both_wildcards_can_have_one_port(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            first, second = Server(), Server()
            address = await first.listen(platform.network, "0.0.0.0")
            await second.listen(platform.network, "::", address.port)
            client = await dial(platform.network, replace(address, host="127.0.0.1"))
            assert (await first.handler()).pipe.local.host == "127.0.0.1"
            await _end(first, client)
            await second.listener.close()

    on_loop(main())


def test_tls_binds_both_ends_to_the_certificate_and_one_port_takes_plain_too(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        async with _platform() as platform:
            tls, server = server_tls(tmp_path), Server()
            address = await server.listen(platform.network, "127.0.0.1", tls=tls)
            assert [a.scheme for a in server.listener.addresses] == ["tcp", "tls"]
            secure = await dial(platform.network, replace(address, scheme="tls"), client_context())
            handler = await server.handler(0)
            assert secure.pipe.binding == handler.pipe.binding == tls.binding
            assert handler.pipe.local.scheme == handler.pipe.remote.scheme == "tls"
            secure.pipe.write([bytes(500_000), b"end"])
            assert (await handler.until_received(500_003))[-3:] == b"end"
            handler.pipe.write([b"answer"])
            assert await secure.until_received(6) == b"answer"
            plain = await dial(platform.network, address)
            plain.pipe.write([b"\x00\x01 not TLS"])
            other = await server.handler(1)
            assert await other.until_received(10) == b"\x00\x01 not TLS"
            assert other.pipe.binding == plain.pipe.binding == b""
            assert other.pipe.local.scheme == "tcp"
            secure.pipe.close()
            assert await handler.until_lost() == ""
            await _end(server, plain)

    on_loop(main())


def test_tls_only_refuses_plain_connections(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            address = await server.listen(platform.network, "127.0.0.1", tls=server_tls(tmp_path), scheme="tls")
            plain = await dial(platform.network, replace(address, scheme="tcp"))
            plain.pipe.write([b"\x00 hello"])
            await plain.until_lost()
            assert not server.handlers
            secure = await dial(platform.network, address, client_context())
            secure.pipe.write([b"hello"])
            assert await (await server.handler()).until_received(5) == b"hello"
            await _end(server, secure)

    on_loop(main())


def test_a_tls_handshake_with_a_plain_listener_fails_with_a_reason(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            address = await server.listen(platform.network, "127.0.0.1")
            dialling = asyncio.get_running_loop().create_task(
                dial(platform.network, replace(address, scheme="tls"), client_context())
            )
            (await server.handler()).pipe.write([b"this is no TLS, whatever you say"])
            with pytest.raises(ConnectFailed, match="TLS handshake failed"):
                await dialling
            await _end(server)

    on_loop(main())


def test_garbage_instead_of_a_tls_handshake_harms_nobody(on_loop: OnLoop, tmp_path: Path) -> None:
    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            address = await server.listen(platform.network, "127.0.0.1", tls=server_tls(tmp_path))
            for garbage in (b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16" + bytes(20_000)):
                reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
                writer.write(garbage)
                writer.write_eof()
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
            secure = await dial(platform.network, replace(address, scheme="tls"), client_context())
            await server.handler()
            assert len(server.handlers) == 1
            await _end(server, secure)

    on_loop(main())


def test_silent_connections_to_a_tls_port_are_bounded(
    on_loop: OnLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_listener, "MAX_SILENT", 3)

    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            address = await server.listen(platform.network, "127.0.0.1", tls=server_tls(tmp_path))
            silent = [await dial(platform.network, address) for _ in range(5)]
            await silent[0].until_lost()
            await silent[1].until_lost()
            assert not any(client.lost for client in silent[2:])
            await server.listener.close()
            for client in silent[2:]:
                await client.until_lost()

    on_loop(main())


def test_silent_connections_to_a_tls_port_have_a_deadline(
    on_loop: OnLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_listener, "FIRST_BYTE_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with _platform() as platform:
            server = Server()
            address = await server.listen(platform.network, "127.0.0.1", tls=server_tls(tmp_path))
            client = await dial(platform.network, address)
            await client.until_lost()
            await server.listener.close()

    on_loop(main())


def test_a_cancelled_dial_leaves_no_socket_open(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
                address = Address("tls", "127.0.0.1", deaf.getsockname()[1])
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):  # the TLS handshake waits for a server that says nothing
                        await dial(platform.network, address, client_context())

    on_loop(main())  # an open socket is a ResourceWarning, and warnings are errors


def test_names_and_interfaces(on_loop: OnLoop) -> None:
    async def main() -> None:
        async with _platform() as platform:
            network = platform.network
            assert await network.resolve("127.0.0.1") == ("127.0.0.1",)
            assert await network.resolve("::1") == ("::1",)
            assert set(await network.resolve("localhost")) & {"127.0.0.1", "::1"}
            for bad in ("", "x" * 300, "a..b"):
                with pytest.raises(ConnectFailed):
                    await network.resolve(bad)
            assert "127.0.0.1" in network.interface_addresses()

    on_loop(main())
