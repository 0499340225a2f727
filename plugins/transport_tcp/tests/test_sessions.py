"""Whole nodes over TCP and TLS: a session is made, and a man in the middle makes none."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from peerkit_transport_tcp.io.tls import server_tls

import peerkit
from peerkit.address import Address
from peerkit.errors import PeerkitError, TransportError
from plugins.transport_tcp.tests.middle import Middle

pytestmark = pytest.mark.integration
ECHO = "example.org/echo"


def echo() -> peerkit.ProtocolSpec:
    return peerkit.ProtocolSpec(ECHO, "1.0.0", accepts=">=1.0,<2", on_request=lambda request: request.payload)


def profile(listen: str, tls: bool) -> dict[str, object]:
    return {
        "node": {"network": "test", "listen": [listen], "enable": ["secure_noise", "transport_tcp"]},
        "plugins": {"transport_tcp": {"tls": tls}},
    }


def with_two_nodes(listen: str, tls: bool, body: Callable[[peerkit.Node, peerkit.Node], Awaitable[None]]) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(100),
            peerkit.Node.open(profile(listen, tls), protocols=[echo()]) as a,
            peerkit.Node.open(profile(listen, tls), protocols=[echo()]) as b,
        ):
            await body(a, b)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("listen", "tls", "scheme"),
    [
        ("tcp://127.0.0.1:0", False, "tcp"),
        ("tcp://[::1]:0", False, "tcp"),
        ("tcp://127.0.0.1:0", True, "tls"),
        ("tls://127.0.0.1:0", False, "tls"),
    ],
)
def test_two_nodes_talk(listen: str, tls: bool, scheme: str) -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        (address,) = b.addresses
        assert address.scheme == scheme
        peer = await a.connect(address)
        assert peer.id == b.peer_id
        assert await peer.request(ECHO, b"hello") == b"hello"

    with_two_nodes(listen, tls, body)


def test_a_man_in_the_middle_gets_no_session(tmp_path: Path) -> None:
    """He passes everything on unchanged; only his certificate is another."""

    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        (address,) = b.addresses
        async with Middle(server_tls(tmp_path, time.time()), address) as middle:
            with pytest.raises(TransportError, match=r"closed|handshake|verify"):
                await a.connect(Address("tls", "127.0.0.1", middle.address.port, b.peer_id))
            assert middle.seen, "the attack has not taken place"
        assert a.peers() == b.peers() == ()
        peer = await a.connect(address)  # without him it works
        assert await peer.request(ECHO, b"hello") == b"hello"

    with_two_nodes("tls://127.0.0.1:0", False, body)


def test_a_listen_address_in_use_stops_the_node_and_names_it() -> None:
    async def main() -> None:
        async with peerkit.Node.open(profile("tcp://127.0.0.1:0", False)) as first:
            taken = str(first.addresses[0].without_peer())
            with pytest.raises(PeerkitError, match=f"{taken}: the address is in use"):
                async with peerkit.Node.open(profile(taken, False)):
                    pass

    asyncio.run(main())
