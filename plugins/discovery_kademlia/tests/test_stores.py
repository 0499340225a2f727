"""The stores' bounds, each against the attack it names, and who may write what."""

import random
from functools import cache

import pytest
from peerkit_discovery_kademlia import codec
from peerkit_discovery_kademlia.announcement import (
    LIFE_S,
    PURPOSE,
    Announcement,
    announcement_body,
    read_announcement,
)
from peerkit_discovery_kademlia.namespaces import (
    MUTABLE_PURPOSE,
    Namespace,
    check_value,
    immutable_key,
    mutable_body,
    mutable_key,
)
from peerkit_discovery_kademlia.provider_store import MAX_PER_KEY, ProviderStore
from peerkit_discovery_kademlia.value_store import ValueStore

from peerkit.errors import LimitExceeded, RemoteProtocolError
from peerkit.identity import Identity
from peerkit.record import Signed
from plugins.discovery_kademlia.tests.message_network import NETWORK, WALL, make_record

KEY = bytes(range(32))
OTHER = bytes(32)
RNG = random.Random(1)


@cache
def identity(number: int) -> Identity:
    return Identity(random.Random(number).randbytes(32))


def signed(who: Identity, purpose: str, body: bytes) -> bytes:
    return Signed(body, who.sign(purpose, NETWORK, body)).to_bytes()


@cache
def announcement(number: int, key: bytes = KEY) -> Announcement:
    who = identity(number)
    return read_announcement(signed(who, PURPOSE, announcement_body(who.peer_id, key, WALL)), NETWORK, WALL)


def where(prefix: int) -> tuple[str, ...]:
    return (f"20.0.{prefix}.0/24",)


# -- provider records ------------------------------------------------------------------------------------------------


def test_provider_record_must_be_its_providers_own() -> None:
    body = announcement_body(identity(1).peer_id, KEY, WALL)
    with pytest.raises(RemoteProtocolError, match="not signed"):
        read_announcement(signed(identity(2), PURPOSE, body), NETWORK, WALL)
    with pytest.raises(RemoteProtocolError, match="somebody else"):
        read_announcement(announcement(1).wire, NETWORK, WALL, expected=identity(2).peer_id)
    with pytest.raises(RemoteProtocolError, match="not signed"):  # of another network
        read_announcement(announcement(1).wire, bytes(32), WALL)


@pytest.mark.parametrize("at", [WALL + LIFE_S + 1, WALL - 700.0])
def test_provider_record_counts_only_within_its_life(at: float) -> None:
    with pytest.raises(RemoteProtocolError, match="expired"):
        read_announcement(announcement(1).wire, NETWORK, at)


def test_provider_record_cannot_claim_a_longer_life() -> None:
    who = identity(1)
    body = codec.encode_announcement(
        codec.AnnouncementFields(who.peer_id.raw, KEY, int(WALL * 1000), int((WALL + LIFE_S + 60) * 1000))
    )
    with pytest.raises(RemoteProtocolError, match="dates"):
        read_announcement(signed(who, PURPOSE, body), NETWORK, WALL)


def test_key_keeps_64_providers_and_a_new_prefix_displaces_the_newest_of_the_most_crowded() -> None:
    store = ProviderStore()
    for number in range(MAX_PER_KEY):
        store.add(announcement(number), b"", where(1), float(number), WALL)
    with pytest.raises(LimitExceeded):
        store.add(announcement(100), b"", where(1), 100.0, WALL)
    store.add(announcement(101), b"", where(2), 101.0, WALL)
    assert len(store) == MAX_PER_KEY
    kept = {provider.announcement for provider in store.get(KEY, MAX_PER_KEY, RNG)}
    assert announcement(101).wire in kept
    assert announcement(MAX_PER_KEY - 1).wire not in kept
    assert announcement(0).wire in kept


def test_one_provider_announces_a_bounded_number_of_keys() -> None:
    store = ProviderStore(per_provider=3)
    for number in range(3):
        store.add(announcement(1, bytes((number,)) * 32), b"", where(1), 0.0, WALL)
    with pytest.raises(LimitExceeded):
        store.add(announcement(1, bytes((9,)) * 32), b"", where(1), 0.0, WALL)
    store.add(announcement(1, bytes((2,)) * 32), b"", where(1), 1.0, WALL)  # renewing is no new one


