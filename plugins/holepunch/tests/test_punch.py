"""The machine, with two NATs between its ends, driven by hand."""

import random

import pytest
from peerkit_holepunch.candidates import candidates
from peerkit_holepunch.plans import CandidatePlan, SearchPlan, SpreadPlan, search_s
from peerkit_holepunch.probe import PROBE_BYTES, ProbeKey
from peerkit_holepunch.punch import MAX_ANSWERS, PathFound, PeerHeard, Punch, PunchEnded
from peerkit_holepunch.strategy import Nat

from peerkit.address import Address
from peerkit.capabilities import NatMapping
from plugins.holepunch.tests.nats import ASKER_NONCE, KEY, TARGET_NONCE, Between, Side

CONES = ("full_cone", "address_restricted", "port_restricted")
SEQUENTIAL = Nat(NatMapping.SYMMETRIC_SEQUENTIAL, port_step=1)


def sides(a_kind: str, b_kind: str, seed: int) -> tuple[Side, Side, random.Random]:
    rng = random.Random(seed)
    return Side(a_kind, "5.0.0.1", rng), Side(b_kind, "6.0.0.1", rng), rng


def plain(a_kind: str, b_kind: str, nats: tuple[Nat, Nat] = (Nat(), Nat())) -> tuple[Side, Side]:
    a, b, rng = sides(a_kind, b_kind, 1)
    is_predicted = nats != (Nat(), Nat())
    at_b = candidates([b.seen], [a.seen], nats[1], is_predicted)
    at_a = candidates([a.seen], [b.seen], nats[0], is_predicted)
    a.begin(True, CandidatePlan([(0, where) for where in at_b], 0.0, rng), [b.seen.host], rng)
    b.begin(False, CandidatePlan([(0, where) for where in at_a], 0.05, rng, opens_at=0.0), [a.seen.host], rng)
    Between(a, b).run()
    return a, b


def birthday(a_kind: str, b_kind: str, seed: int) -> tuple[Side, Side]:
    """B maps symmetrically."""
    a, b, rng = sides(a_kind, b_kind, seed)
    a.begin(True, SearchPlan(b.seen, 0, 2_048, 500, 0.0, rng), [b.seen.host], rng)
    b.begin(False, SpreadPlan(256, a.seen, 0.0, search_s(2_048, 500)), [a.seen.host], rng, sockets=256)
    Between(a, b).run()
    return a, b


@pytest.mark.parametrize("a_kind", CONES)
@pytest.mark.parametrize("b_kind", CONES)
def test_two_fixed_mappings_meet(a_kind: str, b_kind: str) -> None:
    a, b = plain(a_kind, b_kind)
    assert a.found[0].remote == b.seen and b.found[0].remote == a.seen
    assert a.found[0].rtt_s < 0.2
    assert len(a.sent) + len(b.sent) < 40, "found after a few probes"


@pytest.mark.parametrize("kind", ["full_cone", "address_restricted"])
def test_a_triggered_check_finds_the_port_that_a_symmetric_router_chose(kind: str) -> None:
    a, b = plain(kind, "symmetric")
    assert a.found[0].remote.host == b.seen.host and a.found[0].remote != b.seen
    assert b.found[0].remote == a.seen


def test_port_restricted_and_symmetric_do_not_meet_by_plain_probes() -> None:
    a, b = plain("port_restricted", "symmetric")
    assert not a.found and not b.found and not a.heard and not b.heard
    assert a.punch.is_over and b.punch.is_over
    assert 15 < a.punch.counts.sent < 120, "10 to 200 ms apart, for 3 s"


