"""Lookups on a swarm of whole nodes, judged against brute force.  Used by the test and by benchmarks."""

import asyncio
import hashlib
import statistics
import time
from dataclasses import dataclass

from peerkit import Node
from peerkit.capabilities import PEER_ROUTING, PeerRouting
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import SimNetwork, Swarm

K = 20
PROFILE = {
    "node": {
        "extends": "local",
        "disable": ["search", "warehouse"],
        "slots": {"member_out": 3},  # members are for the plugins above; lookups need none
    }
}
SETTLE_S = 120.0  # for the last to join to be known: a few refreshes of what is near


@dataclass(frozen=True, slots=True)
class LookupReport:
    """What `measure` found.

    Attributes:
        exact: share of lookups whose 20 peers are the 20 nearest of all.
        found: share of those 20 that the lookups returned.
        hops, queried: the median, and the most of any lookup.
        lookup_s: median virtual seconds of a lookup.
        start_wall_s, lookups_wall_s: real seconds.
    """

    nodes: int
    lookups: int
    exact: float
    found: float
    hops: float
    most_hops: int
    queried: float
    most_queried: int
    lookup_s: float
    packets: int
    start_wall_s: float
    lookups_wall_s: float


class _Probe:
    """A plugin that keeps the routing of each node for the test."""

    def __init__(self) -> None:
        self.routing: dict[PeerId, PeerRouting] = {}

    def __call__(self, ctx: PluginContext[Settings]) -> object:
        self.routing[ctx.peer_id] = ctx.require(PEER_ROUTING)
        return self


def _position(peer: PeerId) -> int:
    """Where a peer stands in the key space (`docs/wire-format.md`)."""
    return int.from_bytes(hashlib.blake2b(peer.raw, digest_size=32).digest(), "big")


def nearest(key: int, peers: list[PeerId], count: int = K) -> list[PeerId]:
    return sorted(peers, key=lambda peer: _position(peer) ^ key)[:count]


async def measure(node_count: int, lookup_count: int, *, apart_s: float = 0.1) -> LookupReport:
    """Start the nodes, let them settle, and look up random keys from random nodes.  Run it under virtual time."""
    began = time.perf_counter()
    net, probe = SimNetwork(latency_s=(0.025, 0.075)), _Probe()
    plugins = {"probe": PluginSpec(Settings, probe, requires=(PEER_ROUTING,))}
    async with Swarm(net, PROFILE, bootstraps=max(1, node_count // 50), plugins=plugins) as swarm:
        nodes = await swarm.start(node_count, apart_s=apart_s)
        await asyncio.sleep(SETTLE_S)
        started = time.perf_counter()
        return await _look_up(net, nodes, probe, lookup_count, started - began)


async def _look_up(
    net: SimNetwork, nodes: list[Node], probe: _Probe, lookup_count: int, start_wall_s: float
) -> LookupReport:
    started, packets = time.perf_counter(), net.packets
    everybody = [node.peer_id for node in nodes]
    exact = found = 0
    hops: list[int] = []
    queried: list[int] = []
    seconds: list[float] = []
    for _ in range(lookup_count):
        asker = net.rng.choice(everybody)
        key = net.rng.randbytes(32)
        before = net.loop.time()
        lookup = await probe.routing[asker].closest_peers(key, K)
        seconds.append(net.loop.time() - before)
        wanted = nearest(int.from_bytes(key, "big"), [peer for peer in everybody if peer != asker])
        got = [record.peer_id for record in lookup.closest]
        exact += got == wanted
        found += len(set(got) & set(wanted))
        hops.append(lookup.hops)
        queried.append(lookup.queried)
    return LookupReport(
        nodes=len(nodes),
        lookups=lookup_count,
        exact=exact / lookup_count,
        found=found / (lookup_count * K),
        hops=statistics.median(hops),
        most_hops=max(hops),
        queried=statistics.median(queried),
        most_queried=max(queried),
        lookup_s=statistics.median(seconds),
        packets=net.packets - packets,
        start_wall_s=start_wall_s,
        lookups_wall_s=time.perf_counter() - started,
    )
