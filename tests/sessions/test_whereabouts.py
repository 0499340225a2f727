"""A bare peer id: the address book, and when that leads nowhere, the plugins that route to peers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from peerkit import Node
from peerkit.capabilities import PEER_ROUTING, Lookup
from peerkit.errors import NotFound, PeerUnreachable
from peerkit.identity import Identity, PeerId
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.record import PeerRecord
from peerkit.testing import SimNetwork, run
from tests.sessions.nodes import open_node

Find = Callable[[PeerId], Awaitable[PeerRecord | None]]


class Directory:
    """Peer routing that answers what the test says."""

    def __init__(self, ctx: PluginContext[Settings], find: Find) -> None:
        self._find = find
        ctx.provide(PEER_ROUTING, self)

    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        return await self._find(peer_id)

    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        raise NotFound("nobody")


def directory(find: Find) -> dict[str, PluginSpec[Settings]]:
    return {"directory": PluginSpec(Settings, lambda ctx: Directory(ctx, find), provides=(PEER_ROUTING,))}


def test_a_peer_that_has_moved_is_looked_up_and_found(tmp_path: Path) -> None:
    asked: list[PeerId] = []
    moved: list[Node] = []

    async def find(peer_id: PeerId) -> PeerRecord | None:
        asked.append(peer_id)
        return moved[0].record

    async def main() -> None:
        net = SimNetwork()
        async with open_node(net, plugins=directory(find)) as asker:
            async with open_node(net, data_dir=tmp_path) as before:
                wanted = before.peer_id
                await asker.connect(before.addresses[0])
            await asyncio.sleep(5)
            assert not asker.peers() and not asked, "whom the address book knows is not looked up"
            async with open_node(net, data_dir=tmp_path) as after:
                moved.append(after)
                assert after.peer_id == wanted
                assert (await asker.connect(wanted)).session.remote.host == after.addresses[0].host
                assert asked == [wanted]

    run(main(), seed=1)


async def nobody(_peer_id: PeerId) -> PeerRecord | None:
    return None


async def nothing_found(_peer_id: PeerId) -> PeerRecord | None:
    raise NotFound("nobody")


async def broken(_peer_id: PeerId) -> PeerRecord | None:
    raise ZeroDivisionError


@pytest.mark.parametrize("find", [nobody, nothing_found, broken])
def test_an_id_that_nobody_knows_is_unreachable_whatever_routing_does(find: Find) -> None:
    async def main() -> None:
        async with open_node(SimNetwork(), plugins=directory(find)) as asker:
            with pytest.raises(PeerUnreachable, match="no address is known"):
                await asker.connect(Identity(bytes(32)).peer_id)

    run(main(), seed=1)


def test_an_address_that_was_given_is_not_replaced_by_another() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with open_node(net) as other:

            async def find(_peer_id: PeerId) -> PeerRecord | None:
                return other.record

            async with open_node(net, plugins=directory(find)) as asker:
                with pytest.raises(PeerUnreachable):
                    await asker.connect(f"tcp://192.0.2.77:1/{other.peer_id}")

    run(main(), seed=1)
