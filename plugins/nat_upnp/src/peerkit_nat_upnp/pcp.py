"""The datagrams of the Port Control Protocol, version 2 (RFC 6887): ANNOUNCE and MAP, over IPv4 and IPv6.

request   2 opcode reserved u16 lifetime u32 client[16]                         ‖ MAP
answer    2 128+opcode reserved u8 result u8 lifetime u32 epoch u32 reserved[12] ‖ MAP
MAP       nonce[12] protocol reserved[3] internal u16 external u16 external address[16]
"""

import ipaddress
import struct
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError

from .mapping import Wanted

PORT = 5_351
VERSION = 2
NONCE_BYTES = 12
MAX_BYTES = 1_100  # RFC 6887 §7
ANNOUNCE, MAP = 0, 1
_IS_ANSWER = 128
_REQUEST = struct.Struct("!BBHI16s")
_ANSWER = struct.Struct("!BBBBII12s")
_MAP = struct.Struct("!12sB3sHH16s")
RESULTS = {
    1: "unsupported version",
    2: "not authorised",
    3: "malformed request",
    4: "unsupported opcode",
    5: "unsupported option",
    6: "malformed option",
    7: "it has no public address itself, as behind another NAT (network failure)",
    8: "no resources",
    9: "unsupported protocol",
    10: "quota exceeded",
    11: "this external address or port cannot be had",
    12: "the request came from another address than it says",
    13: "too many peers",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """To ANNOUNCE, or to anything that failed.  `result` 0 is success."""

    opcode: int
    result: int
    lifetime_s: int
    epoch_s: int


@dataclass(frozen=True, slots=True)
class MapAnswer(Answer):
    nonce: bytes
    protocol: int
    internal_port: int
    external_port: int
    external_host: str


def announce_request(client: str) -> bytes:
    return _REQUEST.pack(VERSION, ANNOUNCE, 0, 0, _sixteen(client))


def map_request(wanted: Wanted, nonce: bytes, host: str, port: int, lifetime_s: int) -> bytes:
    """A lifetime of 0 ends the mapping.

    Args:
        host, port: the external ones that would be welcome; any address of the family, and 0, when none is.
    """
    head = _REQUEST.pack(VERSION, MAP, 0, lifetime_s, _sixteen(wanted.internal.host))
    return head + _MAP.pack(nonce, wanted.protocol, bytes(3), wanted.internal.port, port, _sixteen(host))


def parse(data: bytes) -> Answer:
    """Raises `RemoteProtocolError`: this is no answer.  Options are not read."""
    if not _ANSWER.size <= len(data) <= MAX_BYTES or len(data) % 4 or data[0] != VERSION or data[1] < _IS_ANSWER:
        raise RemoteProtocolError("this is no PCP answer")
    _, opcode, _, result, lifetime_s, epoch_s, _ = _ANSWER.unpack_from(data)
    opcode -= _IS_ANSWER
    if opcode != MAP or len(data) < _ANSWER.size + _MAP.size:
        if opcode == MAP and not result:
            raise RemoteProtocolError("a PCP answer without its mapping")
        return Answer(opcode, result, lifetime_s, epoch_s)
    nonce, protocol, _, internal, external, raw = _MAP.unpack_from(data, _ANSWER.size)
    ip = ipaddress.IPv6Address(raw)
    host = str(ip.ipv4_mapped or ip)
    return MapAnswer(opcode, result, lifetime_s, epoch_s, nonce, protocol, internal, external, host)


def is_older_version(data: bytes) -> bool:
    """Whether this is how a gateway that speaks NAT-PMP alone refuses PCP (RFC 6887 Appendix A)."""
    return len(data) >= 4 and data[0] == 0 and data[1] >= _IS_ANSWER and data[3] == 1


def _sixteen(host: str) -> bytes:
    ip = ipaddress.ip_address(host.partition("%")[0])
    return ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
