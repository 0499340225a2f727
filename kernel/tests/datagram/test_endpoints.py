"""The node's datagram sockets: shared, found, adopted; and sessions that change their path."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pytest

from kernel.tests.datagram.nodes import ECHO, open_node
from peerkit import ProtocolSpec
from peerkit.address import Address
from peerkit.capabilities import DATAGRAM_ENDPOINTS, SESSION_CONTROL, DatagramEndpoints, SessionControl
from peerkit.errors import PeerkitError, PluginLoadError
from peerkit.event import SessionPathsChanged
from peerkit.plugin import PluginContext, PluginSpec, Settings, hookimpl
from peerkit.session import Stream
from peerkit.testing import SimNetwork, run
from peerkit.transport import DatagramEndpoint, PathKind

PING, PONG = 0x10, 0x11


class Pinger:
    """A plugin that has no sockets of its own: it answers pings on every endpoint of the node."""

    made: list["Pinger"]

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.endpoints: DatagramEndpoints = ctx.require(DATAGRAM_ENDPOINTS)
        self.control: SessionControl = ctx.require(SESSION_CONTROL)
        self.opened: list[DatagramEndpoint] = []
        self.answers: list[tuple[Address, Address]] = []
        self.endpoints.watch(self.on_opened)
        self.made.append(self)

    def on_opened(self, endpoint: DatagramEndpoint) -> None:
        self.opened.append(endpoint)

        def on_ping(data: memoryview, size: int, local: Address, remote: Address, now: float) -> None:
            endpoint.send_batch(local, remote, 1, [bytes((PONG,))])

        def on_pong(data: memoryview, size: int, local: Address, remote: Address, now: float) -> None:
            self.answers.append((local, remote))

        endpoint.register(PING, PING, on_ping)
        endpoint.register(PONG, PONG, on_pong)

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return []


def pingers() -> tuple[list[Pinger], PluginSpec[Settings]]:
    made: list[Pinger] = []
    kind = type("Pinger", (Pinger,), {"made": made})
    return made, PluginSpec(Settings, kind, requires=(DATAGRAM_ENDPOINTS, SESSION_CONTROL))


def simulated(test: Callable[[SimNetwork], Coroutine[None, None, None]]) -> Callable[[], None]:
    async def main() -> None:
        await test(SimNetwork())

    def run_it() -> None:
        run(main(), seed=1)

    run_it.__name__ = test.__name__
    return run_it


@simulated
async def test_one_socket_serves_sessions_both_ways_and_pings(net: SimNetwork) -> None:
    made, spec = pingers()
    async with open_node(net, plugins={"pinger": spec}) as a, open_node(net, plugins={"pinger": spec}) as b:
        peer = await a.connect(b.addresses[0])
        (at_b,) = b.peers()
        assert at_b.session.remote.port == a.addresses[0].port, "what we dial from is where we listen"
        endpoint = await made[0].endpoints.towards(b.addresses[0])
        assert [endpoint] == made[0].opened and len(made[1].opened) == 1
        there = Address("udp", b.addresses[0].host, b.addresses[0].port)
        endpoint.send_batch(None, there, 1, [bytes((PING,))])
        await asyncio.sleep(1)
        assert made[0].answers == [(endpoint.local, there)]
        assert await peer.request(ECHO.id, b"x") == b"x"


@simulated
async def test_a_node_that_does_not_listen_dials_and_takes_nobody(net: SimNetwork) -> None:
    made, spec = pingers()
    async with (
        open_node(net, plugins={"pinger": spec}, settings={"listen": []}) as a,
        open_node(net) as b,
    ):
        assert not made[0].opened and not a.addresses
        await a.connect(b.addresses[0])
        (endpoint,) = made[0].opened
        assert endpoint.local.host == "0.0.0.0"
        with pytest.raises(PeerkitError):
            await b.connect(Address("saw", net.hosts[0].ip, endpoint.local.port, None), timeout_s=3)
        assert [p.id for p in b.peers()] == [a.peer_id]


@simulated
async def test_a_node_on_loopback_dials_outside_from_a_socket_that_takes_nobody(net: SimNetwork) -> None:
    made, spec = pingers()
    async with (
        open_node(net, plugins={"pinger": spec}, settings={"listen": ["saw://127.0.0.1:0"]}) as a,
        open_node(net) as b,
    ):
        await a.connect(b.addresses[0])
        loopback, outside = made[0].opened
        assert (loopback.local.host, outside.local.host) == ("127.0.0.1", "0.0.0.0")
        async with open_node(net) as c:
            with pytest.raises(PeerkitError):
                await c.connect(Address("saw", net.hosts[0].ip, outside.local.port), timeout_s=3)
            assert not c.peers()


@simulated
async def test_an_adopted_socket_takes_sessions_until_it_is_dropped(net: SimNetwork) -> None:
    made, spec = pingers()
    async with open_node(net, plugins={"pinger": spec}) as a, open_node(net) as b:
        (extra,) = await made[0].opened[0].open_more(1)
        made[0].endpoints.adopt(extra)
        made[0].endpoints.adopt(extra)
        peer = await b.connect(Address("saw", a.addresses[0].host, extra.local.port, a.peer_id))
        made[0].endpoints.drop(extra)
        made[0].endpoints.drop(extra)
        assert not a.peers(), "its sessions had no other path"
        with pytest.raises(PeerkitError):
            await peer.request(ECHO.id, b"x", timeout_s=20)


@simulated
async def test_a_session_moves_to_an_offered_path(net: SimNetwork) -> None:
    made, spec = pingers()
    async with open_node(net, plugins={"pinger": spec}) as a, open_node(net) as b:
        peer = await a.connect(b.addresses[0])
        (path,) = peer.session.paths
        assert path.kind is PathKind.LAN and path.remote == b.addresses[0].without_peer()
        (extra,) = await made[0].opened[0].open_more(1)
        made[0].endpoints.adopt(extra)
        session = made[0].control.find(b.peer_id)
        assert session is peer.session and made[0].control.find(a.peer_id) is None
        assert made[0].control.offer_path(session, extra, None, path.remote)
        (moved,) = session.paths
        assert moved.local == extra.local
        assert await peer.request(ECHO.id, b"from another port") == b"from another port"
        events = [e.event for e in a.events.recent() if isinstance(e.event, SessionPathsChanged)]
        assert events == [SessionPathsChanged(b.peer_id, str(path.remote), "lan", 1)]
        await peer.close()
        assert not made[0].control.offer_path(session, extra, None, path.remote), "it is over"


@simulated
async def test_a_session_on_a_pipe_cannot_move(net: SimNetwork) -> None:
    made, spec = pingers()
    async with (
        open_node(net, schemes=("tcp", "saw"), plugins={"pinger": spec}) as a,
        open_node(net, schemes=("tcp",)) as b,
    ):
        peer = await a.connect(b.addresses[0])
        (path,) = peer.session.paths
        assert path.local.scheme == path.remote.scheme == "tcp" and path.is_active
        assert not made[0].control.offer_path(peer.session, made[0].opened[0], None, path.remote)


@simulated
async def test_a_node_that_stops_tells_its_peers_on_datagrams_too(net: SimNetwork) -> None:
    async with open_node(net) as a:
        async with open_node(net) as b:
            session = (await a.connect(b.addresses[0])).session
        assert await session.wait_closed() == "the node stops"
        closed = [d for d in a.events.recent() if type(d.event).__name__ == "PeerDisconnected"]
        assert len(closed) == 1
    assert not any(host.endpoints for host in net.hosts), "every socket was closed"


@simulated
async def test_a_port_in_use_and_a_scheme_without_transport_are_both_named(net: SimNetwork) -> None:
    async with open_node(net) as a:
        taken = str(a.addresses[0].without_peer())
        platform = net.platform(a.addresses[0].host)
        with pytest.raises(PluginLoadError, match=r"(?s)in use.*nobody://|nobody://.*in use"):
            async with open_node(net, platform=platform, settings={"listen": [taken, "nobody://10.0.0.1:1"]}):
                pass


@simulated
async def test_two_plugins_that_want_the_same_first_bytes_are_refused(net: SimNetwork) -> None:
    _, spec = pingers()
    with pytest.raises(PluginLoadError, match="0x10"):
        async with open_node(net, plugins={"one": spec, "two": spec}):
            pass


def test_limits_of_the_profile_hold_on_datagrams() -> None:
    """Upload holds the sender's pulls, download the peer's credit."""

    async def main(side: str, size: int) -> float:
        net = SimNetwork(latency_s=(0.0005, 0.0005))
        limited = {f"{side}_limit": "40 kB/s"}

        async def swallow(stream: Stream) -> None:
            while await stream.read():
                pass
            await stream.write(b"done")
            await stream.finish()

        sink = ProtocolSpec("sink", "1.0.0", on_stream=swallow)
        async with (
            open_node(net, sink, settings=limited if side == "upload" else {}) as a,
            open_node(net, sink, settings=limited if side == "download" else {}) as b,
        ):
            peer = await a.connect(b.addresses[0])
            began_at = a.clock.now()
            stream = await peer.open_stream("sink")
            await stream.write(bytes(size))
            await stream.finish()
            assert await stream.read() == b"done"
            return a.clock.now() - began_at

    # a quarter of a MiB is the burst of both; a window of 1 MiB comes without new credit
    for side, size, least_s in (("upload", 500_000, 5.0), ("download", 1_300_000, 15.0)):
        took_s = run(main(side, size), seed=1)
        assert least_s < took_s < 60.0, f"{side}: {took_s}"
