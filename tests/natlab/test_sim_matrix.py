"""The matrix over UDP on the simulated network, in virtual time: the verdicts of `make natlab` without its routers."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from peerkit import Node
from peerkit.errors import PeerkitError
from peerkit.identity import PeerId
from peerkit.session import Session
from peerkit.testing import NATS, SimNetwork, SimPlatform, run
from peerkit.transport import PathKind
from tests.natlab.nodes import HELPFUL, PORT, helpers
from tests.natlab.promises import Cell

KINDS = tuple(NATS)
PUBLIC_NODES = 3
KNOWN_S = 60.0  # until a node has found out how others reach it
SESSION_S = 20.0

pytestmark = pytest.mark.skipif(len(helpers()) < len(HELPFUL), reason=f"needs {', '.join(HELPFUL)}")


class SimMatrix:
    """A dialer and a listener behind each kind, and public nodes that all of them know."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._net = SimNetwork(latency_s=(0.02, 0.03))
        self.dialers: dict[str, Node] = {}
        self.listeners: dict[str, Node] = {}

    async def start(self) -> None:
        public = [await self._open(self._net.platform(f"45.{i}.0.1"), ("udp", "tcp")) for i in range(1, 4)]
        for nodes in (self.dialers, self.listeners):
            for kind in KINDS:
                nats = NATS[kind]
                ip = "" if nats else f"45.{100 + len(self.dialers)}.0.1"
                platform = self._net.platform(ip or None, behind=self._net.nat(*nats) if nats else None)
                node = nodes[kind] = await self._open(platform, ("udp",))
                scheme = "tcp" if any(nat.blocks_udp for nat in nats) else "udp"
                for other in public:
                    await node.connect(next(a for a in other.addresses if a.scheme == scheme))
        await asyncio.sleep(KNOWN_S)

    async def _open(self, platform: SimPlatform, schemes: tuple[str, ...]) -> Node:
        enable = ["secure_noise", "transport_udp", "transport_tcp", *HELPFUL]
        listen = [f"{scheme}://0.0.0.0:{PORT}" for scheme in schemes]
        profile = {"node": {"network": "natlab", "listen": listen, "enable": enable}}
        return await self._stack.enter_async_context(Node.open(profile, platform=platform))

    async def path(self, dialer: str, listener: str) -> str:
        """Connect; the kind of path in the end."""
        target = self.listeners[listener]
        public = [a for a in target.addresses if not a.is_local]
        ways = [a for scheme in ("udp", "relay") for a in public if a.scheme == scheme]
        for way in ways:
            try:
                await self.dialers[dialer].connect(way)
                break
            except PeerkitError:
                continue
        else:
            return f"nothing leads there: {ways}"
        await asyncio.sleep(SESSION_S)
        return _path(self.dialers[dialer], target.peer_id)


def _path(node: Node, peer_id: PeerId) -> str:
    found: list[Session] = [peer.session for peer in node.peers() if peer.id == peer_id]
    kinds = {path.kind for session in found for path in session.paths if path.is_active}
    return "" if not kinds else "direct" if kinds == {PathKind.DIRECT} else "relayed"


def test_the_simulated_routers_give_the_verdicts_that_are_promised_of_real_ones() -> None:
    async def main() -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        async with AsyncExitStack() as stack:
            made = SimMatrix(stack)
            await made.start()
            for step in range(len(KINDS)):  # one pair of each node: for one birthday at a time it probes
                pairs = list(zip(KINDS, KINDS[step:], strict=False))
                paths = await asyncio.gather(*(made.path(*pair) for pair in pairs))
                found |= dict(zip(pairs, paths, strict=True))
        return found

    found = run(main(), seed=1)
    promised = {pair: "direct" if Cell(*pair, "udp", ()).promises_direct else "relayed" for pair in found}
    promised["udp_blocked", "udp_blocked"] = "direct"  # by a TCP simultaneous open, as these two do over TCP
    assert len(found) == 45 and found == promised
