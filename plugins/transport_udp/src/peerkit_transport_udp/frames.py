"""The transport's own frames, which stand before the session's in a sealed packet.

    PADDING       0x20                                                    any number
    PING          0x21                                                    wants an acknowledgement, nothing else
    ACK           0x22  largest u64, delay_us u32, run u32, count u8, { gap u32, run u32 }*count
    CHALLENGE     0x23  bytes(8)                                          does this path work?
    RESPONSE      0x24  bytes(8)
    NEW_ID        0x25  sequence u32, connection id u32, reset token(16)
    RETIRE_ID     0x26  sequence u32
    PARAMETERS    0x27  length u16, { type u8, length u8, value }*        see `parameters.py`
    CLOSE         0x28  code u16, length u16, reason                      the connection is over

What follows them, from the first type below 0x20 or in 0x40..0x7F on, is a payload of the session.  ACK lists runs of
counters that have come, the largest first; `gap` counters between two runs are missing.  PADDING and ACK alone want no
acknowledgement.  All integers are big-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from peerkit.errors import RemoteProtocolError

PADDING = 0x20
PING = 0x21
ACK = 0x22
CHALLENGE = 0x23
RESPONSE = 0x24
NEW_ID = 0x25
RETIRE_ID = 0x26
PARAMETERS = 0x27
CLOSE = 0x28

MAX_ACK_RANGES = 64  # in one frame; what older frames told is not repeated for ever
MAX_REASON_BYTES = 256
MAX_PARAMETERS_BYTES = 256
_ACK_HEADER = struct.Struct("!BQIIB")
_CHALLENGE = struct.Struct("!B8s")
CHALLENGE_BYTES = _CHALLENGE.size  # of a challenge, and of its echo
_NEW_ID = struct.Struct("!BII16s")
_RETIRE_ID = struct.Struct("!BI")
_PARAMETERS = struct.Struct("!BH")
_CLOSE = struct.Struct("!BHH")
SESSION_TYPES = bytes((*range(0x20), *range(0x40, 0x80)))
PING_FRAME = bytes((PING,))
_PADDING = bytes((PADDING,))

Range = tuple[int, int]
"""First counter and the one behind the last."""


class Ack(NamedTuple):  # the quickest to make: one comes with nearly every packet
    """Counters that have come: `ranges` descend and do not touch.  `delay_s` is how long the largest has waited."""

    ranges: Sequence[Range]
    delay_s: float


@dataclass(frozen=True, slots=True)
class Ping:
    """Wants an acknowledgement, nothing else."""


@dataclass(frozen=True, slots=True)
class Challenge:
    data: bytes


@dataclass(frozen=True, slots=True)
class Response:
    data: bytes


@dataclass(frozen=True, slots=True)
class NewId:
    sequence: int
    connection_id: int
    reset_token: bytes


@dataclass(frozen=True, slots=True)
class RetireId:
    sequence: int


@dataclass(frozen=True, slots=True)
class Parameters:
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str


Control = Ack | Ping | Challenge | Response | NewId | RetireId | Parameters | Close


def is_control(kind: int) -> bool:
    """Whether a frame type is the transport's."""
    return kind & 0xE0 == 0x20 or kind >= 0x80


