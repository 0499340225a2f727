"""NATs of the simulated network beyond what `tests/natlab` compares with real ones: time, hairpins, other addresses."""

import asyncio

import pytest

from kernel.tests.testing.streams import Recorder, Server, dial, meet
from peerkit import Address, Node
from peerkit.errors import ConnectFailed, PeerkitError
from peerkit.testing import NATS, NatKind, SimNat, SimNetwork, Swarm, run
from peerkit.testing.sim_datagram import SimDatagramEndpoint
from peerkit.testing.sim_nat import ANSWERED_S, UNANSWERED_S

PROFILE = {"node": {"extends": "local", "disable": ["discovery_kademlia", "search", "warehouse"]}}


class Ends:
    """A socket behind a NAT, and one on the internet that notes who writes to it."""

    def __init__(self, *kinds: NatKind) -> None:
        self.net = SimNetwork(latency_s=(0.01, 0.01))
        nat = self.net.nat(*kinds)
        assert nat is not None
        self.nat: SimNat = nat
        host = self.net.host(behind=nat)
        self.inner_ip = host.ip
        self.inner = host.bind_datagrams("0.0.0.0", 4_000)
        self.outer = self.net.host("45.200.0.1").bind_datagrams("0.0.0.0", 5_000)
        self.came: list[tuple[SimDatagramEndpoint, Address]] = []
        for end in (self.inner, self.outer):
            self.note(end)

    def note(self, end: SimDatagramEndpoint) -> None:
        end.register(0, 255, lambda batch, size, local, remote, now: self.came.append((end, remote)))

    async def seen(self) -> Address:
        """Where the outer end sees the inner one."""
        send(self.inner, Address("udp", "45.200.0.1", 5_000))
        await asyncio.sleep(1)
        return self.came.pop()[1]

    async def gets_in(self, target: Address) -> bool:
        send(self.outer, target)
        await asyncio.sleep(1)
        return bool(self.came) and self.came.pop()[0] is self.inner


def send(end: SimDatagramEndpoint, target: Address) -> None:
    end.send_batch(None, target, 4, [b"ping"])


def test_a_mapping_is_forgotten_after_silence_and_lives_longer_when_it_was_answered() -> None:
    async def main() -> None:
        ends = Ends(*NATS["port_restricted"])
        seen = await ends.seen()
        await asyncio.sleep(UNANSWERED_S - 5)
        assert await ends.gets_in(seen)
        await asyncio.sleep(ANSWERED_S - 5)
        assert await ends.gets_in(seen)
        await asyncio.sleep(ANSWERED_S + 1)
        assert not await ends.gets_in(seen)
        assert await ends.seen() == seen, "an endpoint-independent mapping takes its port again"
        await asyncio.sleep(UNANSWERED_S + 1)
        assert not await ends.gets_in(seen)

    run(main())


@pytest.mark.parametrize("name", ["port_restricted", "symmetric", "symmetric_sequential"])
def test_a_rebinding_takes_another_port_and_the_old_one_lets_nobody_in(name: str) -> None:
    async def main() -> None:
        ends = Ends(*NATS[name])
        before = await ends.seen()
        ends.nat.forget()
        assert not await ends.gets_in(before)
        after = await ends.seen()
        assert after.host == before.host and after.port != before.port
        assert await ends.gets_in(after)

    run(main())


def test_a_nat_that_moves_is_seen_at_its_new_address_only() -> None:
    async def main() -> None:
        ends = Ends(*NATS["full_cone"])
        before = await ends.seen()
        ends.nat.move("45.77.0.1")
        after = await ends.seen()
        assert (before.host, after.host) == ("45.0.1.2", "45.77.0.1")
        assert not await ends.gets_in(before)
        assert await ends.gets_in(after)

    run(main())


