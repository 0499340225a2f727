"""A probe asks whether an address works now, and leaves everything else as it was."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from peerkit import Node
from peerkit.capabilities import Dialer
from peerkit.errors import DeadlineExceeded, PeerkitError, PeerUnreachable
from peerkit.identity import Identity
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import open_node


async def two_nodes(stack: AsyncExitStack, net: SimNetwork) -> tuple[Node, Node]:
    a = await stack.enter_async_context(open_node(net))
    b = await stack.enter_async_context(open_node(net))
    return a, b


def dialer(node: Node) -> Dialer:
    return node.pool


def test_a_probe_is_a_new_session_beside_the_members() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork())
            peer = await a.connect(b.addresses[0])
            async with dialer(a).probe(b.addresses[0].with_peer(b.peer_id)) as session:
                assert session.peer_id == b.peer_id
                assert session is not peer.session
                await asyncio.sleep(0.5)  # until its first packet is there
                assert len(b.pool.sessions()) == 2
                async with a.pool.transient(b.peer_id) as other:
                    assert other is peer.session, "nobody else gets the probe's"
            await asyncio.sleep(1)
            assert peer.session.is_open
            assert len(a.pool.sessions()) == len(b.pool.sessions()) == 1

    run(main(), seed=1)


def test_a_probe_wants_the_peer_that_is_named() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork())
            other = Identity(bytes(32)).peer_id
            with pytest.raises(PeerUnreachable):
                async with dialer(a).probe(b.addresses[0].with_peer(other)):
                    pass

    run(main(), seed=1)


def test_failures_do_not_count_against_the_address() -> None:
    """A stranger who lets us probe must not be able to keep us from dialling somebody."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            net = SimNetwork()
            a, b = await two_nodes(stack, net)
            where = b.addresses[0].with_peer(b.peer_id)
            net.unplug(where.host)
            for _ in range(40):  # more than there are slots
                with pytest.raises((DeadlineExceeded, PeerUnreachable)):
                    async with dialer(a).probe(where, timeout_s=0.5):
                        pass
            net.bring_up(where.host)
            await a.connect(where)
            async with dialer(a).probe(where):
                pass

    run(main(), seed=1)


def test_a_probe_that_its_peer_ends_gives_its_slot_back() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            a, b = await two_nodes(stack, SimNetwork())
            where = b.addresses[0].with_peer(b.peer_id)
            for _ in range(40):
                async with dialer(a).probe(where) as session:
                    await asyncio.sleep(0.5)
                    for theirs in b.pool.sessions():
                        await theirs.close()
                    await session.wait_closed()
            async with dialer(a).probe(where):
                pass
            with pytest.raises(PeerkitError):
                async with dialer(a).probe(a.addresses[0].with_peer(a.peer_id)):
                    pass

    run(main(), seed=1)
