"""Whom we had to do with lately."""

from peerkit_public_address.contacts import MAX_HOSTS, REMEMBERED_S, Contacts

from peerkit.address import Address
from peerkit.testing import FakeClock
from peerkit.trust import Action, Question


def asked(contacts: Contacts, host: str) -> None:
    contacts.decide(Question(Action.DIAL, address=Address("udp", host, 4433)))


def test_a_host_is_remembered_as_long_as_routers_do() -> None:
    clock = FakeClock()
    contacts = Contacts(clock)
    assert not contacts.had_with("45.1.1.1")
    asked(contacts, "45.1.1.1")
    clock.advance(REMEMBERED_S - 1)
    assert contacts.had_with("45.1.1.1") and not contacts.had_with("45.1.1.2")
    asked(contacts, "45.1.1.1")
    clock.advance(2)
    assert contacts.had_with("45.1.1.1"), "it was renewed"
    clock.advance(REMEMBERED_S)
    assert not contacts.had_with("45.1.1.1")


def test_strangers_cannot_make_it_grow() -> None:
    contacts = Contacts(FakeClock())
    for number in range(MAX_HOSTS + 10):
        asked(contacts, f"45.{number >> 8}.{number & 255}.1")
    assert not contacts.had_with("45.0.9.1") and contacts.had_with("45.0.10.1")
    contacts.decide(Question(Action.LOOKUP))
