"""A transient session becomes a member's, without another handshake."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from peerkit import Node, Peer, ProtocolSpec
from peerkit._runtime.membership import MAX_ASKED
from peerkit._runtime.session import RuntimeSession
from peerkit._session import frames
from peerkit.errors import DeadlineExceeded, LimitExceeded, PeerkitError, PeerUnreachable
from peerkit.event import PeerConnected
from peerkit.session import Purpose
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import open_node

ECHO = ProtocolSpec("echo", "1.0.0", on_request=lambda r: r.payload)


async def two_nodes(
    stack: AsyncExitStack, net: SimNetwork, *protocols: ProtocolSpec, **second: object
) -> tuple[Node, Node]:
    a = await stack.enter_async_context(open_node(net, *(protocols or (ECHO,))))
    b = await stack.enter_async_context(open_node(net, *(protocols or (ECHO,)), settings=second))
    return a, b


def test_the_same_session_is_the_members_and_its_protocols_start() -> None:
    started: list[Peer] = []

    async def on_peer(peer: Peer) -> None:
        started.append(peer)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork(), ProtocolSpec("p", "1", on_peer=on_peer), ECHO)
            async with a.pool.transient(b.record) as session:
                await session.request("echo", b"x")
                assert not started
                peer, again = await asyncio.gather(a.connect(b.peer_id), a.connect(b.record))
                assert peer is again and peer.session is session and session.purpose is Purpose.MEMBER
                await asyncio.sleep(1)
            await asyncio.sleep(60)  # longer than an idle transient session lives
            assert session.is_open and len(a.pool.sessions()) == len(b.pool.sessions()) == 1
            assert {p.id for p in started} == {a.peer_id, b.peer_id} and len(started) == 2
            assert [p.id for p in b.peers()] == [a.peer_id]
            assert sum(isinstance(e.event, PeerConnected) for e in b.events.recent()) == 1

    run(main(), seed=1)


def test_a_full_peer_refuses_and_the_session_serves_on() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork(), slots={"member_in": 0})
            async with a.pool.transient(b.record) as session:
                with pytest.raises(LimitExceeded, match="has no place: all member_in slots are in use"):
                    await a.connect(b.peer_id)
                assert await session.request("echo", b"x") == b"x"
                assert session.purpose is Purpose.TRANSIENT and not a.peers() and not b.peers()

    run(main(), seed=1)


def test_slots_are_counted_once_each() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(
                stack, SimNetwork(), slots={"member_in": 1, "transient_in": 1, "member_out": 0, "transient_out": 0}
            )
            for _ in range(3):
                async with a.pool.transient(b.record):
                    peer = await a.connect(b.peer_id)
                with pytest.raises(PeerkitError):
                    await b.connect(a.record.addresses[0].without_peer())  # b has no outbound slot
                await peer.close()
                await asyncio.sleep(1)
            assert not a.pool.sessions() and not b.pool.sessions()

    run(main(), seed=1)


def test_two_that_ask_each_other_at_once_end_with_one_member() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork())
            lent = a.pool.transient(b.record), b.pool.transient(a.record)
            sessions = await asyncio.gather(*(stack.enter_async_context(each) for each in lent))
            assert all(session.is_dialer for session in sessions)
            peers = await asyncio.gather(a.connect(b.record), b.connect(a.record))
            assert [p.id for p in peers] == [b.peer_id, a.peer_id]
            assert await peers[0].request("echo", b"x") == await peers[1].request("echo", b"x")
            await asyncio.sleep(30)
            assert len(a.pool.sessions()) == len(b.pool.sessions()) == 1
            assert a.peers()[0].session.is_dialer != b.peers()[0].session.is_dialer

    run(main(), seed=3)


def test_a_peer_that_says_nothing_is_dialled_afresh() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, net)
            async with a.pool.transient(b.record):
                net.partition([a.addresses[0].host], [b.addresses[0].host])
                with pytest.raises((DeadlineExceeded, PeerUnreachable)):
                    await a.connect(b.record, timeout_s=5)
                net.heal()
            peer = await a.connect(b.record)
            assert await peer.request("echo", b"x") == b"x"

    run(main(), seed=1)


@pytest.mark.parametrize("asks", ["the dialer, without end", "the acceptor"])
def test_asking_where_one_may_not_ends_the_session(asks: str) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork(), slots={"member_in": 0})
            async with a.pool.transient(b.record) as session:
                await session.request("echo", b"x")
                asker = a if asks.startswith("the dialer") else b
                (ours,) = asker.pool.sessions()
                assert isinstance(ours, RuntimeSession)
                for _ in range(MAX_ASKED + 1 if asker is a else 1):
                    ours.mux.outgoing.control(frames.join())
                ours.carrier.wake()
                assert "asked for membership" in await session.wait_closed()

    run(main(), seed=1)