@pytest.mark.parametrize("name", ["full_cone", "port_restricted"])
def test_hosts_behind_one_nat_meet_at_its_outside_only_when_it_hairpins(name: str) -> None:
    async def main() -> None:
        ends = Ends(*NATS[name])
        second = ends.net.host(behind=ends.nat).bind_datagrams("0.0.0.0", 4_000)
        ends.note(second)
        seen = await ends.seen()
        send(second, seen)
        await asyncio.sleep(1)
        met = [(ends.inner, Address("udp", seen.host, 4_001))]  # the second one's port is another than the first's
        assert ends.came == (met if name == "full_cone" else [])
        ends.came.clear()
        send(second, Address("udp", ends.inner_ip, 4_000))
        await asyncio.sleep(1)
        assert [end for end, _ in ends.came] == [ends.inner], "on their own network they always meet"

    run(main())


def test_private_addresses_mean_nothing_outside_their_own_network() -> None:
    async def main() -> None:
        ends = Ends(*NATS["full_cone"])
        assert not await ends.gets_in(Address("udp", ends.inner_ip, 4_000))

    run(main())


def test_whole_nodes_connect_out_through_nats_and_are_seen_from_outside() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with Swarm(net, PROFILE) as swarm:
            (public,) = await swarm.start()
            for kinds in NATS.values():
                (node,) = await swarm.start(behind=kinds)
                peer = await node.connect(public.addresses[0])
                assert peer.session.is_open
                await check_seen(net, public, node, bool(kinds))

    async def check_seen(net: SimNetwork, public: Node, node: Node, is_translated: bool) -> None:
        session = next(peer.session for peer in public.peers() if peer.id == node.peer_id)
        assert session.remote.host.startswith("45.") == is_translated
        if is_translated:
            with pytest.raises(PeerkitError):
                await public.connect(session.remote)

    run(main())


def test_a_partition_that_names_a_host_cuts_off_what_it_is_behind() -> None:
    async def main() -> None:
        ends = Ends(*NATS["double"])
        seen = await ends.seen()
        ends.net.partition([ends.inner_ip], ["45.200.0.1"])
        assert not await ends.gets_in(seen)
        ends.net.heal()
        assert await ends.gets_in(seen)

    run(main())


def test_a_router_that_takes_packets_itself_answers_a_stream_and_others_are_silent() -> None:
    async def main(name: str) -> str:
        net = SimNetwork()
        nat = net.nat(*NATS[name])
        assert nat is not None
        with pytest.raises(ConnectFailed) as caught:
            await net.host().connect_stream(Address("tcp", nat.ip, 80), lambda pipe: None)  # type: ignore[arg-type,return-value]
        return caught.value.reason

    assert run(main("port_restricted_accepting")) == "connection refused"
    assert run(main("port_restricted")) == "connection timed out"


@pytest.mark.parametrize(
    ("kinds", "comes"),
    [
        (("port_restricted", "port_restricted"), True),
        (("full_cone", "double"), True),
        (("full_cone", "full_cone"), True),
        (("symmetric", "address_restricted"), True),
        (("port_restricted", "symmetric"), False),
    ],
)
@pytest.mark.parametrize("apart_s", [0.001, 1.0])
def test_streams_that_two_sides_open_at_once_become_one(kinds: tuple[str, str], comes: bool, apart_s: float) -> None:
    async def main() -> None:
        net = SimNetwork()
        platforms = [net.platform(behind=net.nat(*NATS[kind])) for kind in kinds]
        observer = Server()
        there = await observer.listen(net.platform("9.9.9.9").network, "9.9.9.9")
        before = [await dial(platform.network, there) for platform in platforms]
        seen = [(await observer.handler(i)).pipe.remote for i in range(2)]

        async def begin(i: int, delay_s: float) -> Recorder:
            await asyncio.sleep(delay_s)
            return await meet(platforms[i].network, before[i].pipe.local, seen[1 - i])

        both = asyncio.gather(begin(0, 0.0), begin(1, apart_s))
        if not comes:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(both, 60)
            return
        a, b = await asyncio.wait_for(both, 60)
        assert (a.pipe.remote.host, b.pipe.remote.host) == (seen[1].host, seen[0].host)
        if "symmetric" not in kinds:  # whose port is another one for each host
            assert (a.pipe.remote.port, b.pipe.remote.port) == (seen[1].port, seen[0].port)
        a.pipe.write([b"one way"])
        b.pipe.write([b"and back"])
        assert (await b.until_received(7), await a.until_received(8)) == (b"one way", b"and back")

    run(main())
