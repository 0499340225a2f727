"""What each side tells the other in its first sealed packets.

    { type u8, length u8, value }*        unknown types are skipped
    1  node key (16)                      masks the connection ids of packets to this node, see `header_protection.py`
    2  largest datagram u16               what this side takes at most
    3  idle timeout u16, seconds          the connection is over when nothing came for the smaller of both

Until they have come, the values of `BEFORE` hold.
"""

import struct
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError

from .header_protection import KEY_BYTES

NODE_KEY, MAX_DATAGRAM, IDLE_TIMEOUT = 1, 2, 3
MIN_DATAGRAM_BYTES = 1_025  # a session's payloads have 1,000 bytes at least
_U16 = struct.Struct("!H")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Attributes:
    node_key: empty while unknown.
    max_datagram_bytes, idle_timeout_s: see above.
    """

    node_key: bytes = b""
    max_datagram_bytes: int = 1_200
    idle_timeout_s: int = 30

    def encode(self) -> bytes:
        fields = (
            (NODE_KEY, self.node_key),
            (MAX_DATAGRAM, _U16.pack(self.max_datagram_bytes)),
            (IDLE_TIMEOUT, _U16.pack(self.idle_timeout_s)),
        )
        return b"".join(bytes((kind, len(value))) + value for kind, value in fields)


BEFORE = Parameters()


def decode(data: bytes) -> Parameters:
    """Raises `RemoteProtocolError` when it is malformed or a value is impossible."""
    node_key, datagram, idle = BEFORE.node_key, BEFORE.max_datagram_bytes, BEFORE.idle_timeout_s
    at = 0
    while at < len(data):
        kind, length = data[at], data[at + 1] if at + 1 < len(data) else 255
        value = data[at + 2 : at + 2 + length]
        at += 2 + length
        if len(value) != length:
            raise RemoteProtocolError("the peer's transport parameters are cut short")
        if kind == NODE_KEY:
            node_key = value
        elif kind == MAX_DATAGRAM and length == 2:
            (datagram,) = _U16.unpack(value)
        elif kind == IDLE_TIMEOUT and length == 2:
            (idle,) = _U16.unpack(value)
        elif kind in (MAX_DATAGRAM, IDLE_TIMEOUT):
            raise RemoteProtocolError("a transport parameter has the wrong length")
    if len(node_key) != KEY_BYTES or datagram < MIN_DATAGRAM_BYTES or idle < 1:
        raise RemoteProtocolError("the peer's transport parameters are impossible")
    return Parameters(node_key, datagram, idle)
