"""Dialer and acceptor: every packet of a handshake lost, doubled, forged; cookies, budgets, versions, resets."""

import itertools
import random
from collections.abc import Callable
from typing import cast

import pytest
from peerkit_transport_udp.connection import Connection
from peerkit_transport_udp.connection_settings import connection_settings
from peerkit_transport_udp.dispatcher import Dispatcher
from peerkit_transport_udp.handshake_packets import encode_message
from peerkit_transport_udp.packet_sender import Batch
from peerkit_transport_udp.settings import UdpSettings

from peerkit.address import Address
from peerkit.transport import Carrier
from plugins.transport_udp.tests.handshakes import Attempt, Door
from plugins.transport_udp.tests.wire import Socket, datagrams

Fate = Callable[[int, bytes], int]
"""Copies of the n-th datagram that arrive: 0, 1, 2."""


class Node:
    def __init__(self, host: str, seed: int) -> None:
        self.socket = Socket(host, 4_000)
        self.door = Door()
        self.dispatcher = self.start(seed)

    def start(self, seed: int) -> Dispatcher:
        settings = UdpSettings()
        dispatcher = Dispatcher(
            lambda key: connection_settings(settings, key),
            self.socket.local.host.encode().ljust(32),
            random.Random(seed),
            lambda connection: cast(Carrier, connection),
        )
        dispatcher.attach(self.socket, self.door)
        return dispatcher

    def restart(self, seed: int) -> None:
        self.dispatcher = self.start(seed)

    @property
    def connections(self) -> list[Connection]:
        return self.dispatcher.table.connections


