"""The beacon: 32 bytes that tell neighbours of the same network where to dial, and nobody else anything.

     0        1           2      4                12                          32
     ┌────────┬───────────┬──────┬────────────────┬───────────────────────────┐
     │ version│ transport │ port │ random         │ MAC                       │   big-endian
     └────────┴───────────┴──────┴────────────────┴───────────────────────────┘
     MAC = BLAKE2b-160(key, version ‖ transport ‖ hour u64 ‖ random ‖ port)

The key is the network's: in a private network a stranger can neither make nor check a beacon, in a public one everybody
who knows the network's name can.  There is no id in it; the handshake that follows proves the peer.  The hour, which is
not sent, ends the use of a recorded beacon after two hours at most.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError

VERSION = 1
BEACON_BYTES = 32
RANDOM_BYTES = 8
MAC_BYTES = 20
KEY_LABEL = b"lan beacon"
HOUR_S = 3600.0
TRANSPORTS = ("udp", "tcp")  # by number
_FIELDS = struct.Struct("!BBH8s20s")
_MACED = struct.Struct("!BBQ8sH")


@dataclass(frozen=True, slots=True)
class Beacon:
    """Attributes:
    transport: the scheme of the announced listener.
    port: where it listens, at the address that the beacon comes from.
    random: tells beacons apart; our own come back to us.
    """

    transport: str
    port: int
    random: bytes

    def to_bytes(self, key: bytes, wall: float) -> bytes:
        number = TRANSPORTS.index(self.transport)
        mac = _mac(key, number, int(wall // HOUR_S), self.random, self.port)
        return _FIELDS.pack(VERSION, number, self.port, self.random, mac)

    @classmethod
    def from_bytes(cls, data: bytes, key: bytes, wall: float) -> "Beacon":
        """Clocks may be an hour apart.  Raises `RemoteProtocolError`: it is none, or not of this network."""
        if len(data) != BEACON_BYTES:
            raise RemoteProtocolError(f"a beacon has {BEACON_BYTES} bytes, not {len(data)}")
        version, number, port, random, mac = _FIELDS.unpack(data)
        if version != VERSION:
            raise RemoteProtocolError(f"a beacon of version {version}")
        if number >= len(TRANSPORTS) or not port:
            raise RemoteProtocolError("a beacon announces no listener")
        hour = int(wall // HOUR_S)
        for near in (hour, hour - 1, hour + 1):
            if near >= 0 and hmac.compare_digest(mac, _mac(key, number, near, random, port)):
                return cls(TRANSPORTS[number], port, random)
        raise RemoteProtocolError("a beacon of another network, or an old one")


def _mac(key: bytes, number: int, hour: int, random: bytes, port: int) -> bytes:
    return hashlib.blake2b(_MACED.pack(VERSION, number, hour, random, port), key=key, digest_size=MAC_BYTES).digest()
