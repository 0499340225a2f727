"""Which address of a peer is dialled when, under virtual time; `saw` is preferred to `tcp`."""

import asyncio
from dataclasses import replace

import pytest

from kernel.tests.datagram.nodes import ECHO, open_node
from kernel.tests.datagram.stop_and_wait import StopAndWait
from peerkit import Node
from peerkit._pool.slots import SlotClass
from peerkit.address import Address
from peerkit.datagram import DialAttempt
from peerkit.errors import PeerUnreachable
from peerkit.plugin import PluginSpec, Settings
from peerkit.record import PeerRecord
from peerkit.session import Purpose
from peerkit.testing import SimNetwork, run
from peerkit.transport import DatagramEndpoint

ONE_WAY_S = 0.02
BOTH = ("tcp", "saw")


class LateStopAndWait(StopAndWait):
    """Begins to dial some time after it was told to."""

    late_s = 0.0

    def dial(self, address: Address, endpoint: DatagramEndpoint, attempt: DialAttempt) -> None:
        self.ctx.call_later(self.late_s, lambda: super(LateStopAndWait, self).dial(address, endpoint, attempt))


def late(late_s: float) -> PluginSpec[Settings]:
    class Late(LateStopAndWait):
        pass

    Late.late_s = late_s
    return PluginSpec(Settings, Late)


def record_of(node: Node, **ports: int) -> PeerRecord:
    """The node's record, with other ports for some schemes."""
    addresses = tuple(replace(a, port=ports.get(a.scheme, a.port)) for a in node.record.addresses)
    return replace(node.record, addresses=addresses)


def network() -> SimNetwork:
    return SimNetwork(latency_s=(ONE_WAY_S, ONE_WAY_S))


@pytest.mark.parametrize("listen", [BOTH, BOTH[::-1]])
def test_the_preferred_transport_wins_whatever_the_order_of_the_record(listen: tuple[str, ...]) -> None:
    async def main() -> None:
        net = network()
        async with open_node(net) as a, open_node(net, schemes=listen) as b:
            began_at = a.clock.now()
            peer = await a.connect(b.record)
            assert peer.session.transport == "saw" and a.clock.now() - began_at < 0.25
            asked = [d.question.address for d in a.gate.decisions() if d.question.action.value == "dial"]
            assert {address.scheme for address in asked if address} == {"saw"}, "tcp was not even tried"

    run(main(), seed=1)


def test_the_next_transport_begins_a_quarter_of_a_second_later() -> None:
    async def main() -> None:
        net = network()
        async with open_node(net) as a, open_node(net, schemes=BOTH) as b:
            began_at = a.clock.now()
            peer = await a.connect(record_of(b, saw=9))  # nobody answers there, and nobody says so
            took_s = a.clock.now() - began_at
            assert peer.session.transport == "tcp"
            assert 0.25 < took_s < 0.25 + 10 * ONE_WAY_S
            await left_behind_nothing(a, b)

    run(main(), seed=1)


def test_a_refusal_lets_the_next_begin_at_once() -> None:
    class LessPreferred(StopAndWait):
        preference = 40

    async def main() -> None:
        net = network()
        async with (
            open_node(net, plugins={"stop_and_wait": PluginSpec(Settings, LessPreferred)}) as a,
            open_node(net, schemes=BOTH) as b,
        ):
            began_at = a.clock.now()
            peer = await a.connect(record_of(b, tcp=9))  # refused after one round trip
            assert peer.session.transport == "saw" and a.clock.now() - began_at < 0.25

    run(main(), seed=1)


@pytest.mark.parametrize("late_ms", range(200, 360, 8))
def test_two_transports_that_finish_at_the_same_time_make_one_session(late_ms: int) -> None:
    """The peer must not keep the one that we gave up."""

    async def main() -> None:
        net = network()
        plugins = {"stop_and_wait": late(late_ms / 1000)}
        async with open_node(net, plugins=plugins) as a, open_node(net, schemes=BOTH) as b:
            peer = await a.connect(b.record)
            assert await peer.request("echo", b"x") == b"x"
            await asyncio.sleep(15)
            assert await peer.request("echo", b"still the same") == b"still the same"
            (there,) = b.peers()
            assert there.session.transport == peer.session.transport
            assert there.session.transcript_hash == peer.session.transcript_hash
            assert len(a.pool.sessions()) == len(b.pool.sessions()) == 1
            await left_behind_nothing(a, b)

    run(main(), seed=late_ms)


def test_a_dial_that_fails_everywhere_names_every_address() -> None:
    async def main() -> None:
        net = network()
        async with open_node(net) as a, open_node(net, schemes=BOTH) as b:
            with pytest.raises(PeerUnreachable) as failure:
                await a.connect(record_of(b, saw=9, tcp=9), timeout_s=30)
            assert "tcp://" in str(failure.value) and "saw://" in str(failure.value)
            await left_behind_nothing(a, b)

    run(main(), seed=1)


def test_a_handshake_key_that_has_changed_costs_one_more_try() -> None:
    async def main() -> None:
        net = network()
        async with open_node(net) as a, open_node(net) as b:
            stale = replace(b.record, static_key=a.record.static_key[::-1])
            peer = await a.connect(stale, timeout_s=8)
            assert peer.id == b.peer_id and await peer.request("echo", b"x") == b"x"
            await left_behind_nothing(a, b)

    run(main(), seed=1)


def test_transient_sessions_go_over_datagrams_too_and_end_when_idle() -> None:
    async def main() -> None:
        net = network()
        quiet: dict[str, object] = {"slots": {"member_out": 0}}
        async with open_node(net, settings=quiet) as a, open_node(net, settings=quiet) as b:
            async with a.pool.transient(b.record) as session:
                assert session.transport == "saw" and await session.request(ECHO.id, b"x") == b"x"
            await asyncio.sleep(30)
            assert not session.is_open and not a.pool.sessions() and not b.pool.sessions()


def test_a_transient_session_over_datagrams_becomes_a_members() -> None:
    async def main() -> None:
        net = network()
        async with open_node(net) as a, open_node(net) as b, a.pool.transient(b.record) as session:
            peer = await a.connect(b.peer_id)
            assert peer.session is session and session.purpose is Purpose.MEMBER
            assert await b.peers()[0].request(ECHO.id, b"x") == b"x"

    run(main(), seed=1)


async def left_behind_nothing(*nodes: Node) -> None:
    await asyncio.sleep(15)
    for node in nodes:
        assert node.pool.slots.used(SlotClass.HANDSHAKING) == 0
        tasks = [task.get_name() for task in asyncio.all_tasks() if "dial" in task.get_name()]
        assert not tasks
        assert len(node.pool.sessions()) == len(node.peers())
