"""The datagrams of NAT-PMP, version 0 (RFC 6886): to UDP port 5351 of the gateway, IPv4 only.

address request    0 0                                             answer  0 128 result u16 epoch u32 address[4]
mapping request    0 op reserved u16 internal u16 external u16 lifetime u32
                                        answer  0 128+op result u16 epoch u32 internal u16 external u16 lifetime u32
"""

import ipaddress
import struct
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError

from .mapping import TCP, UDP, Wanted

PORT = 5_351
_ADDRESS = struct.Struct("!BBHI4s")
_MAP_REQUEST = struct.Struct("!BBHHHI")
_MAP = struct.Struct("!BBHIHHI")
_OPCODES = {UDP: 1, TCP: 2}
_IS_ANSWER = 128
RESULTS = {
    1: "unsupported version",
    2: "not authorised",
    3: "it has no public address itself, as behind another NAT (network failure)",
    4: "out of resources",
    5: "unsupported opcode",
}
ADDRESS_REQUEST = b"\0\0"


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """`result` 0 is success; otherwise the rest means nothing."""

    result: int
    epoch_s: int
    host: str


@dataclass(frozen=True, slots=True)
class MapAnswer:
    result: int
    epoch_s: int
    protocol: int
    internal_port: int
    external_port: int
    lifetime_s: int


def map_request(wanted: Wanted, external_port: int, lifetime_s: int) -> bytes:
    """A lifetime of 0 ends the mapping; the external port must then be 0."""
    opcode = _OPCODES[wanted.protocol]
    return _MAP_REQUEST.pack(0, opcode, 0, wanted.internal.port, external_port, lifetime_s)


def parse(data: bytes) -> AddressAnswer | MapAnswer:
    """Raises `RemoteProtocolError`: this is no answer."""
    if len(data) < 4 or data[0] != 0 or data[1] < _IS_ANSWER:
        raise RemoteProtocolError("this is no NAT-PMP answer")
    opcode = data[1] - _IS_ANSWER
    (result,) = struct.unpack_from("!H", data, 2)
    if opcode == 0 and (len(data) == _ADDRESS.size or result):
        _, _, _, epoch_s, raw = _ADDRESS.unpack(data[: _ADDRESS.size].ljust(_ADDRESS.size, b"\0"))
        return AddressAnswer(result, epoch_s, str(ipaddress.IPv4Address(raw)))
    protocol = next((protocol for protocol, code in _OPCODES.items() if code == opcode), None)
    if protocol is not None and (len(data) == _MAP.size or result):
        _, _, _, epoch_s, internal, external, lifetime_s = _MAP.unpack(data[: _MAP.size].ljust(_MAP.size, b"\0"))
        return MapAnswer(result, epoch_s, protocol, internal, external, lifetime_s)
    raise RemoteProtocolError(f"a NAT-PMP answer of {len(data)} bytes to opcode {opcode}")
