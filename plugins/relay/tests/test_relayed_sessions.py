"""Whole nodes: sessions over a relay, what the relay sees of them, how they leave it, and how they end."""

import asyncio
from collections.abc import Sequence

import pytest
from peerkit_relay.client import OLD_RECORD_S

from peerkit import Node, ProtocolSpec, Stream
from peerkit.address import Address
from peerkit.capabilities import (
    DATAGRAM_ENDPOINTS,
    OWN_ADDRESSES,
    REACHABILITY,
    SESSION_CONTROL,
    NatFiltering,
    NatMapping,
)
from peerkit.errors import PeerkitError, PeerUnreachable
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import SimNetwork, run
from peerkit.transport import PathKind
from plugins.relay.tests.nodes import ECHO, HOME_A, HOME_B, HOME_C, PUBLIC, homes, open_node


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize("schemes", [("udp",), ("tcp",), ("tcp", "udp")])
def test_two_homes_meet_over_a_relay(schemes: Sequence[str], listens: bool) -> None:
    async def main() -> None:
        async with homes(schemes=schemes, listens=listens) as it:
            peer = await it.a.connect(it.way_to_b)
            assert peer.id == it.b.peer_id and peer.session.transport == "relay"
            (path,) = peer.session.paths
            assert path.kind is PathKind.RELAYED and path.remote.via == it.relay.peer_id
            body = bytes(range(256)) * 2_000
            assert await peer.request(ECHO.id, body) == body
            (at_b,) = (p for p in it.b.peers() if p.id == it.a.peer_id)
            assert await at_b.request(ECHO.id, b"back") == b"back"
            assert not [p for p in it.relay.peers() if p.session.transport == "relay"]

    run(main(), seed=1)


def test_a_record_with_a_relay_is_enough_to_reach_its_peer() -> None:
    async def main() -> None:
        async with homes() as it:
            assert it.b.record.is_client is False, "it listens, and nobody has judged"
            peer = await it.a.connect(it.b.record)
            assert peer.session.transport == "relay"

    run(main(), seed=1)


def test_circuits_without_a_session_are_closed_and_a_closed_session_can_be_made_again() -> None:
    async def main() -> None:
        async with homes() as it:
            for _ in range(3):
                peer = await it.a.connect(it.way_to_b)
                assert await peer.request(ECHO.id, b"x") == b"x"
                await peer.close()
            await asyncio.sleep(60)
            (finding,) = await _relay_findings(it.relay)
            assert "over 0 circuits" in finding

    run(main(), seed=1)


async def _relay_findings(node: Node) -> list[str]:
    return [finding.text for _, finding in await node.host.diagnose()]


def test_a_peer_without_a_reservation_is_not_found_and_a_relay_dials_nobody() -> None:
    async def main() -> None:
        async with homes() as it:
            net = it.net
            async with open_node(net.platform("45.2.0.1")) as stranger:
                way = Address("relay", PUBLIC, 4433, stranger.peer_id, it.relay.peer_id)
                with pytest.raises(PeerUnreachable, match="not connected to this relay"):
                    await it.a.connect(way)
                peer = await it.a.connect(it.way_to_b)
                assert peer.session.transport == "relay", "what failed was one peer behind the relay, not the relay"
                asked = [d.question for d in it.relay.gate.decisions() if d.question.action.value == "dial"]
                assert not asked
                assert not stranger.peers()

    run(main(), seed=1)


def test_a_node_that_does_not_serve_says_so_and_doctor_repeats_it() -> None:
    async def main() -> None:
        async with homes(settings={"serve": False}) as it:
            assert not [a for a in it.b.addresses if a.via is not None]
            assert any("does not serve" in text for text in await _relay_findings(it.b))

    run(main(), seed=1)


def test_when_the_relay_goes_the_session_ends_and_the_record_names_it_no_more() -> None:
    async def main() -> None:
        async with homes() as it:
            peer = await it.a.connect(it.way_to_b)
            it.net.crash(PUBLIC)
            assert await asyncio.wait_for(peer.session.wait_closed(), 120)
            await asyncio.sleep(60)
            assert not [a for a in it.b.addresses if a.via is not None]

    run(main(), seed=1)


class Reach:
    """What peers found out about us, as the plugin `public_address` would tell."""

    mapping, filtering, port_step = NatMapping.UNKNOWN, NatFiltering.UNKNOWN, 0
    is_public: bool | None = False

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        ctx.provide(REACHABILITY, self)

    def observed(self, _scheme: str) -> Sequence[Address]:
        return ()


def test_who_becomes_reachable_is_still_found_by_its_old_record_for_a_while() -> None:
    """Its reservation outlives its need by `OLD_RECORD_S`, and is renewed no more."""

    async def main() -> None:
        class ReachHere(Reach):
            pass

        plugins = {"reach": PluginSpec(Settings, ReachHere, provides=(REACHABILITY,))}
        async with homes() as it, open_node(it.net.platform(HOME_C), plugins=plugins) as c:
            it.net.partition([HOME_A], [HOME_C])
            await c.connect(it.relay.addresses[0])
            await asyncio.sleep(12)
            (old,) = (a for a in c.addresses if a.via is not None)
            ReachHere.is_public = True
            await asyncio.sleep(OLD_RECORD_S / 2)
            assert not [a for a in c.addresses if a.via is not None], "a new record names no relay"
            peer = await it.a.connect(old)
            assert peer.session.transport == "relay"
            await peer.close()
            await asyncio.sleep(OLD_RECORD_S)
            with pytest.raises(PeerUnreachable, match="the relay does not lead there"):
                await it.a.connect(old)

    run(main(), seed=1)


