"""Whole nodes on real sockets: requests, bulk, what a wire tap sees, and what `peerkit peers` shows."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

import peerkit
from peerkit._io.datagram import BatchEndpoint
from peerkit.event import SessionPathsChanged
from peerkit.transport import Buffer
from plugins.transport_udp.tests.nodes import profile

pytestmark = pytest.mark.integration
ECHO, BULK = "example.org/echo", "example.org/bulk"
SECRET = b"nobody but the two shall read this"


async def count_bytes(stream: peerkit.Stream) -> None:
    count = 0
    while data := await stream.read(1 << 20):
        count += len(data)
    await stream.write(count.to_bytes(8, "big"))
    await stream.finish()


def protocols() -> list[peerkit.ProtocolSpec]:
    return [
        peerkit.ProtocolSpec(ECHO, "1.0.0", on_request=lambda request: request.payload),
        peerkit.ProtocolSpec(BULK, "1.0.0", on_stream=count_bytes),
    ]


def with_two_nodes(
    body: Callable[[peerkit.Node, peerkit.Node], Awaitable[None]],
    listen: str = "udp://127.0.0.1:0",
    settings: Mapping[str, object] | None = None,
) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(100),
            peerkit.Node.open(profile(listen, settings), protocols=protocols()) as a,
            peerkit.Node.open(profile(listen, settings), protocols=protocols()) as b,
        ):
            await body(a, b)

    asyncio.run(main())


async def send_bulk(peer: peerkit.Peer, nbytes: int) -> int:
    """Returns how many bytes the peer counted."""
    stream = await peer.open_stream(BULK)
    block = bytes(1 << 16)
    for _ in range(nbytes >> 16):
        await stream.write(block)
    await stream.finish()
    return int.from_bytes(await stream.read(8), "big")


@pytest.mark.parametrize("listen", ["udp://127.0.0.1:0", "udp://[::1]:0", "udp://0.0.0.0:0"])
def test_two_nodes_talk(listen: str) -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        (address,) = b.addresses
        assert address.scheme == "udp"
        host = address.host.replace("0.0.0.0", "127.0.0.1")
        peer = await a.connect(peerkit.Address("udp", host, address.port, address.peer_id))
        assert peer.id == b.peer_id
        assert await peer.request(ECHO, b"hello") == b"hello"
        assert peer.session.transport == "udp"
        (path,) = peer.session.paths
        assert path.is_active and path.rtt_s < 5

    with_two_nodes(body, listen)


@pytest.mark.parametrize("datagram_bytes", [1_200, 1_400, 65_507])
def test_bulk_arrives_whole_and_the_datagrams_grow(datagram_bytes: int) -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        peer = await a.connect(b.addresses[0])
        # A probe that a busy machine loses is sent again after half a second.  When three are lost, the search ends by
        # less than its last step (20 bytes) too low.
        while not datagram_bytes - 20 < peer.session.paths[0].max_datagram_bytes <= datagram_bytes:
            assert await send_bulk(peer, 8 << 20) == 8 << 20
        assert peer.session.paths[0].window_bytes > 10_000
        changes = [e.event for e in a.events.recent() if isinstance(e.event, SessionPathsChanged)]
        assert len(changes) <= 1, "larger datagrams are no other path"

    with_two_nodes(body, settings={"max_datagram_bytes": datagram_bytes})


def test_bulk_and_requests_pass_when_packets_are_padded() -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        peer = await a.connect(b.addresses[0])
        assert await peer.request(ECHO, b"hello") == b"hello"
        assert await send_bulk(peer, 4 << 20) == 4 << 20

    with_two_nodes(body, settings={"max_datagram_bytes": 1_400, "padding_bytes": 256})


def test_key_updates_on_real_sockets() -> None:
    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        peer = await a.connect(b.addresses[0])
        assert await send_bulk(peer, 8 << 20) == 8 << 20
        assert peer.session.stats.key_updates >= 5

    with_two_nodes(body, settings={"max_datagram_bytes": 1_400, "max_packets_per_key": 1 << 10})


def test_a_wire_tap_sees_no_plaintext_and_no_peer_id(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = bytearray()
    send_batch = BatchEndpoint.send_batch

    def tap(
        self: BatchEndpoint,
        local: peerkit.Address | None,
        remote: peerkit.Address,
        segment_bytes: int,
        buffers: list[Buffer],
    ) -> int:
        seen.extend(b"".join(buffers))
        return send_batch(self, local, remote, segment_bytes, buffers)

    monkeypatch.setattr(BatchEndpoint, "send_batch", tap)

    async def body(a: peerkit.Node, b: peerkit.Node) -> None:
        peer = await a.connect(b.addresses[0])
        assert await peer.request(ECHO, SECRET * 100) == SECRET * 100
        assert len(seen) > 2 * 100 * len(SECRET), "the tap is on the wire"
        for what in (SECRET, a.peer_id.raw, b.peer_id.raw, ECHO.encode()):
            assert what not in seen

    with_two_nodes(body)
