"""What a dial-back brings to the address under test: one small message that only the two sides can know.

    0x92 ‖ token(16) ‖ nonce(16)     33 bytes

The asker drew the token for this one request, so what shows it was sent because of it; the server drew the nonce, so
who returns it on the session got the message.  A datagram on the shared UDP socket, or the only message of a session of
its own over a stream transport.  0x93 is reserved.
"""

from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError
from peerkit.transport import Buffer

ARRIVAL, LAST_FIRST_BYTE = 0x92, 0x93
TOKEN_BYTES = NONCE_BYTES = 16
ARRIVAL_BYTES = 1 + TOKEN_BYTES + NONCE_BYTES


@dataclass(frozen=True, slots=True)
class Arrival:
    token: bytes
    nonce: bytes

    def to_bytes(self) -> bytes:
        return bytes([ARRIVAL]) + self.token + self.nonce

    @classmethod
    def from_bytes(cls, packet: Buffer) -> "Arrival":
        """Raises `RemoteProtocolError`."""
        if len(packet) != ARRIVAL_BYTES or packet[0] != ARRIVAL:
            raise RemoteProtocolError(f"{len(packet)} bytes are no dial-back")
        data = bytes(packet)
        return cls(data[1 : 1 + TOKEN_BYTES], data[1 + TOKEN_BYTES :])
