"""Many whole nodes on one simulated network.

    async def main() -> None:
        net = SimNetwork()
        async with Swarm(net, {"node": {"extends": "local"}}) as swarm:
            await swarm.start(20)
            await swarm.nodes[3].connect(swarm.nodes[7].addresses[0])

    peerkit.testing.run(main(), seed=1)

The nodes are real: real handshakes, real plugins, real records.  Only wire, clock and disk are simulated.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

from .._host.plan import AnySpec
from ..node import Node
from ..protocol import ProtocolSpec
from .nat_kinds import NatKind
from .sim_network import SimNetwork
from .sim_platform import SimPlatform

PORT = 4_433


class Swarm:
    """Starts nodes, each on a host of its own, and stops those that still run in the end.

    Args:
        net: the network between them.
        profile: of every node; `listen` and `bootstrap` are set by the swarm.
        bootstraps: how many of the first nodes the others know at their start; each knows one of them.
        protocols: makes the application's protocols of one node from its number.
        plugins: specs beside the installed ones, as for `Node.open`.
        data_dir: a folder for the nodes' data directories, `<ip>` each; without one a node is a new one at each start.
    """

    def __init__(
        self,
        net: SimNetwork,
        profile: str | Path | Mapping[str, object] = "local",
        *,
        bootstraps: int = 1,
        protocols: Callable[[int], Sequence[ProtocolSpec]] = lambda number: (),  # noqa: ARG005
        plugins: Mapping[str, AnySpec] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.net = net
        self._profile = profile
        self._bootstraps = bootstraps
        self._protocols = protocols
        self._plugins = plugins
        self._data_dir = data_dir
        self._members: dict[str, _Member] = {}  # by IP, in the order of their start
        self._first: list[str] = []  # addresses of the bootstrap nodes

    async def __aenter__(self) -> "Swarm":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(member.stop() for member in self._members.values()))

    @property
    def nodes(self) -> list[Node]:
        """Those that run, in the order of their start."""
        return [member.node for member in self._members.values() if member.node is not None]

    def ip_of(self, node: Node) -> str:
        return next(ip for ip, member in self._members.items() if member.node is node)

    async def start(self, count: int = 1, *, apart_s: float = 0.1, behind: Sequence[NatKind] = ()) -> list[Node]:
        """Start `count` nodes on new hosts, one every `apart_s` (virtual), and wait until all run.

        Args:
            behind: the NATs of each of them, from the host outwards; no two hosts share one.

        Raises what `Node.open` raises for one of them.
        """
        members: list[_Member] = []
        for _ in range(count):
            members.append(self._begin(self.net.platform(behind=self.net.nat(*behind))))
            if len(self._first) < self._bootstraps:
                node = await members[-1].started()
                self._first.append(str(node.addresses[0]))
            elif apart_s:
                await asyncio.sleep(apart_s)
        return [await member.started() for member in members]

    async def stop(self, node: Node) -> None:
        """Let a node leave in good order."""
        await self._members[self.ip_of(node)].stop()

    async def crash(self, node: Node) -> None:
        """Kill a node: its peers hear nothing."""
        ip = self.ip_of(node)
        self.net.crash(ip)
        await self._members[ip].stop()

    async def restart(self, ip: str) -> Node:
        """Start a node again on a host whose node stopped or crashed.  With `data_dir` it is the same node."""
        self.net.bring_up(ip)
        return await self._begin(self.net.platform(ip)).started()

    def _begin(self, platform: SimPlatform) -> "_Member":
        number = len(self._members)
        member = self._members[platform.ip] = _Member()
        table: dict[str, object] = {"listen": [f"tcp://{platform.ip}:{PORT}"]}
        if self._first:
            table["bootstrap"] = [self._first[number % len(self._first)]]
        protocols = self._protocols(number)
        data_dir = self._data_dir / platform.ip if self._data_dir else None
        settings = {"node": table}

        async def live() -> None:
            async with Node.open(
                self._profile,
                data_dir=data_dir,
                protocols=protocols,
                plugins=self._plugins,
                settings=settings,
                platform=platform,
            ) as node:
                member.node = node
                member.is_started.set()
                await member.is_wanted_gone.wait()
                member.node = None

        member.run(live(), platform.ip)
        return member


class _Member:
    """One node and the task that it lives in."""

    def __init__(self) -> None:
        self.node: Node | None = None
        self.is_started = asyncio.Event()
        self.is_wanted_gone = asyncio.Event()
        self._task: asyncio.Task[None]

    def run(self, life: Coroutine[object, object, None], name: str) -> None:
        self._task = asyncio.get_running_loop().create_task(life, name=f"node {name}")
        self._task.add_done_callback(lambda _: self.is_started.set())

    async def started(self) -> Node:
        await self.is_started.wait()
        if self.node is None:
            await self._task  # raises what stopped it
            raise RuntimeError("the node was stopped while it started")
        return self.node

    async def stop(self) -> None:
        has_run = self.node is not None  # else `started` has told why not
        self.is_wanted_gone.set()
        await asyncio.wait([self._task])
        if has_run and not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error