def test_an_address_that_a_router_translates_is_not_enough_before_somebody_came_in_there() -> None:
    class Believer(Reach):
        is_public = None

        def __init__(self, ctx: PluginContext[Settings]) -> None:
            super().__init__(ctx)
            ctx.require(OWN_ADDRESSES).advertise(ctx.name, [Address("udp", "45.9.9.9", 4433)])

    async def main() -> None:
        plugins = {"reach": PluginSpec(Settings, Believer, provides=(REACHABILITY,), requires=(OWN_ADDRESSES,))}
        async with homes() as it, open_node(it.net.platform(HOME_C), plugins=plugins) as c:
            await c.connect(it.relay.addresses[0])
            await asyncio.sleep(12)
            assert {a.via for a in c.addresses} >= {None, it.relay.peer_id}

    run(main(), seed=1)


class Mover:
    """Offers paths, as hole punching does."""

    made: list["Mover"]

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.endpoints = ctx.require(DATAGRAM_ENDPOINTS)
        self.control = ctx.require(SESSION_CONTROL)
        self.made.append(self)


def test_a_transfer_that_began_over_a_relay_ends_on_the_direct_path_with_no_byte_lost() -> None:
    total = 8 << 20
    received = bytearray()
    begun, whole = asyncio.Event(), asyncio.Event()

    async def take(stream: Stream) -> None:
        while data := await stream.read(1 << 16):
            received.extend(data)
            if len(received) > total // 8:
                begun.set()
        whole.set()

    async def main() -> None:
        bulk = ProtocolSpec("bulk", "1.0.0", on_stream=take)
        made: list[Mover] = []
        mover = PluginSpec(
            Settings, type("Mover", (Mover,), {"made": made}), requires=(DATAGRAM_ENDPOINTS, SESSION_CONTROL)
        )
        async with homes(bulk) as it:
            net = it.net
            profile = {
                "node": {
                    "network": "test",
                    "listen": ["udp://192.168.3.2:4433"],
                    "enable": ["secure_noise", "transport_udp", "relay"],
                }
            }
            net.partition(["192.168.3.2"], [HOME_B])
            platform = net.platform("192.168.3.2")
            async with Node.open(profile, protocols=[bulk], plugins={"mover": mover}, platform=platform) as c:
                await c.connect(it.relay.addresses[0])
                peer = await c.connect(it.way_to_b)
                stream = await peer.open_stream("bulk")
                sending = asyncio.create_task(_send(stream, total))
                await begun.wait()
                before = peer.session.paths[0].kind
                net.heal()
                direct = next(a for a in it.b.addresses if a.via is None).without_peer()
                endpoint = await made[0].endpoints.towards(direct)
                session = made[0].control.find(it.b.peer_id)
                assert session is not None and made[0].control.offer_path(session, endpoint, None, direct)
                await whole.wait()
                await sending
                after = peer.session.paths[0].kind
                assert (before, after) == (PathKind.RELAYED, PathKind.LAN) and peer.session.transport == "udp"
                assert len(received) == total and received == _pattern(total)

    run(main(), seed=1)


def _pattern(total: int) -> bytes:
    return b"".join(i.to_bytes(4, "big") for i in range(total // 4))


async def _send(stream: Stream, total: int) -> None:
    await stream.write(_pattern(total))
    await stream.finish()


def test_a_relay_sees_no_content() -> None:
    async def main() -> None:
        secret = b"what only the two of them may read" * 20
        seen = bytearray()
        async with homes() as it:
            peer = await it.a.connect(it.way_to_b)
            sessions = [p.session for p in it.relay.peers()]
            for session in sessions:
                carry = session.send_datagram

                def tap(protocol: str, payload: bytes, carry=carry) -> bool:  # type: ignore[no-untyped-def]
                    seen.extend(payload)
                    return bool(carry(protocol, payload))

                object.__setattr__(session, "send_datagram", tap)
            assert await peer.request(ECHO.id, secret) == secret
        assert len(seen) > 2 * len(secret) and secret[:34] not in seen

    run(main(), seed=1)


def test_too_many_circuits_of_one_peer_are_refused() -> None:
    async def main() -> None:
        async with homes(settings={"max_circuits_per_peer": 1}) as it:
            await it.a.connect(it.way_to_b)
            async with open_node(it.net.platform("192.168.9.2")) as c:
                it.net.partition(["192.168.9.2"], [HOME_A, HOME_B])
                await c.connect(it.relay.addresses[0])
                with pytest.raises(PeerUnreachable, match="enough circuits"):
                    await c.connect(it.way_to_b)

    run(main(), seed=1)


def test_a_circuit_ends_at_its_limit_of_bytes() -> None:
    async def main() -> None:
        async with homes(settings={"circuit_bytes": 100_000}) as it:
            peer = await it.a.connect(it.way_to_b)
            await peer.request(ECHO.id, bytes(20_000))
            with pytest.raises(PeerkitError):
                await peer.request(ECHO.id, bytes(100_000), timeout_s=60)

    run(main(), seed=1)


def test_a_session_outlives_its_circuits() -> None:
    async def main() -> None:
        async with homes(settings={"circuit_s": 30, "circuit_bytes": 400_000}) as it:
            peer = await it.a.connect(it.way_to_b)
            for _ in range(20):
                await asyncio.sleep(6)
                assert await peer.request(ECHO.id, bytes(20_000)) == bytes(20_000)
            assert peer.session.is_open and peer.session.transport == "relay"

    run(main(), seed=1)


def test_a_network_of_loopback_and_private_hosts_asks_for_no_relay_it_cannot_name() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(net.platform(HOME_A)) as a, open_node(net.platform(HOME_B)) as b:
            await a.connect(b.addresses[0])
            await asyncio.sleep(20)
            assert not [x for x in (*a.addresses, *b.addresses) if x.via is not None]

    run(main(), seed=1)
