"""Peers that lie, and peers that want us to send to others."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from peerkit_public_address import codec
from peerkit_public_address.arrival import ARRIVAL_BYTES
from peerkit_public_address.codec import DialBack, Reply, Status
from peerkit_public_address.io.messages import read_message, write_message
from peerkit_public_address.io.serving import PROTOCOL
from peerkit_public_address.request_log import PER_PEER
from peerkit_public_address.trials import Origin

from peerkit import Node, ProtocolSpec, Stream
from peerkit.address import Address
from peerkit.capabilities import NatMapping
from peerkit.session import Session
from peerkit.testing import SimNetwork, run
from plugins.public_address.tests.nodes import PORT, Nodes, nodes_on

OURS, ATTACKER, VICTIM = "20.9.0.1", "66.6.0.1", "50.0.0.1"
LIE = Address("udp", "66.66.0.1", 6666)
HEADERS = 28  # of IPv4 and UDP
QUICK = {"verify_interval_s": 3.0}


def speaker(**handlers: Callable[..., object]) -> ProtocolSpec:
    return ProtocolSpec(PROTOCOL, "1.0.0", ">=1.0,<2", **handlers)  # type: ignore[arg-type]


def test_lying_observers_change_neither_address_nor_mapping() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await nodes.start(OURS, settings=QUICK)
            for i in range(5):
                await nodes.start(f"30.{i}.0.1", bootstrap=[node])
            for i in range(4):  # of one network: many ids cost nothing
                liar = await nodes.start_other(
                    f"66.6.{i}.1", speaker(on_request=lambda request: codec.encode_observed(LIE))
                )
                await liar.connect(node.addresses[0])
            await asyncio.sleep(60)
            probe = nodes.of(node)
            assert probe.reachability.observed("udp")[0] == Address("udp", OURS, PORT)
            assert probe.reachability.mapping is NatMapping.NONE
            assert LIE not in probe.own.addresses
            assert probe.reachability.is_public is True

    run(main(), seed=1)


def test_a_server_that_only_says_that_it_arrived_is_not_believed() -> None:
    async def lie(stream: Stream) -> None:
        await read_message(stream)
        await write_message(stream, codec.encode_reply(Reply(Status.TRYING)))
        await write_message(stream, codec.encode_reply(Reply(Status.ARRIVED)))

    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await nodes.start(OURS, settings=QUICK)
            seen = codec.encode_observed(Address("udp", OURS, PORT))
            for i in range(4):
                liar = await nodes.start_other(f"66.{i}.0.1", speaker(on_request=lambda request: seen, on_stream=lie))
                await liar.connect(node.addresses[0])
            await asyncio.sleep(60)
            assert nodes.of(node).reachability.is_public is not True

    run(main(), seed=1)


def test_a_minority_of_servers_cannot_make_a_node_a_client() -> None:
    async def lie(stream: Stream) -> None:
        await read_message(stream)
        await write_message(stream, codec.encode_reply(Reply(Status.TRYING)))
        await write_message(stream, codec.encode_reply(Reply(Status.NOT_ARRIVED)))

    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await nodes.start(OURS, settings=QUICK)
            seen = codec.encode_observed(Address("udp", OURS, PORT))
            for i in range(2):
                spec = speaker(on_request=lambda request: seen, on_stream=lie)
                await (await nodes.start_other(f"66.{i}.0.1", spec)).connect(node.addresses[0])
            await asyncio.sleep(60)
            for i in range(4):
                await nodes.start(f"30.{i}.0.1", bootstrap=[node])
            await asyncio.sleep(120)
            assert nodes.of(node).reachability.is_public is True
            assert not node.record.is_client

    run(main(), seed=1)


# -- what a stranger can make us send ----------------------------------------------------------------------------


class Wire:
    """Counts the datagrams that come to hosts which asked for none."""

    def __init__(self, net: SimNetwork, *ips: str) -> None:
        self.datagrams: Counter[tuple[str, int]] = Counter()
        self.nbytes: Counter[tuple[str, int]] = Counter()
        self.streams = 0
        for ip in ips:
            self._watch(net, ip)

    def _watch(self, net: SimNetwork, ip: str) -> None:
        host = net.host(ip)
        receive = host.receive_datagrams

        def count(source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
            if target.port != PORT:
                self.datagrams[ip, target.port] += -(-len(data) // segment_bytes)
                self.nbytes[ip, target.port] += len(data)
            receive(source, target, data, segment_bytes)

        host.receive_datagrams = count  # type: ignore[method-assign]

    def total(self, ip: str) -> int:
        """Bytes with their headers."""
        return sum(self.nbytes[key] + HEADERS * self.datagrams[key] for key in self.nbytes if key[0] == ip)


class Attack:
    """An attacker's session with a server of ours."""

    def __init__(self, nodes: Nodes, wire: Wire) -> None:
        self.nodes, self.wire = nodes, wire
        self.server: Node
        self.session: Session

    @classmethod
    async def begin(cls, nodes: Nodes) -> "Attack":
        self = cls(nodes, Wire(nodes.net, VICTIM, ATTACKER, "10.0.0.5"))
        self.server = await nodes.start("30.0.0.1")
        attacker = await nodes.start_other(ATTACKER, speaker())
        self.session = (await attacker.connect(self.server.addresses[0])).session
        await asyncio.sleep(1)
        return self

    async def ask(
        self, target: Address, origin: Origin = Origin.OTHER_PORT, pay: Callable[[int], int] = lambda owed: owed
    ) -> tuple[list[Status], int]:
        """The replies, and how many bytes the attacker sent for them."""
        stream = await self.session.open_stream(PROTOCOL)
        request = codec.encode_dial_back(DialBack(target, bytes(16), origin))
        sent = len(request) + 2
        await write_message(stream, request)
        replies = [codec.decode_reply(await read_message(stream))]
        if replies[-1].status is Status.PAY:
            payment = pay(replies[-1].owed_bytes)
            await stream.write(bytes(payment))
            sent += payment
            if payment < replies[-1].owed_bytes:
                await asyncio.sleep(10)
                stream.reset()
                return [reply.status for reply in replies], sent
            replies.append(codec.decode_reply(await read_message(stream)))
        if replies[-1].status is Status.TRYING:
            replies.append(codec.decode_reply(await read_message(stream)))
        return [reply.status for reply in replies], sent


