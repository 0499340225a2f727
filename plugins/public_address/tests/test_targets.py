"""Where a stranger may make us send."""

import pytest
from peerkit_public_address.targets import is_seen_there, may_be_sent_to

from kernel.tests.test_address_space import SPECIAL
from peerkit.address import Address

ASKER = Address("udp", "30.1.0.1", 4433)


@pytest.mark.parametrize("host", SPECIAL)
def test_a_special_address_is_no_target(host: str) -> None:
    assert not may_be_sent_to(Address("udp", host, 4433), ASKER)


@pytest.mark.parametrize("host", ["8.8.8.8", "20.9.0.1", "100.63.0.1", "172.32.0.1", "2a00::9", "2620:fe::fe"])
def test_an_address_of_the_internet_is_a_target(host: str) -> None:
    assert may_be_sent_to(Address("udp", host, 4433), ASKER)


def test_a_host_name_and_port_0_are_no_targets() -> None:
    assert not may_be_sent_to(Address("udp", "example.org", 4433), ASKER)
    assert not may_be_sent_to(Address("udp", "8.8.8.8", 0), ASKER)


def test_a_local_network_works_for_who_is_seen_on_it() -> None:
    local = Address("udp", "192.168.1.7", 4433)
    assert may_be_sent_to(local, Address("udp", "192.168.1.7", 60_000))
    assert not may_be_sent_to(local, Address("udp", "192.168.1.8", 4433)), "another machine of it"
    assert not may_be_sent_to(Address("udp", "127.0.0.1", 4433), local), "ourselves"


def test_a_v4_mapped_form_is_no_way_around_the_exception() -> None:
    """The kernel shows a mapped address as IPv4; only that form is compared."""
    seen = Address("udp", "::ffff:192.168.1.7", 4433)
    assert is_seen_there(Address("udp", "192.168.1.7", 1), seen)
    assert not is_seen_there(Address("udp", "::ffff:192.168.1.7", 1), seen)