class Net:
    """Two nodes, 10 ms apart."""

    def __init__(self, fate: Fate = lambda n, datagram: 1) -> None:
        self.now = 50.0
        self.fate = fate
        self.a, self.b = Node("20.0.0.1", 1), Node("30.0.0.2", 2)
        self.log: list[tuple[Node, bytes]] = []
        self._queue: list[tuple[float, Node, bytes, Address]] = []

    def other(self, node: Node) -> Node:
        return self.b if node is self.a else self.a

    def send(self, node: Node) -> None:
        batches: list[Batch] = node.dispatcher.batches_to_send(self.now)
        for batch in batches:
            for datagram in datagrams(batch):
                copies = self.fate(len(self.log), datagram)
                self.log.append((node, datagram))
                self._queue += [(self.now + 0.01, self.other(node), datagram, node.socket.local)] * copies

    def deliver(self, node: Node, data: bytes, remote: Address) -> None:
        receive = node.dispatcher.receive_handshake if data[0] >= 0x80 else node.dispatcher.receive_sealed
        if data[0] >= 0x40:
            receive(node.socket, memoryview(data), len(data), node.socket.local, remote, self.now)

    def run_for(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(20_000):
            self.send(self.a)
            self.send(self.b)
            timer = min(node.dispatcher.next_timer() for node in (self.a, self.b))
            self.now = max(self.now, min([timer, until, *(due for due, *_ in self._queue)]))
            if self.now >= until:
                return
            arrived = [entry for entry in self._queue if entry[0] <= self.now]
            self._queue = [entry for entry in self._queue if entry[0] > self.now]
            for _, node, data, remote in arrived:
                self.deliver(node, data, remote)
            for node in (self.a, self.b):
                node.dispatcher.on_timer(self.now)
        raise AssertionError("it spins")

    def dial(self, knows_key: bool = True, extra: bytes = b"") -> Attempt:
        attempt = Attempt(knows_key, extra)
        self.a.dispatcher.dial(self.b.socket.local, self.a.socket, attempt, self.now)
        return attempt

    def talk(self) -> None:
        """Bytes go both ways on the one connection that there is."""
        (ours,), (theirs,) = self.a.connections, self.b.connections
        assert ours.source is not None and theirs.source is not None
        for connection, node in ((ours, self.a), (theirs, self.b)):
            connection.source.total += 3_000  # type: ignore[union-attr]
            node.dispatcher.wake(connection)
        self.run_for(20)
        assert ours.source.in_order == theirs.source.in_order == 3_000  # type: ignore[attr-defined]


@pytest.mark.parametrize("knows_key", [True, False], ids=["IK", "XX"])
def test_a_connection_is_made(knows_key: bool) -> None:
    net = Net()
    net.dial(knows_key)
    net.run_for(1)
    net.talk()
    kinds = [(node is net.a, datagram[0]) for node, datagram in net.log if datagram[0] >= 0x80]
    assert not net.a.dispatcher._dialers, "nothing of the dial is left"
    assert kinds == ([(True, 0x80), (False, 0x80)] if knows_key else [(True, 0x80), (False, 0x80), (True, 0x80)])


@pytest.mark.parametrize("knows_key", [True, False], ids=["IK", "XX"])
@pytest.mark.parametrize("lost", [set(c) for n in (1, 2) for c in itertools.combinations(range(8), n)], ids=str)
def test_every_packet_of_a_handshake_may_be_lost(knows_key: bool, lost: set[int]) -> None:
    net = Net(lambda n, datagram: int(n not in lost))
    net.dial(knows_key)
    net.run_for(8)
    assert sum(c.is_confirmed for c in net.b.connections) >= 1
    confirmed = [c for c in net.a.connections if c.is_confirmed]
    assert confirmed and not any(c.is_over for c in confirmed)


@pytest.mark.parametrize("knows_key", [True, False], ids=["IK", "XX"])
def test_doubled_packets_make_one_connection(knows_key: bool) -> None:
    net = Net(lambda n, datagram: 2)
    net.dial(knows_key)
    net.run_for(1)
    assert len(net.b.door.openings) == 1
    net.talk()


def test_a_repeated_first_message_gets_the_same_answer_without_work() -> None:
    net = Net()
    net.dial()
    net.run_for(0.02)
    first = net.log[0][1]
    answer = next(datagram for node, datagram in net.log if node is net.b)
    net.b.dispatcher.receive_handshake(
        net.b.socket, memoryview(first), 1_200, net.b.socket.local, net.a.socket.local, net.now
    )
    (again,) = net.b.dispatcher.batches_to_send(net.now)
    assert b"".join(again.buffers) == answer
    assert len(net.b.door.openings) == 1


def test_the_keyless_handshake_begins_beside_when_the_first_has_no_answer() -> None:
    """The peer has another key than its record says, and cannot read the message."""
    net = Net(lambda n, datagram: int(b"IK" not in datagram[:40]))
    attempt = net.dial(True)
    net.run_for(0.4)
    assert len(attempt.openings) == 1
    net.run_for(1)
    assert len(attempt.openings) == 2
    assert sum(c.is_confirmed for c in net.a.connections) == 1


def test_forged_answers_do_not_disturb_a_dial() -> None:
    net = Net()
    net.dial()
    net.send(net.a)
    first = net.log[0][1]
    own_id = int.from_bytes(first[9:13], "big")
    for forged in (b"nonsense", b"A9" + bytes(100)):
        (packet,) = encode_message(own_id, 77, 1, forged, b"", 1_200, False)
        net.deliver(net.a, packet, net.b.socket.local)
    assert net.a.dispatcher.dropped == 2
    net.run_for(1)
    net.talk()


@pytest.mark.parametrize("knows_key", [True, False], ids=["IK", "XX"])
def test_an_answer_with_a_false_id_is_outlived(knows_key: bool) -> None:
    """The id of the answer's sender stands outside of what the handshake proves; somebody changes it once."""
    net = Net()
    net.dial(knows_key)
    net.run_for(0.012)
    net.fate = lambda n, datagram: 0
    net.send(net.b)
    (answer,) = (datagram for node, datagram in net.log if node is net.b)
    net.fate = lambda n, datagram: 1
    net.deliver(net.a, answer[:9] + b"FALS" + answer[13:], net.b.socket.local)
    net.run_for(5)
    net.talk()


def test_nothing_is_sealed_before_the_dialer_has_shown_that_it_is_there() -> None:
    net = Net()
    net.dial()
    net.run_for(0.012)
    net.send(net.b)
    assert [datagram[0] for node, datagram in net.log if node is net.b] == [0x80]
    assert net.b.connections and not net.b.connections[0].is_confirmed


def test_a_false_address_gets_no_more_than_it_sent() -> None:
    """Somebody sends the first message of others from addresses that are not his."""
    net = Net()
    net.dial()
    net.send(net.a)
    first = net.log[0][1]
    sent = answered = 0
    for port in range(1_000):
        sent += len(first)
        net.deliver(net.b, first, Address("udp", "40.0.0.1", 10_000 + port))
        answered += sum(batch.nbytes for batch in net.b.dispatcher.batches_to_send(net.now))
    assert answered < sent / 5
    short = first[:1_100]
    net.deliver(net.b, short, Address("udp", "40.0.0.2", 1))
    assert not net.b.dispatcher.batches_to_send(net.now), "a first packet must be long"


def test_a_busy_node_wants_a_cookie_first_and_the_dial_succeeds() -> None:
    net = Net()
    net.b.door.is_busy = True
    net.dial()
    net.run_for(1)
    net.talk()
    assert [datagram[0] for node, datagram in net.log[:3] if node is net.b][:1] == [0x82]
    assert len(net.b.door.openings) == 1


def test_a_long_first_message_travels_in_parts_after_a_cookie() -> None:
    net = Net()
    net.dial(True, extra=bytes(4_000))
    net.run_for(1)
    assert [len(m) for m in net.b.door.openings[0].received] == [4_002]
    net.talk()


def test_a_long_answer_waits_for_the_proof_of_the_address() -> None:
    net = Net()
    net.b.door.answer_bytes = 3_000
    net.dial()
    net.run_for(1)
    assert any(datagram[0] == 0x82 for _, datagram in net.log)
    net.talk()


def test_a_cookie_is_good_for_its_address_and_for_half_a_minute_only() -> None:
    net = Net()
    admission = net.b.dispatcher.admission
    remote = Address("udp", "40.0.0.1", 5)
    cookie = admission.cookie(remote, 7, net.now)
    verdicts = [
        admission.judge(*arguments).name
        for arguments in (
            (remote, 7, cookie, True, net.now + 29),
            (remote, 8, cookie, True, net.now),
            (Address("udp", "40.0.0.2", 5), 7, cookie, True, net.now),
            (remote, 7, cookie, True, net.now + 40),
        )
    ]
    assert verdicts == ["ADMIT_PROVEN", "ASK_COOKIE", "ASK_COOKIE", "ASK_COOKIE"]


def test_a_flood_of_forged_first_packets_costs_few_handshakes() -> None:
    """50,000 a second from as many addresses: at most 100 are computed in the first second, 50 in each further one,
    and what is remembered of them stays small."""
    net = Net()
    opened = []
    for _second in range(2):
        for i in range(50_000 // 10):  # a tenth of the packets, as dense in time
            (packet,) = encode_message(0, i + 1, 0, b"forged", b"", 1_200, True)
            source = Address("udp", f"40.{i % 200}.{i // 200}.7", 9)
            net.deliver(net.b, packet, source)
            net.now += 1 / 5_000
        opened.append(len(net.b.door.openings))
    assert opened[0] <= 101 and opened[1] - opened[0] <= 51
    assert len(net.b.dispatcher.acceptor) == 0
    assert len(net.b.connections) == 0
    net.b.dispatcher.batches_to_send(net.now)
    net.dial()
    net.run_for(3)
    net.talk()


def test_a_proven_address_has_a_budget_of_its_own() -> None:
    net = Net()
    admission = net.b.dispatcher.admission
    taken = 0
    for sender in range(1, 100):
        remote = Address("udp", "40.0.0.1", 5_000 + sender % 3)
        cookie = admission.cookie(remote, sender, net.now)
        taken += admission.judge(remote, sender, cookie, True, net.now).name == "ADMIT_PROVEN"
    assert taken <= 12
    local = Address("udp", "10.0.0.1", 5)
    for sender in range(1, 100):
        cookie = admission.cookie(local, sender, net.now)
        assert admission.judge(local, sender, cookie, True, net.now).name == "ADMIT_PROVEN"


def test_an_unknown_version_is_answered_by_ours_and_the_dial_fails_in_words() -> None:
    net = Net()
    attempt = net.dial()
    net.send(net.a)
    first = bytearray(net.log[0][1])
    first[4] = 9
    net._queue.clear()
    net.deliver(net.b, bytes(first), net.a.socket.local)
    (answer,) = net.b.dispatcher.batches_to_send(net.now)
    packet = bytearray(b"".join(answer.buffers))
    assert packet[0] == 0x81 and len(packet) == 10
    packet[-1] = 9
    net.deliver(net.a, bytes(packet), net.b.socket.local)
    net.fate = lambda n, datagram: 0
    net.run_for(0.7)
    failures = [attempt.failure]
    assert failures == [""], "it may be forged: the true answer may still come"
    net.deliver(net.a, bytes(packet), net.b.socket.local)
    net.run_for(2)
    failures.append(attempt.failure)
    assert failures[1] == "the peer does not speak version 1"


def test_a_way_that_was_not_the_fastest_sends_nothing() -> None:
    net = Net()
    attempt = net.dial()
    attempt.openings[0].is_taken = True
    net.run_for(2)
    assert not net.a.connections
    assert all(datagram[0] >= 0x80 for node, datagram in net.log if node is net.a)


def test_a_handshake_that_the_kernel_gives_up_is_forgotten() -> None:
    net = Net()
    attempt = net.dial()
    net.run_for(0.012)
    (opening,) = net.b.door.openings
    opening.ended()
    net.send(net.b)
    assert not net.b.connections
    attempt.openings[0].ended()
    net.fate = lambda n, datagram: 0
    before = len(net.log)
    net.run_for(5)
    assert len(net.log) == before, "a dial that was cancelled sends nothing more"
    assert not net.a.dispatcher._dialers


def test_a_restarted_node_tells_its_peers() -> None:
    net = Net()
    net.dial()
    net.run_for(1)
    net.talk()
    (ours,) = net.a.connections
    source = ours.source
    net.b.restart(99)
    ours.source.total += 1_000  # type: ignore[union-attr]
    net.a.dispatcher.wake(ours)
    net.run_for(1)
    assert not net.a.connections
    assert source is not None and "forgotten" in source.lost[0]  # type: ignore[attr-defined]


def test_two_nodes_do_not_answer_each_others_resets_for_ever() -> None:
    net = Net()
    packet = bytes((0x45,)) + bytes(range(100))
    net.deliver(net.b, packet, net.a.socket.local)
    net.run_for(5)
    assert 1 <= len(net.log) < 30
    lengths = [len(datagram) for _, datagram in net.log]
    assert lengths == sorted(lengths, reverse=True)


def test_when_the_socket_goes_its_connections_end() -> None:
    net = Net()
    net.dial()
    net.run_for(1)
    net.a.dispatcher.detach(net.a.socket, net.now)
    net.a.dispatcher.batches_to_send(net.now)
    assert not net.a.connections
