"""The machine: when beacons go out, and which that come in are believed."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from peerkit_lan_broadcast.beacon import Beacon
from peerkit_lan_broadcast.discovery import CandidateHeard, LanDiscovery
from peerkit_lan_broadcast.listener_choice import announced
from peerkit_lan_broadcast.settings import LanSettings

from peerkit import Address
from peerkit.link import LinkDatagram
from peerkit.testing import SeededRng

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32
WALL = 1_800_000_000.0
UDP, TCP = Address("udp", "0.0.0.0", 4_433), Address("tcp", "0.0.0.0", 4_434)


def machine(*bound: Address, seed: int = 0) -> LanDiscovery:
    made = LanDiscovery(KEY, LanSettings(), SeededRng(seed), 0.0)
    made.listen_on(bound or [UDP])
    return made


def heard(data: bytes, host: str = "10.0.0.2", hop_limit: int = 255, is_on_link: bool = True) -> LinkDatagram:
    return LinkDatagram(data, Address("udp", host, 52_177), "eth0", hop_limit, is_on_link)


def beacon(port: int = 4_433, key: bytes = KEY) -> bytes:
    return Beacon("udp", port, b"a random").to_bytes(key, WALL)


def sending_times(made: LanDiscovery, until: float) -> list[float]:
    times = []
    while (due := made.next_timer()) <= until:
        made.handle_timer(due)
        if made.datagrams_to_send(WALL):
            times.append(due)
    return times


def take_all(made: LanDiscovery, now: float = 0.0) -> Sequence[Address]:
    return list(made.take(100, now, lambda address: False))


def test_a_lonely_node_speaks_every_ten_seconds_with_jitter() -> None:
    times = sending_times(machine(), 600)
    apart = [b - a for a, b in pairwise(times)]
    assert times[0] <= 1.0
    assert all(8 <= gap <= 12 for gap in apart) and len(set(apart)) == len(apart)


def test_a_node_with_a_peer_speaks_every_ten_minutes() -> None:
    made = machine()
    sending_times(made, 20)
    made.set_lonely(False, 20)
    times = sending_times(made, 6_000)
    assert all(480 <= b - a <= 720 for a, b in pairwise([20.0, *times]))
    made.set_lonely(True, 6_000)
    assert sending_times(made, 6_001), "alone again: at once"


def test_nodes_started_together_do_not_speak_together() -> None:
    assert len({machine(seed=seed).next_timer() for seed in range(20)}) == 20


def test_a_new_link_gets_a_beacon_at_once() -> None:
    made = machine()
    made.set_lonely(False, 0.0)
    assert made.next_timer() > 100
    made.links_changed(5.0)
    assert made.next_timer() <= 6.0


def test_a_beacon_proposes_the_announced_listener_at_the_senders_address() -> None:
    made = machine()
    made.receive_datagram(heard(beacon(9_999)), 0.0, WALL)
    assert made.next_event() == CandidateHeard(Address("udp", "10.0.0.2", 9_999))
    made.receive_datagram(heard(beacon(9_999)), 0.0, WALL)
    assert made.next_event() is None, "known already"
    assert take_all(made) == [Address("udp", "10.0.0.2", 9_999)]
    assert made.counters.accepted == 2


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(heard(beacon(), hop_limit=254), id="routed once"),
        pytest.param(heard(beacon(), hop_limit=64), id="sent with another hop limit"),
        pytest.param(heard(beacon(), is_on_link=False), id="source is not of the link"),
    ],
)
def test_an_off_link_beacon_is_dropped_and_counted(datagram: LinkDatagram) -> None:
    made = machine()
    made.receive_datagram(datagram, 0.0, WALL)
    assert made.next_event() is None and take_all(made) == []
    assert made.counters.routed == 1 and made.counters.refused == 0


@pytest.mark.parametrize("data", [b"", b"\1" * 31, bytes(2_048), beacon(key=OTHER_KEY)])
def test_a_forged_beacon_is_dropped_and_counted(data: bytes) -> None:
    made = machine()
    made.receive_datagram(heard(data), 0.0, WALL)
    assert made.next_event() is None and take_all(made) == []
    assert made.counters.refused == 1 and made.counters.routed == 0


def test_our_own_beacon_comes_back_and_is_nobodys() -> None:
    made = machine()
    made.handle_timer(1.0)
    ((version, own),) = made.datagrams_to_send(WALL)
    assert version == 4
    made.receive_datagram(heard(own), 1.0, WALL)
    assert made.next_event() is None and made.counters.accepted == 0


def test_nothing_is_announced_without_a_listener_that_neighbours_reach() -> None:
    made = machine(Address("udp", "127.0.0.1", 4_433))
    assert sending_times(made, 60) == []
    made.listen_on([UDP])
    assert sending_times(made, 120)


def test_each_ip_version_announces_its_own_listener() -> None:
    six = Address("udp", "::", 5_555)
    made = machine(UDP, six)
    made.handle_timer(1.0)
    ports = {version: Beacon.from_bytes(data, KEY, WALL).port for version, data in made.datagrams_to_send(WALL)}
    assert ports == {4: 4_433, 6: 5_555}


def test_udp_is_announced_before_tcp_and_a_wildcard_before_one_address() -> None:
    one = Address("udp", "10.0.0.1", 7)
    assert announced([TCP, UDP], 4) == UDP
    assert announced([one, UDP], 4) == UDP
    assert announced([TCP, one], 4) == one
    assert announced([TCP], 4) == TCP
    assert announced([TCP], 6) is None
    assert announced([Address("tls", "0.0.0.0", 1)], 4) is None, "a scheme that beacons have no number for"