def ack(ranges: Sequence[Range], delay_s: float) -> bytes:
    """Args:
    ranges: descending; the first `MAX_ACK_RANGES` are told.
    """
    first, end = ranges[0]
    delay_us = min(int(delay_s * 1e6), 0xFFFF_FFFF)
    if len(ranges) == 1:
        return _ACK_HEADER.pack(ACK, end - 1, delay_us, end - first, 0)
    flat: list[int] = []
    below = first
    for start, stop in ranges[1:MAX_ACK_RANGES]:
        flat += (below - stop, stop - start)
        below = start
    head = _ACK_HEADER.pack(ACK, end - 1, delay_us, end - first, len(flat) // 2)
    return head + struct.pack(f"!{len(flat)}I", *flat)


def challenge(data: bytes) -> bytes:
    return _CHALLENGE.pack(CHALLENGE, data)


def response(data: bytes) -> bytes:
    return _CHALLENGE.pack(RESPONSE, data)


def new_id(sequence: int, connection_id: int, reset_token: bytes) -> bytes:
    return _NEW_ID.pack(NEW_ID, sequence, connection_id, reset_token)


def retire_id(sequence: int) -> bytes:
    return _RETIRE_ID.pack(RETIRE_ID, sequence)


def parameters(data: bytes) -> bytes:
    return _PARAMETERS.pack(PARAMETERS, len(data)) + data


def close(code: int, reason: str) -> bytes:
    text = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES]
    return _CLOSE.pack(CLOSE, code & 0xFFFF, len(text)) + text


def read_control(packet: bytes, at: int) -> tuple[Control | None, int]:
    """The transport's frame at `at` and where the next one begins; `None` for padding.

    Raises:
        RemoteProtocolError: cut short, of an unknown type, or impossible.
    """
    kind = packet[at]
    try:
        if kind == ACK:
            return read_ack(packet, at)
        if kind == PADDING:
            return None, len(packet) - len(packet[at:].lstrip(_PADDING))
        if kind == PING:
            return Ping(), at + 1
        if kind == CHALLENGE:
            return Challenge(_CHALLENGE.unpack_from(packet, at)[1]), at + _CHALLENGE.size
        if kind == RESPONSE:
            return Response(_CHALLENGE.unpack_from(packet, at)[1]), at + _CHALLENGE.size
        if kind == NEW_ID:
            return NewId(*_NEW_ID.unpack_from(packet, at)[1:]), at + _NEW_ID.size
        if kind == RETIRE_ID:
            return RetireId(_RETIRE_ID.unpack_from(packet, at)[1]), at + _RETIRE_ID.size
        if kind == PARAMETERS:
            _, length = _PARAMETERS.unpack_from(packet, at)
            body, at = _cut(packet, at + _PARAMETERS.size, length, MAX_PARAMETERS_BYTES)
            return Parameters(body), at
        if kind == CLOSE:
            _, code, length = _CLOSE.unpack_from(packet, at)
            body, at = _cut(packet, at + _CLOSE.size, length, MAX_REASON_BYTES)
            return Close(code, body.decode("utf-8", "replace")), at
    except struct.error:
        raise RemoteProtocolError("a transport frame is cut short") from None
    raise RemoteProtocolError(f"a packet holds the unknown frame type {kind:#04x}")


def _cut(packet: bytes, at: int, length: int, most: int) -> tuple[bytes, int]:
    if length > most or at + length > len(packet):
        raise RemoteProtocolError("a transport frame is cut short")
    return packet[at : at + length], at + length


def read_ack(packet: bytes, at: int) -> tuple[Ack, int]:
    """The acknowledgement at `at`; see `read_control`."""
    try:
        _, largest, delay_us, run, count = _ACK_HEADER.unpack_from(packet, at)
        flat = struct.unpack_from(f"!{2 * count}I", packet, at + _ACK_HEADER.size) if count else ()
    except struct.error:
        raise RemoteProtocolError("a transport frame is cut short") from None
    at += _ACK_HEADER.size + 8 * count
    if count >= MAX_ACK_RANGES:
        raise RemoteProtocolError(f"an acknowledgement of {count + 1} ranges is too long")
    low = largest + 1 - run
    if run == 0 or low < 0:
        raise RemoteProtocolError("an acknowledgement of impossible counters")
    ranges = [(low, largest + 1)]
    for gap, run in zip(flat[::2], flat[1::2], strict=True) if count else ():
        stop = low - gap
        low = stop - run
        if gap == 0 or run == 0 or low < 0:
            raise RemoteProtocolError("an acknowledgement of impossible counters")
        ranges.append((low, stop))
    return Ack(ranges, delay_us / 1e6), at
