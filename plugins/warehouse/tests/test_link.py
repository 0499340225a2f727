"""Links: what people pass on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_warehouse.link import Link, places
from peerkit_warehouse.merkle_tree import content_id_of

from peerkit import Address, PeerId
from peerkit.address import Contact
from peerkit.errors import UsageError

ID = content_id_of(b"hello")
PEER, RELAY = PeerId(bytes(range(32))), PeerId(bytes(range(1, 33)))


def test_a_link_is_golden() -> None:
    at = (Address("tcp", "192.0.2.1", 4433, PEER), Address("udp", "2001:db8::1", 7, PEER))
    link = Link(ID, "a & b?.txt", 5, at)
    assert (
        str(link)
        == f"peerkit:{ID}?name=a%20%26%20b%3F.txt&size=5&at={PEER}@192.0.2.1:4433&at=udp%2B{PEER}@[2001:db8::1]:7"
    )
    assert Link.parse(str(link)) == link


def test_a_place_behind_a_relay_is_golden() -> None:
    link = Link(ID, "x", 5, (Address("relay", "192.0.2.1", 4433, PEER, RELAY),))
    assert str(link) == f"peerkit:{ID}?name=x&size=5&at=relay%2B{PEER}@{RELAY}@192.0.2.1:4433"
    assert Link.parse(str(link)) == link


def test_a_bare_peer_id_is_a_place_that_the_node_looks_up() -> None:
    here = Address("tcp", "192.0.2.1", 4433, PEER)
    link = Link(ID, "x", 5, (RELAY, here))
    assert str(link) == f"peerkit:{ID}?name=x&size=5&at={RELAY}&at={PEER}@192.0.2.1:4433"
    assert Link.parse(str(link)) == link
    assert link.targets() == [Contact(PEER, (here,)), RELAY], "addresses first: they need no lookup"


def test_a_link_names_what_strangers_can_dial() -> None:
    local = [Address("tcp", host, 1) for host in ("127.0.0.1", "192.168.1.2", "100.64.1.2", "fd00::1")]
    public = [Address("udp", f"45.1.1.{i}", 1) for i in range(4)]
    relayed = [Address("relay", "45.2.1.1", 1, None, RELAY), Address("relay", "45.3.1.1", 1, None, PEER)]
    assert places([*local, *public, *relayed]) == (*public[:2], relayed[0])
    assert places([*relayed, *local, public[0]]) == (public[0], *relayed)
    assert places([*local, *relayed]) == tuple(relayed)
    assert places([*local, *public]) == tuple(public[:3])
    assert places(local) == tuple(local[:3]), "on a network of its own there is nothing else"


def test_a_bare_content_id_is_a_link() -> None:
    assert Link.parse(f" {ID}\n") == Link(ID)


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.none() | st.integers(0, 1 << 62))
def test_name_and_size_survive(name: str, size: int | None) -> None:
    link = Link(ID, name, size)
    assert Link.parse(str(link)) == link


def test_unknown_fields_are_ignored_for_later_versions() -> None:
    assert Link.parse(f"peerkit:{ID}?later=1&name=x") == Link(ID, "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "peerkit:",
        "http://example.org",
        f"peerkit:{str(ID)[:-1]}x",
        f"peerkit:{PEER}",
        f"peerkit:{ID}?size=-1",
        f"peerkit:{ID}?size=1e9",
        f"peerkit:{ID}?size={1 << 63}",
        f"peerkit:{ID}?size=٣",
        f"peerkit:{ID}?at=192.0.2.1:1",
        f"peerkit:{ID}?at=udp%2B{PEER}",
        f"peerkit:{ID}?at={ID}",
        f"peerkit:{ID}?at={PEER}@192.0.2.1",
        f"peerkit:{ID}?at=relay%2B{PEER}@192.0.2.1:1",
        f"peerkit:{ID}?at=udp%2B{PEER}@{PEER}@192.0.2.1:1",
        f"peerkit:{ID}?at=ftp%2B{PEER}@192.0.2.1:1",
        f"peerkit:{ID}?" + "&".join([f"at={PEER}@192.0.2.1:1"] * 4),
        f"peerkit:{ID}?" + "&".join(["a=1"] * 40),
        f"peerkit:{ID}?name=%ff",
        f"peerkit:{ID}?name=" + "x" * 5000,
    ],
)
def test_a_wrong_link_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Link.parse(text)


@given(st.text(max_size=100))
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    for candidate in (text, "peerkit:" + text, f"peerkit:{ID}?{text}"):
        try:
            Link.parse(candidate)
        except UsageError:
            continue
