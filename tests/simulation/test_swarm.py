"""Whole nodes on the simulated network: real handshakes, and everything that can go wrong between them."""

import asyncio
from pathlib import Path

import pytest

from peerkit import Node, ProtocolSpec, Request
from peerkit.errors import PeerkitError
from peerkit.testing import SimNetwork, Swarm, run

pytestmark = pytest.mark.simulation

PROFILE = {"node": {"extends": "local", "disable": ["discovery_kademlia", "search", "warehouse"]}}
ECHO = "example.org/echo"


def _echo(_: int) -> list[ProtocolSpec]:
    def answer(request: Request) -> bytes:
        return request.payload

    return [ProtocolSpec(ECHO, "1.0.0", on_request=answer)]


async def _ask(node: Node, other: Node, payload: bytes = b"hello") -> bytes:
    peer = await node.connect(other.addresses[0])
    return await peer.request(ECHO, payload)


def test_nodes_talk_over_a_network_that_loses_and_delays() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.01, 0.2), jitter_s=0.05, loss=0.05)
        async with Swarm(net, PROFILE, protocols=_echo) as swarm:
            nodes = await swarm.start(6)
            for node in nodes:
                for other in nodes:
                    if other is not node:
                        assert await _ask(node, other, bytes(30_000)) == bytes(30_000)
            assert {len(node.peers()) for node in nodes} == {5}
            assert all(str(node.addresses[0].host) == swarm.ip_of(node) for node in nodes)

    run(main(), seed=4)


def test_the_same_seed_gives_the_same_run_with_all_its_handshakes() -> None:
    async def main() -> tuple[list[str], list[tuple[float, int]], int, float]:
        net = SimNetwork(latency_s=(0.01, 0.1), jitter_s=0.02, loss=0.02)
        async with Swarm(net, PROFILE, protocols=_echo) as swarm:
            nodes = await swarm.start(8)
            trace: list[tuple[float, int]] = []
            for number in range(20):
                await _ask(nodes[number * 3 % 8], nodes[(number * 5 + 1) % 8])
                trace.append((net.loop.time(), net.bytes))
            await asyncio.sleep(120)
        return [str(node.peer_id) for node in nodes], trace, net.packets, net.loop.time()

    first = run(main(), seed=1)
    assert first == run(main(), seed=1)
    assert first != run(main(), seed=2)


def test_a_partition_parts_and_healing_joins() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with Swarm(net, PROFILE, protocols=_echo) as swarm:
            a, b = await swarm.start(2)
            assert await _ask(a, b) == b"hello"
            net.partition([swarm.ip_of(a)], [swarm.ip_of(b)])
            with pytest.raises(PeerkitError):
                await a.peers()[0].request(ECHO, b"hello?", timeout_s=5)
            net.heal()
            await asyncio.sleep(60)
            assert await _ask(a, b) == b"hello"

    run(main())


def test_a_crashed_node_is_noticed_and_comes_back_as_the_same_peer(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        async with Swarm(net, PROFILE, protocols=_echo, data_dir=tmp_path) as swarm:
            a, b = await swarm.start(2)
            assert await _ask(a, b) == b"hello"
            address, peer_id, ip = b.addresses[0], b.peer_id, swarm.ip_of(b)
            await swarm.crash(b)
            assert swarm.nodes == [a]
            await asyncio.sleep(300)
            assert a.peers() == ()  # nothing was said, and still it is known to be gone
            with pytest.raises(PeerkitError):
                await a.connect(address, timeout_s=5)
            again = await swarm.restart(ip)
            assert again.peer_id == peer_id
            assert again.addresses[0] == address
            await asyncio.sleep(600)  # the back-off of a
            assert await _ask(a, again) == b"hello"

    run(main())


def test_a_node_that_leaves_says_goodbye() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with Swarm(net, PROFILE, protocols=_echo) as swarm:
            a, b = await swarm.start(2)
            await _ask(a, b)
            await swarm.stop(b)
            await asyncio.sleep(1)
            assert a.peers() == ()

    run(main())


def test_a_first_question_takes_one_record_each_way_and_the_handshake_measures_the_way() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.05, 0.05))
        one, other = net.platform(), net.platform()
        listen = {"node": {"listen": [f"tcp://{other.ip}:4433"]}}
        async with (
            Node.open(PROFILE, platform=one, settings={"node": {"listen": []}}, protocols=_echo(0)) as a,
            Node.open(PROFILE, platform=other, settings=listen, protocols=_echo(0)) as b,
        ):
            before = net.packets
            async with a.pool.transient(b.addresses[0]) as session:
                assert await session.request(ECHO, b"hello") == b"hello"
                connecting, handshake = 2, 3  # XX: nobody knew the other's key
                assert net.packets - before == connecting + handshake + 2
                assert session.record is not None, "it came with the answer"
                assert session.stats.rtt_s == pytest.approx(0.1)
                assert b.pool.sessions()[0].rtt_s == pytest.approx(0.1, abs=0.01)

    run(main())


def test_a_session_that_asks_nothing_says_who_it_is_all_the_same() -> None:
    async def main() -> None:
        net = SimNetwork(latency_s=(0.05, 0.05))
        one, other = net.platform(), net.platform()
        listen = {"node": {"listen": [f"tcp://{other.ip}:4433"]}}
        async with (
            Node.open(PROFILE, platform=one, settings={"node": {"listen": []}}) as a,
            Node.open(PROFILE, platform=other, settings=listen) as b,
            a.pool.transient(b.addresses[0]) as session,
        ):
            await asyncio.sleep(0.2)
            assert session.record is not None
            assert b.pool.sessions()[0].record is not None

    run(main())


def test_a_node_that_cannot_start_fails_the_start() -> None:
    async def main() -> None:
        async with Swarm(SimNetwork(), {"node": {**PROFILE["node"], "bogus": 1}}) as swarm:
            with pytest.raises(PeerkitError, match="bogus"):
                await swarm.start(1)

    run(main())
