"""The wire messages as plain Python values.  The only module that imports the generated code.

Every decoder takes bytes from outside: length first, then the parse, then the fields; it raises nothing but
`RemoteProtocolError`.
"""

import ipaddress

from google.protobuf.message import DecodeError, Message

from peerkit.address import Address
from peerkit.errors import RemoteProtocolError

from .wire.v1 import public_address_pb2 as pb

MAX_MESSAGE_BYTES = 256  # stops a parse that costs many times its bytes; the longest message of ours has under 60


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
