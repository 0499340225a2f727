"""Lookups on a swarm of whole nodes, judged against brute force.  Used by the test and by benchmarks."""

import asyncio
import gc
import hashlib
import statistics
from dataclasses import dataclass

from peerkit import Node
from peerkit.capabilities import PEER_ROUTING, Lookup, PeerRouting
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
SETTLE_S = 30.0  # for the last joins to end; they take some seconds
AT_ONCE = 10  # lookups, each of another node


@dataclass(frozen=True, slots=True)
class LookupReport:
    """What `measure` found.

    Attributes:
        exact: share of lookups whose k = 20 peers are the 20 nearest of all live nodes but the asker, in their order,
            as sorting all of them by the distance of their keys says (brute force; not what the lookup says of itself).
        found: share of those 20 that the lookups returned.
        hops, queried: the median, and the most of any lookup.
        lookup_s: median virtual seconds of a lookup.
        sessions: streams opened, and so handshakes made, for each node.
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
    sessions: float


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
    net, probe = SimNetwork(latency_s=(0.025, 0.075)), _Probe()
    plugins = {"probe": PluginSpec(Settings, probe, requires=(PEER_ROUTING,))}
    before = gc.get_threshold()
    gc.set_threshold(20_000, 10, 10)  # some million objects live to the end: by default they are walked all the time
    try:
        async with Swarm(net, PROFILE, bootstraps=max(1, node_count // 50), plugins=plugins) as swarm:
            nodes = await swarm.start(node_count, apart_s=apart_s)
            await asyncio.sleep(SETTLE_S)
            found = await _look_up(net, nodes, probe, lookup_count)
            streams = net.streams
    finally:
        gc.set_threshold(*before)
    return _sum_up(node_count, found, streams / node_count)


@dataclass(frozen=True, slots=True)
class _Found:
    wanted: list[PeerId]
    lookup: Lookup
    seconds: float


async def _look_up(net: SimNetwork, nodes: list[Node], probe: _Probe, count: int) -> list[_Found]:
    everybody = [node.peer_id for node in nodes]

    async def one(asker: PeerId, key: bytes) -> _Found:
        before = net.loop.time()
        lookup = await probe.routing[asker].closest_peers(key, K)
        seconds = net.loop.time() - before
        others = [peer for peer in everybody if peer != asker]
        return _Found(nearest(int.from_bytes(key, "big"), others), lookup, seconds)

    found: list[_Found] = []
    for first in range(0, count, AT_ONCE):
        askers = net.rng.sample(everybody, min(AT_ONCE, count - first))
        found += await asyncio.gather(*(one(asker, net.rng.randbytes(32)) for asker in askers))
    return found


def _sum_up(node_count: int, found: list[_Found], sessions: float) -> LookupReport:
    got = [[record.peer_id for record in each.lookup.closest] for each in found]
    return LookupReport(
        nodes=node_count,
        lookups=len(found),
        exact=statistics.mean(peers == each.wanted for peers, each in zip(got, found, strict=True)),
        found=statistics.mean(
            len({*peers} & {*each.wanted}) / len(each.wanted) for peers, each in zip(got, found, strict=True)
        ),
        hops=statistics.median(each.lookup.hops for each in found),
        most_hops=max(each.lookup.hops for each in found),
        queried=statistics.median(each.lookup.queried for each in found),
        most_queried=max(each.lookup.queried for each in found),
        lookup_s=statistics.median(each.seconds for each in found),
        sessions=sessions,
    )