def test_one_prefix_gets_a_sixteenth_of_the_store() -> None:
    store = ProviderStore(total=64)
    for number in range(4):
        store.add(announcement(number), b"", where(1), 0.0, WALL)
    with pytest.raises(LimitExceeded):
        store.add(announcement(5), b"", where(1), 0.0, WALL)
    store.add(announcement(5), b"", where(2), 0.0, WALL)


def test_store_of_providers_is_bounded_and_empties_when_they_expire() -> None:
    store = ProviderStore(total=16)
    for number in range(16):
        store.add(announcement(number), b"", where(number), 0.0, WALL)
    with pytest.raises(LimitExceeded):
        store.add(announcement(20), b"", where(99), 0.0, WALL)
    store.expire(LIFE_S - 1)
    assert len(store) == 16
    store.expire(LIFE_S)
    assert len(store) == 0
    store.add(announcement(20), b"", where(99), LIFE_S, WALL)


def test_renewed_provider_lives_on_and_leaves_no_litter() -> None:
    store = ProviderStore()
    for second in range(1_000):
        store.add(announcement(1), b"", where(1), float(second), WALL)
    assert len(store._ends) < 100
    store.expire(LIFE_S + 500)
    assert len(store) == 1


# -- values ----------------------------------------------------------------------------------------------------------


def mutable(number: int, sequence: int, value: bytes, salt: bytes = b"salt") -> bytes:
    who = identity(number)
    return signed(who, MUTABLE_PURPOSE, mutable_body(who.peer_id, salt, sequence, value))


MUTABLE_KEY = mutable_key(identity(1).peer_id, b"salt")


def put(store: ValueStore, namespace: int, key: bytes, value: bytes, prefix: int = 1, now: float = 0.0) -> bool:
    checked = check_value(namespace, key, value, NETWORK, WALL)
    return store.put(namespace, key, value, checked, where(prefix), OTHER, now, WALL)


def test_values_must_fit_their_key() -> None:
    record = make_record(1)
    wrong: list[tuple[int, bytes]] = [
        (Namespace.IMMUTABLE, b"value"),
        (Namespace.IMMUTABLE, bytes(8193)),
        (Namespace.MUTABLE, mutable(1, 1, b"v")),
        (Namespace.MUTABLE, signed(identity(2), MUTABLE_PURPOSE, mutable_body(identity(1).peer_id, b"", 1, b"v"))),
        (Namespace.PEER, record.to_bytes()),
        (4, b"value"),
        (0, b"value"),
    ]
    for namespace, value in wrong:
        with pytest.raises(RemoteProtocolError):
            check_value(namespace, KEY, value, NETWORK, WALL)


def test_mutable_value_is_at_most_1_kib() -> None:
    check_value(Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 1, bytes(1024)), NETWORK, WALL)
    with pytest.raises(RemoteProtocolError):
        check_value(Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 1, bytes(1025)), NETWORK, WALL)


def test_higher_sequence_replaces_a_lower_one_and_never_the_other_way_round() -> None:
    store = ValueStore()
    assert put(store, Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 5, b"five"))
    assert not put(store, Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 5, b"five"))
    assert put(store, Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 6, b"six"))
    with pytest.raises(RemoteProtocolError, match="higher sequence"):
        put(store, Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 5, b"five"))
    with pytest.raises(RemoteProtocolError, match="same sequence"):
        put(store, Namespace.MUTABLE, MUTABLE_KEY, mutable(1, 6, b"other six"))
    assert store.get(Namespace.MUTABLE, MUTABLE_KEY) == mutable(1, 6, b"six")


def test_one_prefix_gets_a_share_of_the_bytes() -> None:
    store = ValueStore(total_bytes=16 * 20_000)
    values = [bytes((number,)) * 8_000 for number in range(4)]
    for value in values[:2]:
        put(store, Namespace.IMMUTABLE, immutable_key(value), value)
    with pytest.raises(LimitExceeded):
        put(store, Namespace.IMMUTABLE, immutable_key(values[2]), values[2])
    put(store, Namespace.IMMUTABLE, immutable_key(values[2]), values[2], prefix=2)


def test_store_of_values_is_bounded_and_empties_when_they_expire() -> None:
    store = ValueStore(total_bytes=40_000)
    values = [bytes((number,)) * 8_000 for number in range(5)]
    for number, value in enumerate(values[:4]):
        put(store, Namespace.IMMUTABLE, immutable_key(value), value, prefix=number)
    with pytest.raises(LimitExceeded):
        put(store, Namespace.IMMUTABLE, immutable_key(values[4]), values[4], prefix=9)
    store.expire(LIFE_S)
    assert (len(store), store.used_bytes) == (0, 0)
