"""The pool: joining and leaving, slots, tie-break, shared dials, liveness, the way back."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from peerkit import Node, Peer, ProtocolSpec
from peerkit.address import Address, Contact
from peerkit.errors import ConnectFailed, LimitExceeded, PeerkitError, PeerUnreachable, TrustDenied
from peerkit.event import PeerConnected, PeerDisconnected
from peerkit.session import Code
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import open_node

ECHO = ProtocolSpec("echo", "1.0.0", on_request=lambda r: r.payload)


async def some_nodes(
    stack: AsyncExitStack, net: SimNetwork, n: int, *protocols: ProtocolSpec, **node: object
) -> list[Node]:
    speak = protocols or (ECHO,)
    return [await stack.enter_async_context(open_node(net, *speak, settings=node)) for _ in range(n)]


def test_protocols_start_for_each_member_and_end_when_it_leaves() -> None:
    log: list[str] = []

    async def on_peer(peer: Peer) -> None:
        log.append("start")
        try:
            await asyncio.Event().wait()
        finally:
            log.append("end")

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await some_nodes(stack, SimNetwork(), 2, ProtocolSpec("p", "1", on_peer=on_peer))
            peer = await a.connect(b.addresses[0])
            await asyncio.sleep(1)
            assert log == ["start", "start"] and [p.id for p in b.peers()] == [a.peer_id]
            await peer.close(reason="enough")
            await asyncio.sleep(60)  # and neither dials the other again by itself
            assert log == ["start", "start", "end", "end"] and not a.peers() and not b.peers()
            events = [e.event for e in b.events.recent()]
            assert [type(e) for e in events if isinstance(e, PeerConnected | PeerDisconnected)] == [
                PeerConnected,
                PeerDisconnected,
            ]
            left = next(e for e in events if isinstance(e, PeerDisconnected))
            assert left.reason == "enough" and left.by_peer

    run(main(), seed=1)


@pytest.mark.parametrize("must_be_at", ["dialer", "acceptor"])
def test_a_mandatory_protocol_that_one_lacks_keeps_both_apart(must_be_at: str) -> None:
    must = ProtocolSpec("must", "1.0", mandatory=True, on_request=lambda r: b"")

    async def main() -> None:
        net = SimNetwork()
        async with (
            open_node(net, ECHO, *([must] if must_be_at == "dialer" else [])) as a,
            open_node(net, ECHO, *([must] if must_be_at == "acceptor" else [])) as b,
        ):
            with pytest.raises(PeerkitError):
                await a.connect(b.addresses[0])
            await asyncio.sleep(5)
            assert not a.peers() and not b.peers()

    run(main(), seed=1)


@pytest.mark.parametrize("seed", range(8))
def test_two_that_dial_each_other_at_once_share_one_session(seed: int) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await some_nodes(stack, SimNetwork(), 2)
            at_a, at_b = await asyncio.gather(a.connect(b.addresses[0]), b.connect(a.addresses[0]))
            await asyncio.sleep(5)
            assert len(a.pool.sessions()) == len(b.pool.sessions()) == 1
            assert at_a.session.transcript_hash == at_b.session.transcript_hash
            assert at_a.session.is_dialer == (a.peer_id < b.peer_id)
            assert await at_a.request("echo", b"1") == b"1" and await at_b.request("echo", b"2") == b"2"

    run(main(), seed=seed)


def test_concurrent_calls_share_one_dial_and_one_may_give_up() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await some_nodes(stack, SimNetwork(), 2)
            calls = [asyncio.create_task(a.connect(b.addresses[0])) for _ in range(5)]
            await asyncio.sleep(0.01)
            calls[0].cancel()
            peers = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(peers[0], asyncio.CancelledError)
            assert all(p is peers[1] for p in peers[1:]) and len(b.pool.sessions()) == 1

    run(main(), seed=2)


def test_a_full_node_says_so() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            net = SimNetwork()
            (hub,) = await some_nodes(stack, net, 1, slots={"member_in": 1})
            first, second = await some_nodes(stack, net, 2)
            await first.connect(hub.addresses[0])
            with pytest.raises(LimitExceeded, match="all member_in slots are in use"):
                await second.connect(hub.addresses[0])
            assert len(hub.peers()) == 1 and not second.peers()

    run(main(), seed=1)


def test_idle_strangers_make_room_for_new_ones() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            net = SimNetwork()
            quiet = {"member_out": 0}
            (hub,) = await some_nodes(stack, net, 1, slots={"transient_in": 1, **quiet})
            first, second = await some_nodes(stack, net, 2, slots=quiet)
            async with first.pool.transient(hub.record) as session:
                assert await session.request("echo", b"1") == b"1"
            with pytest.raises(PeerkitError, match="all transient_in slots are in use"):
                async with second.pool.transient(hub.record) as session:
                    await session.request("echo", b"2")
            await asyncio.sleep(2)
            async with second.pool.transient(hub.record) as session:
                assert await session.request("echo", b"2") == b"2"

    run(main(), seed=1)


def test_one_neighbourhood_gets_a_share_of_the_inbound_slots() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            net = SimNetwork()
            hub = await stack.enter_async_context(
                open_node(net, ECHO, platform=net.platform("198.18.0.1"), settings={"slots": {"member_in": 8}})
            )
            for host in range(1, 4):
                platform = net.platform(f"9.9.9.{host}")
                node = await stack.enter_async_context(open_node(net, ECHO, platform=platform))
                if host <= 2:
                    await node.connect(hub.addresses[0])
                    continue
                with pytest.raises(LimitExceeded, match="all member_in slots are in use"):
                    await node.connect(hub.addresses[0])
            elsewhere = await stack.enter_async_context(open_node(net, ECHO, platform=net.platform("9.9.8.1")))
            await elsewhere.connect(hub.addresses[0])
            assert len(hub.peers()) == 3

    run(main(), seed=1)


def test_transient_sessions_are_shared_and_close_when_idle() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await some_nodes(stack, SimNetwork(), 2, slots={"member_out": 0})
            for _ in range(3):
                async with a.pool.transient(b.record) as session:
                    assert await session.request("echo", b"x") == b"x"
            assert len(a.pool.sessions()) == 1 and not a.peers() and not b.peers()
            await asyncio.sleep(20)
            assert not a.pool.sessions() and not b.pool.sessions()
            assert session.close_code in (Code.IDLE,)  # type: ignore[attr-defined]

    run(main(), seed=1)


def test_a_silent_member_is_dropped_and_found_again_after_the_partition() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(net, ECHO) as hub:
            platform = net.platform()
            async with open_node(net, ECHO, platform=platform, settings={"bootstrap": [str(hub.addresses[0])]}) as node:
                await asyncio.sleep(10)
                assert len(node.peers()) == len(hub.peers()) == 1
                hub_ip = hub.addresses[0].host
                net.partition([hub_ip], [platform.ip])
                await asyncio.sleep(120)
                assert not node.peers() and not hub.peers()
                net.heal()
                await asyncio.sleep(120)
                assert len(node.peers()) == len(hub.peers()) == 1

    run(main(), seed=3)


def test_a_node_that_listens_nowhere_works_in_full() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(net, ECHO) as hub, open_node(net, ECHO, settings={"listen": []}) as shy:
            assert shy.record.is_client and not shy.addresses
            await shy.connect(hub.addresses[0])
            assert await hub.peers()[0].request("echo", b"to the one behind the NAT") == b"to the one behind the NAT"

    run(main(), seed=1)


def test_the_expected_peer_must_answer() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b, c = await some_nodes(stack, SimNetwork(), 3)
            wrong = b.addresses[0].with_peer(c.peer_id)
            with pytest.raises(PeerUnreachable):
                await a.connect(wrong)
            await asyncio.sleep(1)
            assert not a.peers() and not b.peers()
            with pytest.raises(PeerUnreachable, match="our own identity"):
                await a.connect(a.addresses[0])
            with pytest.raises(PeerUnreachable, match="no address is known"):
                await a.connect(c.peer_id)

    run(main(), seed=1)


@pytest.mark.parametrize("listen", [["tcp"], ["tcp", "udp"]])
def test_of_several_addresses_the_preferred_transport_that_answers_wins(listen: list[str]) -> None:
    async def main() -> None:
        net = SimNetwork()
        here, there = net.platform(), net.platform()
        addresses = [f"{scheme}://{there.ip}:0" for scheme in listen]
        async with (
            open_node(net, ECHO, platform=here) as a,
            open_node(net, ECHO, platform=there, settings={"listen": addresses}) as b,
        ):
            dead = Address("tcp", net.platform().ip, 1, b.peer_id)
            peer = await a.connect(Contact(b.peer_id, (dead, *b.addresses)))
            assert peer.session.remote.scheme == listen[-1]

    run(main(), seed=1)


def test_two_networks_never_meet() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with (
            open_node(net, ECHO, settings={"network": "one"}) as a,
            open_node(net, ECHO, settings={"network": "two"}) as b,
        ):
            with pytest.raises(PeerUnreachable):
                await a.connect(b.addresses[0])
            assert not a.peers() and not b.peers()

    run(main(), seed=1)


def test_a_stranger_who_says_nothing_holds_up_nobody() -> None:
    """Karyon's pool does its handshakes one after another: one silent peer blocks all."""

    class Mute:
        def get_buffer(self, size_hint: int) -> bytearray:
            return bytearray(1000)

        def buffer_updated(self, nbytes: int) -> None: ...
        def pause_writing(self) -> None: ...
        def resume_writing(self) -> None: ...
        def connection_lost(self, reason: str) -> None:
            self.lost = True

    async def main() -> None:
        net = SimNetwork()
        async with open_node(net, ECHO) as hub, open_node(net, ECHO) as node:
            mutes = [Mute() for _ in range(10)]
            for mute in mutes:
                await net.platform().network.connect_stream(hub.addresses[0], lambda pipe, m=mute: m)  # type: ignore[misc]
            began_at = asyncio.get_running_loop().time()
            await node.connect(hub.addresses[0])
            assert asyncio.get_running_loop().time() - began_at < 1
            await asyncio.sleep(15)
            assert all(hasattr(mute, "lost") for mute in mutes)  # the deadline of 10 s ended them
            assert len(hub.peers()) == 1

    run(main(), seed=1)


