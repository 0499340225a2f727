"""The wire messages as plain Python values.  The only module that imports the generated code.

Every decoder takes bytes from outside: length first, then the parse, then the fields; it raises nothing but
`RemoteProtocolError`.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import DecodeError, Message

from peerkit.address import Address
from peerkit.errors import RemoteProtocolError

from .arrival import NONCE_BYTES, TOKEN_BYTES
from .trials import Origin
from .wire.v1 import public_address_pb2 as pb

MAX_MESSAGE_BYTES = 256  # stops a parse that costs many times its bytes
DIAL_BACK_BYTES = 192  # a request has at least so many; see `server.py`
MIN_PRICE_BYTES, MAX_PRICE_BYTES = 30_000, 100_000  # go-libp2p's AutoNAT v2: more than a dial can cost a victim
_SCHEME = re.compile(r"[a-z][a-z0-9]{0,15}")


class Status(Enum):
    """What a server says of a dial-back.  Values are those of the wire."""

    PAY = 1
    TRYING = 2
    ARRIVED = 3
    NOT_ARRIVED = 4
    REFUSED = 5
    BUSY = 6
    NO_HELPER = 7


@dataclass(frozen=True, slots=True)
class DialBack:
    target: Address
    token: bytes
    origin: Origin


@dataclass(frozen=True, slots=True)
class Reply:
    """`owed_bytes` is 0 unless the status is `PAY`."""

    status: Status
    owed_bytes: int = 0


def encode_observe() -> bytes:
    return pb.Observe().SerializeToString()


def decode_observe(data: bytes) -> None:
    """Raises `RemoteProtocolError`."""
    _parse(pb.Observe(), data)


def encode_observed(seen: Address | None) -> bytes:
    """`None`: the session comes through a relay."""
    if seen is None:
        return pb.Observed().SerializeToString()
    return pb.Observed(host=_packed(seen), port=seen.port).SerializeToString()


def decode_observed(data: bytes, scheme: str) -> Address | None:
    """Where the peer sees us.  Raises `RemoteProtocolError`."""
    message = pb.Observed()
    _parse(message, data)
    if not message.host:
        return None
    return _address(scheme, message.host, message.port)


def encode_dial_back(request: DialBack) -> bytes:
    target = request.target
    message = pb.DialBack(
        scheme=target.scheme,
        host=_packed(target),
        port=target.port,
        token=request.token,
        origin=pb.Origin.Name(request.origin.value),
    )
    message.padding = bytes(DIAL_BACK_BYTES - message.ByteSize() - 3)  # its tag and its length take 3: it has over 127
    return message.SerializeToString()


def decode_dial_back(data: bytes) -> DialBack:
    """Raises `RemoteProtocolError`."""
    if len(data) < DIAL_BACK_BYTES:
        raise RemoteProtocolError(f"a request for a dial-back has {len(data)} bytes, fewer than {DIAL_BACK_BYTES}")
    message = pb.DialBack()
    _parse(message, data)
    if not _SCHEME.fullmatch(message.scheme) or len(message.token) != TOKEN_BYTES:
        raise RemoteProtocolError("a request for a dial-back has a malformed scheme or token")
    try:
        origin = Origin(message.origin)
    except ValueError:
        raise RemoteProtocolError("a dial-back is wanted from an unknown origin") from None
    return DialBack(_address(message.scheme, message.host, message.port), message.token, origin)


def encode_reply(reply: Reply) -> bytes:
    return pb.Reply(status=pb.Status.Name(reply.status.value), owed_bytes=reply.owed_bytes).SerializeToString()


def decode_reply(data: bytes) -> Reply:
    """Raises `RemoteProtocolError`."""
    message = pb.Reply()
    _parse(message, data)
    try:
        status = Status(message.status)
    except ValueError:
        raise RemoteProtocolError("a reply has an unknown status") from None
    # An asker pays no more than any honest server asks: stops a server from making others upload for ever.
    if message.owed_bytes and not (status is Status.PAY and message.owed_bytes <= MAX_PRICE_BYTES):
        raise RemoteProtocolError(f"a server wants {message.owed_bytes} bytes")
    return Reply(status, message.owed_bytes)


def encode_proof(nonce: bytes) -> bytes:
    return pb.Proof(nonce=nonce).SerializeToString()


def decode_proof(data: bytes) -> bytes:
    """The nonce.  Raises `RemoteProtocolError`."""
    message = pb.Proof()
    _parse(message, data)
    if len(message.nonce) != NONCE_BYTES:
        raise RemoteProtocolError("a proof has no nonce of the right length")
    return message.nonce


def _packed(address: Address) -> bytes:
    ip = address.ip
    if ip is None:
        raise ValueError(f"{address} has no numeric host")
    return ip.packed


def _address(scheme: str, host: bytes, port: int) -> Address:
    if len(host) not in (4, 16) or not 0 < port <= 65_535:
        raise RemoteProtocolError("an address has neither 4 nor 16 bytes, or no port")
    ip = ipaddress.ip_address(host)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        raise RemoteProtocolError("an IPv4 address is written as an IPv6 one")  # one address has one form
    return Address(scheme, str(ip), port)


def _parse(message: Message, data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"a message of {len(data)} bytes is longer than {MAX_MESSAGE_BYTES}")
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a message is malformed") from exc
