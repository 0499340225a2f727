"""Packets before there are keys: handshake messages, cookies, versions.  All in clear; the messages protect themselves.

    MESSAGE   0x80  version u32, to u32, from u32, index u8, offset u16, total u16, cookie u8, length u16, cookie, part
    VERSIONS  0x81  to u32, count u8, version u32 *count         answer to a version that is not spoken here
    COOKIE    0x82  to u32, length u8, cookie                    answer: come again with this cookie in the packet

`to` and `from` are connection ids, each chosen by the side that reads it as `to`; 0 in the first message, whose `to` is
not known yet.  `index` counts the messages of both sides from 0 on.  A message longer than one packet travels in parts.
A dialer's packets are padded with zeros to 1,200 bytes, so that an answer is never longer than its question.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError

VERSION = 1
MESSAGE, VERSIONS, COOKIE = 0x80, 0x81, 0x82
LAST_FIRST_BYTE = 0x8F  # of the range that is registered
FIRST_PACKET_BYTES = 1_200
MAX_MESSAGE_BYTES = 8_192
MAX_COOKIE_BYTES = 64
MAX_VERSIONS = 16
BINDING = b"peerkit udp" + struct.pack("!II", VERSION, VERSION)  # packet format, first version offered
_HEADER = struct.Struct("!BIIIBHHBH")
HEADER_BYTES = _HEADER.size
_VERSIONS = struct.Struct("!BIB")
_COOKIE = struct.Struct("!BIB")


@dataclass(frozen=True, slots=True)
class Message:
    """A part of a handshake message."""

    version: int
    to: int
    sender: int
    index: int
    offset: int
    total: int
    cookie: bytes
    part: bytes

    @property
    def is_whole(self) -> bool:
        return self.offset == 0 and len(self.part) == self.total


@dataclass(frozen=True, slots=True)
class Versions:
    to: int
    versions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Cookie:
    to: int
    cookie: bytes


def encode_message(
    to: int, sender: int, index: int, message: bytes, cookie: bytes, packet_bytes: int, padded: bool
) -> list[bytes]:
    """The packets of one message, each of at most `packet_bytes`, or of exactly so many when `padded`."""
    room = packet_bytes - HEADER_BYTES - len(cookie)
    packets = []
    for offset in range(0, len(message), room):
        part = message[offset : offset + room]
        head = _HEADER.pack(MESSAGE, VERSION, to, sender, index, offset, len(message), len(cookie), len(part))
        packet = head + cookie + part
        packets.append(packet.ljust(packet_bytes, b"\0") if padded else packet)
    return packets


def encode_versions(to: int) -> bytes:
    return _VERSIONS.pack(VERSIONS, to, 1) + struct.pack("!I", VERSION)


def encode_cookie(to: int, cookie: bytes) -> bytes:
    return _COOKIE.pack(COOKIE, to, len(cookie)) + cookie


def decode(packet: memoryview) -> Message | Versions | Cookie:
    """Raises `RemoteProtocolError` when it is malformed.  The parts of a message of another version are not read."""
    kind = packet[0]
    try:
        if kind == MESSAGE:
            return _decode_message(packet)
        if kind == VERSIONS:
            _, to, count = _VERSIONS.unpack_from(packet)
            if count > MAX_VERSIONS:
                raise RemoteProtocolError("a peer names too many versions")
            return Versions(to, struct.unpack_from(f"!{count}I", packet, _VERSIONS.size))
        if kind == COOKIE:
            _, to, length = _COOKIE.unpack_from(packet)
            cookie = bytes(packet[_COOKIE.size : _COOKIE.size + length])
            if not 0 < len(cookie) == length <= MAX_COOKIE_BYTES:
                raise RemoteProtocolError("a cookie of an impossible length")
            return Cookie(to, cookie)
    except struct.error:
        raise RemoteProtocolError("a handshake packet is cut short") from None
    raise RemoteProtocolError(f"an unknown kind of handshake packet, {kind:#04x}")


def _decode_message(packet: memoryview) -> Message:
    _, version, to, sender, index, offset, total, cookie_bytes, length = _HEADER.unpack_from(packet)
    if version != VERSION:
        return Message(version, to, sender, 0, 0, 0, b"", b"")  # what follows may have another layout
    at = _HEADER.size + cookie_bytes
    if cookie_bytes > MAX_COOKIE_BYTES or at + length > len(packet):
        raise RemoteProtocolError("a handshake packet is cut short")
    if not 0 < length <= total <= MAX_MESSAGE_BYTES or offset + length > total:
        raise RemoteProtocolError("a part that is none of its handshake message")
    return Message(
        version, to, sender, index, offset, total, bytes(packet[_HEADER.size : at]), bytes(packet[at : at + length])
    )


class MessageParts:
    """Puts the parts of one message together.  A forged part makes the whole wrong; then `clear` and wait for the
    next copy.  Bound: one message of at most 8 KiB."""

    __slots__ = ("_parts", "_total")

    def __init__(self) -> None:
        self._parts: dict[int, bytes] = {}
        self._total = 0

    def add(self, message: Message) -> bytes | None:
        """The whole message once it is there."""
        if message.is_whole:
            return message.part
        if message.total != self._total or len(self._parts) > MAX_MESSAGE_BYTES // 64:
            self.clear()
            self._total = message.total
        self._parts[message.offset] = message.part
        whole = bytearray()
        while len(whole) < self._total:
            part = self._parts.get(len(whole))
            if part is None:
                return None
            whole += part
        self.clear()
        return bytes(whole)

    def clear(self) -> None:
        self._parts.clear()
        self._total = 0
