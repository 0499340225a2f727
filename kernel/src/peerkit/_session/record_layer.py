"""Secured records on an ordered pipe of bytes: the handshake's messages first, then sealed records.

    dialer:    version u32 ‖ { length u16 ‖ handshake message }*        then records
    acceptor:  { length u16 ‖ handshake message }*                      then records
    record:    header u32 = phase(1 bit) ‖ 0(7) ‖ length(24)  ‖ AEAD(plaintext), the header as associated data

A record's plaintext has at most 128 KiB (a Noise transport message of 64 KiB would not hold a leaf of 64 KiB).  The
counter of each direction starts at 0 with each key.  After `max_packets` records the sender takes the next key and
flips the phase; on an ordered pipe the receiver follows at that record.

An unknown version is answered, statelessly, by `0 u32 ‖ 1 u32` (8 bytes for the ≥ 8 that came) and the end.

In: bytes of the pipe.  Out: handshake messages, opened plaintexts, sealed records.  Not here: sockets, frames, trust.
"""

import struct
from collections.abc import Iterator, Sequence

from ..errors import RemoteProtocolError, VerificationFailed
from ..security import PacketProtection, PlaintextWrapper
from ..transport import Buffer
from .hello import VERSION

MAX_PLAINTEXT = 131_072
MAX_HANDSHAKE_MESSAGE = 8_192
MAX_HANDSHAKE_MESSAGES = 4
HEADER = struct.Struct("!I")
_PHASE = 1 << 31
_LENGTH = 0xFF_FFFF
_RESERVED = 0xFFFF_FFFF & ~(_PHASE | _LENGTH)
_pack_header, _unpack_header = HEADER.pack, HEADER.unpack_from


class Sealer:
    """Makes records of one direction."""

    def __init__(self, protection: PacketProtection, wrappers: Sequence[PlaintextWrapper] = ()) -> None:
        self._protection = protection
        self._overhead = protection.overhead
        self._last = protection.max_packets  # counters from here on need another key
        self._counter = 0
        self._phase = 0
        self._wrappers = wrappers
        self.key_updates = 0
        self.max_plaintext = MAX_PLAINTEXT - sum(w.overhead for w in wrappers)

    def update_key(self) -> None:
        """Take the next key at the next record (a key lives for an hour at most)."""
        self._last = self._counter or self._last

    def seal(self, plaintext: Buffer) -> tuple[bytes, bytes]:
        """Header and sealed body; changes the key when it is worn out."""
        for wrapper in self._wrappers:
            plaintext = wrapper.wrap(plaintext)
        counter = self._counter
        if counter >= self._last:
            self._protection = self._protection.next_generation()
            self._last = self._protection.max_packets
            counter = 0
            self._phase ^= _PHASE
            self.key_updates += 1
        header = _pack_header(self._phase | (len(plaintext) + self._overhead))
        self._counter = counter + 1
        return header, self._protection.seal(counter, header, plaintext)


class Opener:
    """Opens the records of one direction.

    Attributes:
        rest: the first bytes of a record that has not come whole.
    """

    def __init__(self, protection: PacketProtection, wrappers: Sequence[PlaintextWrapper] = ()) -> None:
        self._protection = protection
        self._counter = 0
        self._phase = 0
        self._wrappers = tuple(reversed(wrappers))
        self._min = protection.overhead
        self._max = MAX_PLAINTEXT + protection.overhead
        self.rest = b""

    def records(self, data: memoryview) -> Iterator[bytes]:
        """The plaintext of each record in `data`, which begins with `rest`.

        Raises:
            RemoteProtocolError: a length that cannot be one, or a record that is not the next one that the peer sealed.
        """
        at, end = 0, len(data)
        while end - at >= 4:
            (header,) = _unpack_header(data, at)
            length = header & _LENGTH
            if header & _RESERVED or not self._min <= length <= self._max:
                raise RemoteProtocolError(f"a record of {length} bytes is not allowed")
            body = at + 4
            stop = body + length
            if stop > end:
                break
            if header & _PHASE != self._phase:
                self._follow_to_next_key()
            try:
                plaintext = self._protection.open(self._counter, data[at:body], data[body:stop])
            except VerificationFailed:
                raise RemoteProtocolError("a record does not verify: it was changed on the way") from None
            self._counter += 1
            for wrapper in self._wrappers:
                plaintext = wrapper.unwrap(plaintext)
            yield plaintext
            at = stop
        self.rest = bytes(data[at:]) if at < end else b""

    def _follow_to_next_key(self) -> None:
        if self._counter == 0:
            raise RemoteProtocolError("the peer changed its key twice at once")
        self._protection = self._protection.next_generation()
        self._counter = 0
        self._phase ^= _PHASE


class HandshakeReader:
    """Cuts the handshake's messages out of the pipe's first bytes.

    Args:
        is_dialer: the acceptor reads the version first.
    """

    def __init__(self, is_dialer: bool) -> None:
        self._buffer = bytearray()
        self._await_version = not is_dialer
        self._is_dialer = is_dialer
        self._messages = 0
        self.unknown_version = False

    def receive(self, data: Buffer) -> None:
        """Raises `RemoteProtocolError` for more bytes than a handshake has."""
        self._buffer += data
        if self._await_version and len(self._buffer) >= 4:
            (version,) = HEADER.unpack_from(self._buffer)
            if version != VERSION:
                self.unknown_version = True
                raise RemoteProtocolError(f"the peer speaks version {version}, we speak {VERSION}")
            del self._buffer[:4]
            self._await_version = False
        if self._is_dialer and self._messages == 0 and self._buffer[:2] == b"\0\0":
            raise RemoteProtocolError(f"the peer does not speak version {VERSION}")

    def next_message(self) -> bytes | None:
        """The next whole message, or `None`.  What follows the last one is `rest()`."""
        if self._await_version or len(self._buffer) < 2:
            return None
        length = int.from_bytes(self._buffer[:2], "big")
        if not 0 < length <= MAX_HANDSHAKE_MESSAGE or self._messages >= MAX_HANDSHAKE_MESSAGES:
            raise RemoteProtocolError(f"a handshake message of {length} bytes is not allowed")
        if len(self._buffer) < 2 + length:
            return None
        message = bytes(self._buffer[2 : 2 + length])
        del self._buffer[: 2 + length]
        self._messages += 1
        return message

    def rest(self) -> bytes:
        """Bytes after the handshake: the first records."""
        data, self._buffer = bytes(self._buffer), bytearray()
        return data


def frame_message(message: bytes, first_of_dialer: bool) -> bytes:
    """A handshake message as it goes on the pipe."""
    start = HEADER.pack(VERSION) if first_of_dialer else b""
    return start + len(message).to_bytes(2, "big") + message


UNKNOWN_VERSION_ANSWER = struct.pack("!II", 0, VERSION)
