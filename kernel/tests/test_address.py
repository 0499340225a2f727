"""Addresses as text, and the neighbourhoods that limits count."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit.address import Address, Contact, contacts_of
from peerkit.errors import UsageError
from peerkit.identity import PeerId

PEER = PeerId(bytes(32))


@pytest.mark.parametrize(
    "text",
    [
        "tcp://192.0.2.1:4433",
        "tls://[2001:db8::1]:0",
        f"udp://example.org:65535/{PEER}",
        f"relay://{PEER}@192.0.2.1:4433/{PEER}",
    ],
)
def test_round_trip(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("192.0.2.1:4433", "one looks like"),
        ("tcp://192.0.2.1", "one looks like"),
        ("tcp://192.0.2.1:65536", "not in 0..65535"),
        ("tcp://[2001:zz::]:1", "not an IPv6"),
        ("tcp://[1::2::3]:1", "not an IPv6"),
        (f"tcp://{PEER}@192.0.2.1:1", "only relay"),
        ("relay://192.0.2.1:1", "only relay"),
        ("tcp://" + "a" * 500 + ":1", "one looks like"),
        (f"tcp://192.0.2.1:4433/{str(PEER)[:-1]}7", "check"),
    ],
)
def test_wrong_addresses_say_why(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Address.parse(text)


@pytest.mark.parametrize(
    ("host", "prefix", "local"),
    [
        ("8.8.8.8", "8.8.8.0/24", False),
        ("::ffff:8.8.8.8", "8.8.8.0/24", False),  # an IPv4-mapped address is the IPv4 one, or it would count twice
        ("2a00:1450:4001:81b::200e", "2a00:1450:4001:800::/56", False),
        ("10.1.2.3", "10.1.2.0/24", True),
        ("100.64.1.2", "100.64.1.0/24", True),
        ("100.128.1.2", "100.128.1.0/24", False),
        ("127.0.0.1", "127.0.0.0/24", True),
        ("fe80::1", "fe80::/56", True),
        ("example.org", "example.org", False),
    ],
)
def test_neighbourhoods(host: str, prefix: str, local: bool) -> None:
    address = Address("tcp", host, 1)
    assert (address.prefix, address.is_local) == (prefix, local)


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        Address.parse(text)


def test_addresses_of_one_peer_are_one_contact() -> None:
    other = PeerId(bytes([1] * 32))
    tcp, udp = (Address.parse(f"{scheme}://192.0.2.1:1/{PEER}") for scheme in ("tcp", "udp"))
    nobody, stranger = Address.parse("tcp://example.org:1"), Address.parse(f"tcp://192.0.2.2:1/{other}")
    assert contacts_of([tcp, nobody, stranger, udp]) == [Contact(PEER, (tcp, udp)), nobody, Contact(other, (stranger,))]
    with pytest.raises(UsageError, match="no address"):
        Contact(PEER, ())
