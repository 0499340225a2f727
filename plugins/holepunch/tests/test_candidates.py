"""Where probes may go."""

import pytest
from peerkit_holepunch.candidates import accept_observed, candidates, is_unicast, private_addresses
from peerkit_holepunch.strategy import Nat

from peerkit.address import Address
from peerkit.capabilities import NatMapping


def udp(host: str, port: int = 4433) -> Address:
    return Address("udp", host, port)


PUBLIC, HOME = udp("45.1.0.1"), udp("192.168.1.9")
A, B = udp("5.5.5.5", 1_000), udp("6.6.6.6", 2_000)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.1.2.3",
        "255.255.255.255",
        "240.0.0.1",
        "169.254.1.1",
        "::",
        "ff02::1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:5.5.5.5",
        "::5.5.5.5",
        "64:ff9b::505:505",
        "64:ff9b:1::505:505",
        "2001::1",
        "2002:505:505::1",
        "example.org",
    ],
)
def test_an_address_that_is_no_hosts_is_never_probed(host: str) -> None:
    assert not is_unicast(udp(host))
    assert not accept_observed([udp(host)], PUBLIC) and not accept_observed([udp(host)], HOME)
    nat = Nat(private_addresses=(udp(host),))
    assert candidates([A], [A], nat, False) == [A]


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "127.0.0.1", "fd00::1", "::1"])
def test_private_networks_are_believed_only_of_a_coordinator_in_one(host: str) -> None:
    assert not accept_observed([udp(host)], PUBLIC)
    is_loopback = host in ("127.0.0.1", "::1")
    assert accept_observed([udp(host)], HOME) == (() if is_loopback else (udp(host),))
    assert accept_observed([udp(host)], udp("127.0.0.1")) == (udp(host),)


def test_what_is_observed_is_bounded_and_of_udp() -> None:
    assert accept_observed([A, A, B, udp("7.7.7.7")], PUBLIC) == (A, B)
    assert not accept_observed([Address("tcp", "5.5.5.5", 1), udp("5.5.5.5", 0)], PUBLIC)


def test_private_addresses_are_probed_only_behind_one_router() -> None:
    nat = Nat(private_addresses=(HOME, udp("8.8.8.8"), udp("127.0.0.1")))
    assert candidates([B], [A], nat, False) == [B]
    here = udp(B.host, 7)
    assert candidates([B], [here], nat, False) == [HOME, B], "and only addresses of private networks"


def test_predicted_ports_take_the_place_of_the_observed_one() -> None:
    nat = Nat(NatMapping.SYMMETRIC_SEQUENTIAL, port_step=2)
    assert [a.port for a in candidates([B], [A], nat, True)] == [2_002, 2_004, 2_006, 2_008, 2_010, 2_012, 2_014, 2_016]
    assert candidates([B], [A], nat, False) == [B]
    assert candidates([udp(B.host, 65_534)], [A], nat, True) == []


def test_what_we_tell_of_our_own_network() -> None:
    interfaces = ("127.0.0.1", "192.168.1.2", "fd00::2", "5.5.5.5", "fe80::1")
    wild = [Address("tcp", "0.0.0.0", 1), udp("0.0.0.0", 7), udp("::", 8)]
    assert private_addresses(wild, interfaces, 0) == (udp("192.168.1.2", 7), udp("fd00::2", 8))
    assert private_addresses([], interfaces, 9) == (udp("192.168.1.2", 9), udp("fd00::2", 9)), "it listens nowhere"
    assert private_addresses([udp("127.0.0.1", 7)], interfaces, 0) == ()
