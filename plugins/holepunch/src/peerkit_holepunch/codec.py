"""The wire messages as plain Python values.  The only module that imports the generated code.

Every decoder takes bytes from outside: length first, then the parse, then counts and lengths of fields; it raises
nothing but `RemoteProtocolError`.  Signatures and meaning are checked by `offer.py`, addresses by `candidates.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import DecodeError, Message

from peerkit.address import Address
from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.errors import RemoteProtocolError, UsageError
from peerkit.identity import PeerId

from .strategy import Nat, Strategy
from .wire.v1 import holepunch_pb2 as pb

MAX_MESSAGE_BYTES = 4_096  # the largest has less than 2 KiB; stops a peer from making us parse 64 KiB a time
MAX_SIGNED_BYTES = 1_024
MAX_ADDRESSES = 4  # of one list: each may be probed, so this bounds what one message can aim at
MAX_ADDRESS_CHARS = 80
MAX_REFUSAL_CHARS = 200
NONCE_BYTES = 16
_PEER_ID_BYTES = 32
_MAX_PORT_STEP = 1_024  # guess: beyond this nothing is predicted

_MAPPINGS = (
    NatMapping.UNKNOWN,
    NatMapping.NONE,
    NatMapping.ENDPOINT_INDEPENDENT,
    NatMapping.SYMMETRIC,
    NatMapping.SYMMETRIC_SEQUENTIAL,
)
_FILTERINGS = (
    NatFiltering.UNKNOWN,
    NatFiltering.ENDPOINT_INDEPENDENT,
    NatFiltering.ADDRESS_DEPENDENT,
    NatFiltering.ADDRESS_AND_PORT_DEPENDENT,
)


@dataclass(frozen=True, slots=True)
class Introduce:
    target: PeerId
    offer: bytes


@dataclass(frozen=True, slots=True)
class Introduced:
    answer: bytes
    observed: tuple[Address, ...]
    yours: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Meet:
    """`rtt_s` is 0 when the coordinator does not know it."""

    offer: bytes
    observed: tuple[Address, ...]
    yours: tuple[Address, ...]
    rtt_s: float


@dataclass(frozen=True, slots=True)
class Met:
    answer: bytes


@dataclass(frozen=True, slots=True)
class OfferFields:
    """`Offer`, its lengths checked, its signature not."""

    asker: PeerId
    target: PeerId
    nonce: bytes
    session: bytes
    number: int
    expires_ms: int
    strategy: Strategy
    nat: Nat


@dataclass(frozen=True, slots=True)
class AnswerFields:
    """`Answer`, its lengths checked, its signature not."""

    asker: PeerId
    target: PeerId
    offer_nonce: bytes
    nonce: bytes
    refusal: str
    nat: Nat


Request: TypeAlias = Introduce | Meet


def encode_request(request: Request) -> bytes:
    match request:
        case Introduce(target, offer):
            message = pb.Request(introduce=pb.Introduce(target=target.raw, offer=offer))
        case Meet(offer, observed, yours, rtt_s):
            meet = pb.Meet(offer=offer, observed=_texts(observed), yours=_texts(yours), rtt_us=int(rtt_s * 1e6))
            message = pb.Request(meet=meet)
    return message.SerializeToString()


def decode_request(data: bytes) -> Request:
    """Raises `RemoteProtocolError`."""
    message = pb.Request()
    _parse(message, data)
    match message.WhichOneof("kind"):
        case "introduce":
            found = message.introduce
            return Introduce(_peer(found.target), _signed(found.offer))
        case "meet":
            meet = message.meet
            return Meet(_signed(meet.offer), _addresses(meet.observed), _addresses(meet.yours), meet.rtt_us / 1e6)
        case _:
            raise RemoteProtocolError("a request of an unknown kind")


def encode_introduced(answer: Introduced) -> bytes:
    return pb.Introduced(
        answer=answer.answer, observed=_texts(answer.observed), yours=_texts(answer.yours)
    ).SerializeToString()


def decode_introduced(data: bytes) -> Introduced:
    """Raises `RemoteProtocolError`."""
    message = pb.Introduced()
    _parse(message, data)
    return Introduced(_signed(message.answer), _addresses(message.observed), _addresses(message.yours))


def encode_met(answer: Met) -> bytes:
    return pb.Met(answer=answer.answer).SerializeToString()


def decode_met(data: bytes) -> Met:
    """Raises `RemoteProtocolError`."""
    message = pb.Met()
    _parse(message, data)
    return Met(_signed(message.answer))


def encode_offer(fields: OfferFields) -> bytes:
    return pb.Offer(
        asker=fields.asker.raw,
        target=fields.target.raw,
        nonce=fields.nonce,
        session=fields.session,
        number=fields.number,
        expires_ms=fields.expires_ms,
        strategy=fields.strategy.value,
        nat=_nat_message(fields.nat),
    ).SerializeToString()


def decode_offer(body: bytes) -> OfferFields:
    """Raises `RemoteProtocolError`."""
    message = pb.Offer()
    _parse(message, body)
    try:
        strategy = Strategy(message.strategy)
    except ValueError:
        raise RemoteProtocolError(f"an offer names an unknown strategy, {message.strategy}") from None
    return OfferFields(
        _peer(message.asker),
        _peer(message.target),
        _nonce(message.nonce),
        _nonce(message.session),
        message.number,
        message.expires_ms,
        strategy,
        _nat(message.nat),
    )


def encode_answer(fields: AnswerFields) -> bytes:
    return pb.Answer(
        asker=fields.asker.raw,
        target=fields.target.raw,
        offer_nonce=fields.offer_nonce,
        nonce=fields.nonce,
        refusal=fields.refusal[:MAX_REFUSAL_CHARS],
        nat=_nat_message(fields.nat),
    ).SerializeToString()


def decode_answer(body: bytes) -> AnswerFields:
    """Raises `RemoteProtocolError`."""
    message = pb.Answer()
    _parse(message, body)
    if len(message.refusal) > MAX_REFUSAL_CHARS or not (message.refusal.isprintable() or not message.refusal):
        raise RemoteProtocolError("a refusal is too long or not printable")
    return AnswerFields(
        _peer(message.asker),
        _peer(message.target),
        _nonce(message.offer_nonce),
        _nonce(message.nonce),
        message.refusal,
        _nat(message.nat),
    )


def _nat_message(nat: Nat) -> pb.Nat:
    return pb.Nat(
        mapping=_MAPPINGS.index(nat.mapping),
        filtering=_FILTERINGS.index(nat.filtering),
        port_step=nat.port_step,
        private_addresses=_texts(nat.private_addresses),
    )


def _nat(message: pb.Nat) -> Nat:
    """A kind that we do not know is unknown; a newer version may have more."""
    known_mapping, known_filtering = message.mapping < len(_MAPPINGS), message.filtering < len(_FILTERINGS)
    return Nat(
        _MAPPINGS[message.mapping] if known_mapping else NatMapping.UNKNOWN,
        _FILTERINGS[message.filtering] if known_filtering else NatFiltering.UNKNOWN,
        message.port_step if abs(message.port_step) <= _MAX_PORT_STEP else 0,
        _addresses(message.private_addresses),
    )


def _texts(addresses: Sequence[Address]) -> list[str]:
    return [str(address.without_peer()) for address in addresses[:MAX_ADDRESSES]]


def _addresses(texts: Sequence[str]) -> tuple[Address, ...]:
    if len(texts) > MAX_ADDRESSES or any(len(text) > MAX_ADDRESS_CHARS for text in texts):
        raise RemoteProtocolError("a message holds too many addresses or too long ones")
    try:
        return tuple(Address.parse(text) for text in texts)
    except UsageError as exc:
        raise RemoteProtocolError(f"a message holds a bad address: {exc}") from exc


def _peer(data: bytes) -> PeerId:
    if len(data) != _PEER_ID_BYTES:
        raise RemoteProtocolError(f"a peer id of {len(data)} bytes: it must have {_PEER_ID_BYTES}")
    return PeerId(data)


def _nonce(data: bytes) -> bytes:
    if len(data) != NONCE_BYTES:
        raise RemoteProtocolError(f"a nonce of {len(data)} bytes: it must have {NONCE_BYTES}")
    return data


def _signed(data: bytes) -> bytes:
    if not 0 < len(data) <= MAX_SIGNED_BYTES:
        raise RemoteProtocolError(f"a signed part of {len(data)} bytes is refused")
    return data


def _parse(message: Message, data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"a message of {len(data)} bytes is longer than {MAX_MESSAGE_BYTES}")
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a message is malformed") from exc
