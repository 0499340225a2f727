"""The relay's messages and datagrams as plain Python values.  The only module that imports the generated code.

Every decoder takes bytes from outside and raises nothing but `RemoteProtocolError`.

    datagram on a session   direction u8 (0 to the relay, 1 from it), circuit u32, the carried datagram
"""

import struct
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message

from peerkit.errors import RemoteProtocolError
from peerkit.identity import PeerId

from .wire.v1 import relay_pb2 as pb

MAX_MESSAGE_BYTES = 1_024
MAX_REASON_CHARS = 200
MIN_DATAGRAM_BYTES = 1_000  # of a circuit (PROTOCOL §4)
MAX_DATAGRAM_BYTES = 16_384  # guess: beyond it a packet costs little less for its bytes
MAX_LIFE_S = 86_400
HEADER = struct.Struct("!BI")
TO_RELAY, FROM_RELAY = 0, 1
FROM_RELAY_BYTE = bytes((FROM_RELAY,))  # in place of the first byte, when a relay hands a datagram on


@dataclass(frozen=True, slots=True)
class Reserve:
    pass


@dataclass(frozen=True, slots=True)
class Connect:
    target: PeerId


@dataclass(frozen=True, slots=True)
class CircuitTerms:
    """Attributes:
    id: chosen by the relay.
    max_datagram_bytes: what both its sides take.
    life_s, max_bytes: when the relay ends it.
    """

    id: int
    max_datagram_bytes: int
    life_s: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Incoming:
    dialer: PeerId
    circuit: CircuitTerms


@dataclass(frozen=True, slots=True)
class Close:
    circuit: int
    reason: str


Ask = Reserve | Connect | Incoming | Close


def encode_ask(ask: Ask) -> bytes:
    match ask:
        case Reserve():
            return pb.Ask(reserve=pb.Reserve()).SerializeToString()
        case Connect(target):
            return pb.Ask(connect=pb.Connect(target=target.raw)).SerializeToString()
        case Incoming(dialer, circuit):
            incoming = pb.Incoming(dialer=dialer.raw, circuit=_circuit(circuit))
            return pb.Ask(incoming=incoming).SerializeToString()
        case Close(circuit_id, reason):
            close = pb.Close(circuit=circuit_id, reason=reason[:MAX_REASON_CHARS])
            return pb.Ask(close=close).SerializeToString()


def decode_ask(data: bytes) -> Ask:
    message = pb.Ask()
    _parse(message, data)
    match message.WhichOneof("kind"):
        case "reserve":
            return Reserve()
        case "connect":
            return Connect(_peer_id(message.connect.target))
        case "incoming":
            return Incoming(_peer_id(message.incoming.dialer), _terms(message.incoming.circuit))
        case "close":
            return Close(message.close.circuit, message.close.reason[:MAX_REASON_CHARS])
        case _:
            raise RemoteProtocolError("a relay was asked something of an unknown kind")


def encode_circuit(terms: CircuitTerms) -> bytes:
    return _circuit(terms).SerializeToString()


def decode_circuit(data: bytes) -> CircuitTerms:
    message = pb.Circuit()
    _parse(message, data)
    return _terms(message)


def encode_reservation(life_s: int) -> bytes:
    return pb.Reservation(life_s=life_s).SerializeToString()


def decode_reservation(data: bytes) -> int:
    """The life in seconds, 60 to 86,400."""
    message = pb.Reservation()
    _parse(message, data)
    if not 60 <= message.life_s <= MAX_LIFE_S:
        raise RemoteProtocolError(f"a relay grants a reservation of {message.life_s} s")
    return message.life_s


def _parse(message: Message, data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"a relay message of {len(data)} bytes is longer than allowed")
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a relay message cannot be read") from exc


def _circuit(terms: CircuitTerms) -> pb.Circuit:
    return pb.Circuit(
        id=terms.id, max_datagram_bytes=terms.max_datagram_bytes, life_s=terms.life_s, max_bytes=terms.max_bytes
    )


def _terms(message: pb.Circuit) -> CircuitTerms:
    if message.max_datagram_bytes < MIN_DATAGRAM_BYTES:
        raise RemoteProtocolError(f"a circuit that takes {message.max_datagram_bytes} bytes is of no use")
    most_bytes = min(message.max_datagram_bytes, MAX_DATAGRAM_BYTES)
    return CircuitTerms(message.id, most_bytes, min(message.life_s, MAX_LIFE_S), message.max_bytes)


def _peer_id(raw: bytes) -> PeerId:
    if len(raw) != 32:
        raise RemoteProtocolError("a relay message names a peer by an id of a wrong length")
    return PeerId(raw)