def test_predicted_ports_meet_a_sequential_mapping() -> None:
    a, b = plain("port_restricted", "symmetric_sequential", (Nat(), SEQUENTIAL))
    assert a.found and b.found
    assert a.found[0].remote == Address("udp", b.seen.host, b.seen.port + 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_birthday_joins_port_restricted_and_symmetric(seed: int) -> None:
    a, b = birthday("port_restricted", "symmetric", seed)
    assert a.found and b.found
    winner = b.found[0].socket
    assert a.found[0].remote.port == b.router.mappings[b.ports[winner], a.seen]
    assert b.heard, "the socket is known before the path is offered, so that it can be adopted"
    assert a.punch.counts.sent <= 2_048 + 64


def test_a_birthday_of_two_symmetric_routers_does_not_hit() -> None:
    a, b = birthday("symmetric", "symmetric", 1)
    assert not a.found and not b.found


def test_a_birthday_keeps_its_rate() -> None:
    plan = SearchPlan(Address("udp", "6.0.0.1", 5), 0, 2_048, 500, 10.0, random.Random(1))
    sent, now = 0, 10.0
    ports: set[int] = set()
    while now < plan.ends_at:
        aims = plan.take(now)
        sent += len(aims)
        ports |= {aim.remote.port for aim in aims}
        assert len(aims) <= 50, "also after the loop stood still, no burst"
        assert sent <= 500 * max(now - 10.0, 0) + 50
        now += 0.02 if sent != 100 else 1.0
    assert sent == len(ports) == 2_048
    assert all(1_024 <= port < 65_536 for port in ports)


def test_sequential_ports_are_searched_first() -> None:
    plan = SearchPlan(Address("udp", "6.0.0.1", 30_000), 1, 2_048, 500, 0.0, random.Random(1))
    first = [aim.remote.port for aim in plan.take(0.6)]
    assert first[:3] == [30_001, 30_065, 30_129]


def test_the_side_that_waits_opens_its_router_with_a_probe_that_dies_early() -> None:
    a, b = plain("port_restricted", "port_restricted")
    assert b.sent[0].hop_limit == 2 and all(each.hop_limit == 0 for each in b.sent[1:] + a.sent)


class At:
    """One punch that probes 5.0.0.1:7, and what the other side would send to it."""

    def __init__(self) -> None:
        self.theirs = ProbeKey(KEY, ASKER_NONCE, TARGET_NONCE, False)
        self.remote = Address("udp", "5.0.0.1", 7)
        plan = CandidatePlan([(0, self.remote)], 0.0, random.Random(1))
        self.punch = Punch(ProbeKey(KEY, ASKER_NONCE, TARGET_NONCE, True), plan, [self.remote.host], random.Random(1))


def test_a_probe_of_ours_that_comes_back_is_not_the_peers() -> None:
    at = At()
    (sent,) = at.punch.datagrams_to_send(0.0)
    at.punch.receive_datagram(0, sent.data, at.remote, 0.1)
    assert at.punch.forged == 1 and not at.punch.datagrams_to_send(0.0) and at.punch.next_event() is None


def test_forged_datagrams_change_nothing() -> None:
    at = At()
    (sent,) = at.punch.datagrams_to_send(0.0)
    stranger = ProbeKey(b"x" * 32, ASKER_NONCE, TARGET_NONCE, False)
    number = int.from_bytes(sent.data[9:13], "big")
    for forged in (stranger.answer(number), stranger.probe(1), sent.data[:-1], b"", b"\x95" * PROBE_BYTES):
        at.punch.receive_datagram(0, forged, at.remote, 0.1)
    assert at.punch.forged == 5 and at.punch.next_event() is None and at.punch.counts.heard == 0


def test_an_answer_counts_only_from_where_the_question_went() -> None:
    at = At()
    (sent,) = at.punch.datagrams_to_send(0.0)
    answer = at.theirs.answer(int.from_bytes(sent.data[9:13], "big"))
    at.punch.receive_datagram(0, answer, Address("udp", "5.0.0.1", 8), 0.1)
    at.punch.receive_datagram(1, answer, at.remote, 0.1)
    at.punch.receive_datagram(0, at.theirs.answer(5), at.remote, 0.1)
    assert at.punch.next_event() is None
    at.punch.receive_datagram(0, answer, at.remote, 0.1)
    assert at.punch.next_event() == PathFound(0, at.remote, 0.1)
    at.punch.receive_datagram(0, answer, at.remote, 0.2)
    assert at.punch.next_event() is None, "each path once"


def test_a_probe_from_elsewhere_is_answered_and_not_followed() -> None:
    """The peer sends from an address that no coordinator observed: it may be a victim's."""
    at = At()
    victim = Address("udp", "7.7.7.7", 7)
    at.punch.datagrams_to_send(0.0)
    at.punch.receive_datagram(0, at.theirs.probe(1), victim, 0.001)
    answers = at.punch.datagrams_to_send(0.001)
    assert [(each.remote, each.data[0], len(each.data)) for each in answers] == [(victim, 0x95, PROBE_BYTES)]


def test_answers_are_bounded() -> None:
    at = At()
    sent = 0
    for number in range(2 * MAX_ANSWERS):
        at.punch.receive_datagram(0, at.theirs.probe(number), Address("udp", f"7.7.{number >> 8}.{number & 255}", 7), 0)
        sent += sum(each.data[0] == 0x95 for each in at.punch.datagrams_to_send(0.0))
    assert sent == MAX_ANSWERS


def test_after_a_path_was_found_it_only_answers_and_then_ends() -> None:
    at = At()
    (sent,) = at.punch.datagrams_to_send(0.0)
    at.punch.receive_datagram(0, at.theirs.answer(int.from_bytes(sent.data[9:13], "big")), at.remote, 0.1)
    assert isinstance(at.punch.next_event(), PathFound)
    at.punch.receive_datagram(0, at.theirs.probe(9), at.remote, 1.0)
    assert [each.data[0] for each in at.punch.datagrams_to_send(1.0)] == [0x95]
    assert at.punch.next_event() == PeerHeard(0, at.remote)
    assert at.punch.next_timer() == pytest.approx(3.1)
    at.punch.handle_timer(3.2)
    assert at.punch.next_event() == PunchEnded() and at.punch.next_timer() == float("inf")
    at.punch.receive_datagram(0, at.theirs.probe(10), at.remote, 3.3)
    assert not at.punch.datagrams_to_send(3.3)
