"""Handshakes without cryptography, so that the tests of packets and timers see every step.

The dialer's first message says whether it needs the acceptor's key (one round trip, as IK) or not (as XX).
"""

from collections.abc import Callable, Sequence

from peerkit.address import Address
from peerkit.datagram import SessionKeys, SessionOpening
from peerkit.errors import ConnectFailed, RemoteProtocolError
from peerkit.identity import Identity, PeerId, hkdf
from peerkit.protection import AeadProtection
from peerkit.security import Aead, PacketProtection, PlaintextWrapper
from peerkit.transport import Carrier, FrameSource
from plugins.transport_udp.tests.wire import Source

SOMEBODY = Identity(bytes(32)).peer_id


class Keys:
    wrappers: Sequence[PlaintextWrapper] = ()
    life_s = 3_600.0

    def __init__(self, is_dialer: bool) -> None:
        ours, theirs = (b"d" * 32, b"a" * 32) if is_dialer else (b"a" * 32, b"d" * 32)
        self.send: PacketProtection = AeadProtection(ours, Aead.AES_256_GCM)
        self.receive: PacketProtection = AeadProtection(theirs, Aead.AES_256_GCM)

    def export(self, label: bytes, length: int = 32) -> bytes:
        return hkdf(b"exported", label, length)


class Opening:
    """See `peerkit.datagram.SessionOpening`."""

    def __init__(
        self, is_dialer: bool, with_key: bool, ended: Callable[[], None], extra: bytes = b"", answer_bytes: int = 300
    ) -> None:
        self.is_dialer = is_dialer
        self.is_over = False
        self.source = Source()
        self.reason = ""
        self.received: list[bytes] = []
        self.ended = ended
        self._keys: SessionKeys | None = None
        self._answer_bytes = answer_bytes
        self._due = [(b"IK" if with_key else b"XX") + extra] if is_dialer else []
        self.is_taken = False

    @property
    def keys(self) -> SessionKeys | None:
        return self._keys

    @property
    def peer_id(self) -> PeerId | None:
        return SOMEBODY if self._keys else None

    def messages_to_send(self) -> Sequence[bytes]:
        due, self._due = self._due, []
        return due

    def receive_message(self, message: bytes) -> None:
        kind = message[:2]
        if kind not in ((b"A1", b"A2") if self.is_dialer else (b"IK", b"XX", b"M3")):
            raise RemoteProtocolError("a message does not verify")
        self.received.append(message)
        if kind == b"XX":
            self._due = [b"A2" + bytes(self._answer_bytes)]
            return
        if kind == b"IK":
            self._due = [b"A1" + bytes(self._answer_bytes)]
        elif kind == b"A2":
            self._due = [b"M3" + bytes(250)]
        self._keys = Keys(self.is_dialer)

    def confirm(self, carrier: Carrier) -> FrameSource:
        if self.is_taken:
            raise ConnectFailed("udp://x", "another way was faster")
        return self.source

    def abandon(self, reason: str) -> None:
        self.is_over, self.reason = True, reason


class Attempt:
    """See `peerkit.datagram.DialAttempt`."""

    expected_peer: PeerId | None = None
    address = Address("udp", "30.0.0.2", 4_000)

    def __init__(self, knows_key: bool = True, extra: bytes = b"") -> None:
        self.knows_key = knows_key
        self.is_over = False
        self.failure = ""
        self.openings: list[Opening] = []
        self._extra = extra

    def open(self, binding: bytes, ended: Callable[[], None], with_key: bool = True) -> SessionOpening:
        opening = Opening(True, with_key, ended, self._extra)
        self.openings.append(opening)
        return opening

    def fail(self, reason: str) -> None:
        self.is_over, self.failure = True, reason


class Door:
    """See `peerkit.datagram.SessionAcceptor`."""

    def __init__(self) -> None:
        self.is_busy = False
        self.is_open = True
        self.answer_bytes = 300
        self.openings: list[Opening] = []

    def accept(self, remote: Address, binding: bytes, ended: Callable[[], None]) -> SessionOpening | None:
        if not self.is_open:
            return None
        opening = Opening(False, False, ended, answer_bytes=self.answer_bytes)
        self.openings.append(opening)
        return opening