def test_failed_addresses_are_not_hammered() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            net = SimNetwork()
            (a,) = await some_nodes(stack, net, 1)
            nobody = Address("tcp", net.platform().ip, 1)
            with pytest.raises(PeerUnreachable, match="refused"):
                await a.connect(nobody)
            with pytest.raises(PeerUnreachable, match="tried again in"):
                await a.connect(nobody)
            await asyncio.sleep(2)
            with pytest.raises(PeerUnreachable, match="refused"):
                await a.connect(nobody)

    run(main(), seed=1)


def test_the_gate_is_final() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(net, ECHO) as a, open_node(net, ECHO, settings={"trust_default": "deny"}) as closed:
            with pytest.raises(PeerkitError):
                await a.connect(closed.addresses[0])
            with pytest.raises(TrustDenied):
                await closed.connect(a.addresses[0])
            await asyncio.sleep(1)
            assert not a.peers() and not closed.peers() and not closed.pool.sessions()

    run(main(), seed=1)


def test_stopping_is_told_and_leaves_nothing_open() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(net, ECHO) as a:
            async with open_node(net, ECHO) as b:
                peer = await a.connect(b.addresses[0])
                waiting = asyncio.create_task(peer.session.wait_closed())
            assert await waiting == "the node stops"
            assert not a.peers()
            with pytest.raises((ConnectFailed, PeerUnreachable)):
                await a.connect(b.addresses[0])

    run(main(), seed=1)