def test_nothing_goes_to_a_foreign_address_before_it_is_paid_for() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            attack = await Attack.begin(nodes)
            victim = Address("udp", VICTIM, 53)
            for pay in (lambda owed: 0, lambda owed: owed - 1):
                assert (await attack.ask(victim, pay=pay))[0] == [Status.PAY]
            assert attack.wire.total(VICTIM) == 0
            replies, sent = await attack.ask(victim)
            assert replies == [Status.PAY, Status.TRYING, Status.NOT_ARRIVED]
            assert sent > 30_000
            assert 0 < attack.wire.total(VICTIM) <= 3 * (ARRIVAL_BYTES + HEADERS)

    run(main(), seed=1)


def test_an_unproven_port_never_gets_more_than_the_asker_sent() -> None:
    """Behind one IP there may be many people."""

    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            attack = await Attack.begin(nodes)
            for port in (53, 123, 5353):
                replies, sent = await attack.ask(Address("udp", ATTACKER, port))
                assert replies == [Status.TRYING, Status.NOT_ARRIVED]
                arrived = attack.wire.nbytes[ATTACKER, port] + HEADERS * attack.wire.datagrams[ATTACKER, port]
                assert 0 < arrived <= sent

    run(main(), seed=1)


@pytest.mark.parametrize(
    "target",
    [
        "udp://127.0.0.1:53",
        "udp://10.0.0.5:53",
        "udp://169.254.169.254:80",
        "udp://224.0.0.1:53",
        "udp://0.0.0.0:53",
        "udp://[64:ff9b::a00:5]:53",
        "udp://[2002:a00:5::1]:53",
        "udp://[fe80::1]:53",
        "tcp://127.0.0.1:22",
        "relay://%s@50.0.0.1:53",
        "gopher://50.0.0.1:70",
    ],
)
def test_what_is_no_address_of_the_internet_is_refused(target: str) -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            attack = await Attack.begin(nodes)
            address = Address.parse(target.replace("%s", str(attack.server.peer_id)))
            assert (await attack.ask(address))[0] == [Status.REFUSED]
            assert not attack.wire.nbytes

    run(main(), seed=1)


def test_helpers_send_only_to_the_askers_own_ip() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            attack = await Attack.begin(nodes)
            await nodes.start("40.0.0.1", bootstrap=[attack.server])
            await asyncio.sleep(1)
            replies, _ = await attack.ask(Address("udp", VICTIM, 53), Origin.OTHER_ADDRESS)
            assert replies == [Status.REFUSED]
            replies, sent = await attack.ask(Address("udp", ATTACKER, 53), Origin.OTHER_ADDRESS)
            assert replies == [Status.PAY, Status.TRYING, Status.NOT_ARRIVED], "the helper's price is the asker's"
            assert sent > 30_000
            assert 0 < attack.wire.total(ATTACKER) <= 3 * (ARRIVAL_BYTES + HEADERS)

    run(main(), seed=1)


def test_requests_beyond_the_limit_are_turned_away() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            attack = await Attack.begin(nodes)
            private = Address("udp", "10.0.0.5", 53)
            replies = [(await attack.ask(private))[0][0] for _ in range(PER_PEER + 1)]
            assert replies == [Status.REFUSED] * PER_PEER + [Status.BUSY]
            await asyncio.sleep(61)
            assert (await attack.ask(private))[0] == [Status.REFUSED]

    run(main(), seed=1)
