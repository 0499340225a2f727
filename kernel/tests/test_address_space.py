"""Which addresses are of the internet."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit.address_space import is_public

SPECIAL = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # v4-compatible
    "::ffff:127.0.0.1",  # v4-mapped
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",  # v4-translated
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",  # NAT64, local use
    "100::1",  # discard
    "2001::1",  # Teredo
    "2001:0:7f00:1::1",
    "2001:2::1",  # benchmarks
    "2001:10::1",  # ORCHID
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "2002:808:808::1",
    "2a00::5efe:a00:1",  # ISATAP of 10.0.0.1
    "2a00::200:5efe:a00:1",
    "3fff::1",
    "4000::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%2",
    "2a00::9%2",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("host", [*SPECIAL, "example.org", "8.8.8.8.8", ""])
def test_a_special_address_is_not(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "20.9.0.1", "100.63.0.1", "172.32.0.1", "2a00::9", "2620:fe::fe"])
def test_a_common_address_is(host: str) -> None:
    assert is_public(host)


@given(st.ip_addresses())
def test_nothing_that_the_registry_calls_special_is(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not ip.is_global or ip.is_multicast:
        assert not is_public(str(ip))


@given(st.ip_addresses(v=4))
def test_addresses_with_another_inside_are_not(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    for outer in (
        0xFFFF << 32 | number,
        int(ipaddress.IPv6Address("64:ff9b::")) | number,
        int(ipaddress.IPv6Address("2002::")) | number << 80,
        int(ipaddress.IPv6Address("2001::")) | (number ^ 0xFFFF_FFFF),
    ):
        assert not is_public(str(ipaddress.IPv6Address(outer)))
