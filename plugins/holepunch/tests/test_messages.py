"""Wire messages, offers and answers: what is accepted, what is refused, and golden bytes."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_holepunch import codec
from peerkit_holepunch.codec import AnswerFields, Introduce, Introduced, Meet, Met, OfferFields
from peerkit_holepunch.offer import ANSWER, OFFER, Attempt, make_answer, make_offer, read_answer, read_offer
from peerkit_holepunch.probe import PROBE_BYTES, Probe, ProbeKey, id_of, punch_id
from peerkit_holepunch.strategy import Nat, Strategy

from peerkit.address import Address
from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.errors import RemoteProtocolError
from peerkit.identity import Identity, PeerId
from peerkit.record import Signed, network_id

A, B, C = (Identity(bytes([n]) * 32) for n in (1, 2, 3))
NETWORK = network_id("test")
NONCE, OTHER_NONCE, SESSION = b"n" * 16, b"m" * 16, b"s" * 16
HOME = Address("udp", "192.168.1.2", 4433)
NAT = Nat(NatMapping.SYMMETRIC_SEQUENTIAL, NatFiltering.ADDRESS_DEPENDENT, -2, (HOME,))
ATTEMPT = Attempt(B.peer_id, NONCE, SESSION, 3, Strategy.SWAPPED)
NOW = 1_700_000_000.0


def signer(identity: Identity) -> Callable[[str, bytes], Signed]:
    return lambda purpose, body: Signed(body, identity.sign(purpose, NETWORK, body))


def offer_of(identity: Identity = A, attempt: Attempt = ATTEMPT, now: float = NOW) -> bytes:
    return make_offer(signer(identity), A.peer_id, attempt, NAT, now)


def test_messages_come_out_as_they_went_in() -> None:
    seen = (Address("udp", "192.0.2.1", 5), Address("udp", "2001:db8::1", 6))
    for request in (Introduce(B.peer_id, b"offer"), Meet(b"offer", seen, seen[:1], 0.25)):
        assert codec.decode_request(codec.encode_request(request)) == request
    assert codec.decode_introduced(codec.encode_introduced(Introduced(b"a", seen, ()))) == Introduced(b"a", seen, ())
    assert codec.decode_met(codec.encode_met(Met(b"a"))) == Met(b"a")
    offer = OfferFields(A.peer_id, B.peer_id, NONCE, SESSION, 7, 12_345, Strategy.BIRTHDAY, NAT)
    assert codec.decode_offer(codec.encode_offer(offer)) == offer
    answer = AnswerFields(A.peer_id, B.peer_id, NONCE, OTHER_NONCE, "busy", NAT)
    assert codec.decode_answer(codec.encode_answer(answer)) == answer


def test_golden_bytes() -> None:
    ids = PeerId(b"A" * 32), PeerId(b"B" * 32)
    offer = OfferFields(*ids, NONCE, SESSION, 3, 1_000, Strategy.SWAPPED, NAT)
    answer = AnswerFields(*ids, NONCE, OTHER_NONCE, "busy", Nat())
    seen = (Address("udp", "192.0.2.1", 5),)
    key = ProbeKey(b"k" * 32, NONCE, OTHER_NONCE, True)
    assert {
        "offer": codec.encode_offer(offer).hex(),
        "answer": codec.encode_answer(answer).hex(),
        "introduce": codec.encode_request(Introduce(ids[1], b"o")).hex(),
        "introduced": codec.encode_introduced(Introduced(b"a", seen, seen)).hex(),
        "meet": codec.encode_request(Meet(b"o", seen, seen, 0.05)).hex(),
        "met": codec.encode_met(Met(b"a")).hex(),
        "probe": key.probe(7).hex(),
        "probe answer": key.answer(7).hex(),
    } == GOLDEN


GOLDEN = {
    "offer": (
        "0a2041414141414141414141414141414141414141414141414141414141414141411220424242424242424242424242"
        "42424242424242424242424242424242424242421a106e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e22107373737373737373"
        "7373737373737373280330e8073802421e08041002180322167564703a2f2f3139322e3136382e312e323a34343333"
    ),
    "answer": (
        "0a2041414141414141414141414141414141414141414141414141414141414141411220424242424242424242424242"
        "42424242424242424242424242424242424242421a106e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e22106d6d6d6d6d6d6d6d"
        "6d6d6d6d6d6d6d6d2a04627573793200"
    ),
    "introduce": "0a250a20424242424242424242424242424242424242424242424242424242424242424212016f",
    "introduced": "0a016112117564703a2f2f3139322e302e322e313a351a117564703a2f2f3139322e302e322e313a35",
    "meet": "122d0a016f12117564703a2f2f3139322e302e322e313a351a117564703a2f2f3139322e302e322e313a3520d08603",
    "met": "0a0161",
    "probe": "944ca88707bbd5d4d6000000073a73b78b5d6b5d255200fd8f47526e34",
    "probe answer": "954ca88707bbd5d4d6000000071e81a0f71c681ae817228bc4a69f1725",
}


@pytest.mark.parametrize("nat", [Nat(mapping, filtering) for mapping in NatMapping for filtering in NatFiltering])
def test_every_kind_of_router_can_be_told(nat: Nat) -> None:
    offer = OfferFields(A.peer_id, B.peer_id, NONCE, SESSION, 1, 1, Strategy.PLAIN, nat)
    assert codec.decode_offer(codec.encode_offer(offer)).nat == nat


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    decoders = (
        codec.decode_request,
        codec.decode_introduced,
        codec.decode_met,
        codec.decode_offer,
        codec.decode_answer,
        lambda data: read_offer(data, B.peer_id, NETWORK, NOW),
        lambda data: read_answer(data, A.peer_id, ATTEMPT, NETWORK),
    )
    for decode in decoders:
        try:
            decode(data)
        except RemoteProtocolError:
            continue


@given(st.binary(max_size=40))
def test_no_bytes_pass_for_a_probe(data: bytes) -> None:
    key = ProbeKey(b"k" * 32, NONCE, OTHER_NONCE, True)
    assert key.read(data) is None
    name = id_of(data)
    assert name is None or len(data) == PROBE_BYTES


@given(st.integers(0, (1 << 32) - 1), st.integers(0, PROBE_BYTES * 8 - 1))
def test_a_probe_verifies_at_the_other_side_alone_and_whole(number: int, bit: int) -> None:
    asker, target = (ProbeKey(b"k" * 32, NONCE, OTHER_NONCE, is_asker) for is_asker in (True, False))
    probe, answer = asker.probe(number), target.answer(number)
    assert id_of(probe) == punch_id(NONCE, OTHER_NONCE) and len(probe) == len(answer) == PROBE_BYTES
    assert target.read(probe) == Probe(False, number) and asker.read(answer) == Probe(True, number)
    assert asker.read(probe) is None and target.read(answer) is None
    changed = bytearray(probe)
    changed[bit // 8] ^= 1 << bit % 8
    assert target.read(bytes(changed)) is None


def test_too_many_or_too_long_parts_are_refused() -> None:
    many = tuple(Address("udp", "192.0.2.1", port) for port in range(1, 9))
    assert len(codec.decode_introduced(codec.encode_introduced(Introduced(b"a", many, ()))).observed) == 4
    wire = codec.encode_met(Met(b"a" * (codec.MAX_SIGNED_BYTES + 1)))
    with pytest.raises(RemoteProtocolError, match="signed part"):
        codec.decode_met(wire)
    with pytest.raises(RemoteProtocolError, match="longer than"):
        codec.decode_request(bytes(codec.MAX_MESSAGE_BYTES + 1))


def test_an_offer_is_read_by_its_target() -> None:
    fields = read_offer(offer_of(), B.peer_id, NETWORK, NOW)
    assert (fields.asker, fields.number, fields.strategy, fields.nat) == (A.peer_id, 3, Strategy.SWAPPED, NAT)


@pytest.mark.parametrize(
    ("data", "reader", "network", "now", "words"),
    [
        (offer_of(), C.peer_id, NETWORK, NOW, "for another peer"),
        (offer_of(C), B.peer_id, NETWORK, NOW, "not signed by its maker"),
        (offer_of(), B.peer_id, network_id("other"), NOW, "not signed by its maker"),
        (offer_of(), B.peer_id, NETWORK, NOW + 700, "expired"),
        (offer_of(now=NOW + 700), B.peer_id, NETWORK, NOW, "too long"),
        (offer_of()[:-1], B.peer_id, NETWORK, NOW, "malformed"),
        (offer_of(attempt=Attempt(A.peer_id, NONCE, SESSION, 1, Strategy.PLAIN)), A.peer_id, NETWORK, NOW, "our own"),
    ],
    ids=["foreign", "forged", "other network", "expired", "from the future", "cut", "our own"],
)
def test_an_offer_that_is_not_good_is_refused(
    data: bytes, reader: PeerId, network: bytes, now: float, words: str
) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        read_offer(data, reader, network, now)


def test_an_answer_is_good_for_one_offer_of_one_pair() -> None:
    offer = read_offer(offer_of(), B.peer_id, NETWORK, NOW)
    answer = make_answer(signer(B), offer, OTHER_NONCE, NAT)
    assert read_answer(answer, A.peer_id, ATTEMPT, NETWORK).nonce == OTHER_NONCE
    other = Attempt(B.peer_id, OTHER_NONCE, SESSION, 4, Strategy.PLAIN)
    with pytest.raises(RemoteProtocolError, match="another offer"):
        read_answer(answer, A.peer_id, other, NETWORK)
    with pytest.raises(RemoteProtocolError, match="not signed"):
        read_answer(make_answer(signer(C), offer, OTHER_NONCE, NAT), A.peer_id, ATTEMPT, NETWORK)
    as_offer = Signed.from_bytes(answer, 1_024)
    assert as_offer.signature != B.sign(OFFER, NETWORK, as_offer.body), f"{ANSWER} is a purpose of its own"


def test_numbers_of_probes_do_not_repeat_between_punches() -> None:
    firsts = {random.Random(seed).randrange(0, 1 << 31) for seed in range(50)}
    assert len(firsts) == 50
