"""The frames of a session: what stands inside a sealed record or packet.

One byte of type, then a fixed header, then the body.  Types below 0x40 have the layouts of this file; types from 0x40
on carry a length, so that a receiver skips (and counts) those it does not know.  All integers are big-endian.

    STREAM       0x08|FIN   stream(4) offset(8) length(4) data
    STREAM_OPEN  0x0C|FIN   kind(1) protocol(2) stream(4) length(4) data          offset is 0
    MAX_STREAM   0x10       stream(4) offset(8)            bytes that may be sent on the stream in all
    MAX_SESSION  0x11       offset(8)                      bytes that may be sent on all streams in all
    MAX_STREAMS  0x12       count(4)                       streams that may be opened in all
    RESET        0x13       stream(4) code(2) offset(8) length(2) reason          no more come; offset = bytes sent
    STOP         0x14       stream(4) code(2)              send no more
    PING, PONG   0x15 0x16  nonce(8)
    DATAGRAM     0x17       protocol(2) length(2) data     the only frame that a carrier may lose
    CLOSE        0x18       code(2) length(2) reason
    RECORD       0x40       length(2) signed peer record
    JOIN         0x41       length(2) = 0                  may this transient session be a member's?
    JOINED       0x42       length(2) code(2) reason       it is (code 0), or why not

Every reliable frame may arrive more than once and in any order; none depends on another's arrival.
"""

import struct
from enum import IntEnum

STREAM = 0x08
STREAM_OPEN = 0x0C
FIN = 0x01
MAX_STREAM = 0x10
MAX_SESSION = 0x11
MAX_STREAMS = 0x12
RESET = 0x13
STOP = 0x14
PING = 0x15
PONG = 0x16
DATAGRAM = 0x17
CLOSE = 0x18
EXTENSION = 0x40  # first type that carries a length
RECORD = 0x40
JOIN = 0x41
JOINED = 0x42

STREAM_HEADER = struct.Struct("!BIQI")
OPEN_HEADER = struct.Struct("!BBHII")
MAX_STREAM_HEADER = struct.Struct("!BIQ")
MAX_SESSION_HEADER = struct.Struct("!BQ")
MAX_STREAMS_HEADER = struct.Struct("!BI")
RESET_HEADER = struct.Struct("!BIHQH")
STOP_HEADER = struct.Struct("!BIH")
PING_HEADER = struct.Struct("!B8s")
DATAGRAM_HEADER = struct.Struct("!BHH")
CLOSE_HEADER = struct.Struct("!BHH")
EXTENSION_HEADER = struct.Struct("!BH")
JOINED_HEADER = struct.Struct("!BHH")

MAX_REASON_BYTES = 512


class Kind(IntEnum):
    """What the opener of a stream wants."""

    STREAM = 0
    REQUEST = 1  # the opener sends one message and waits for one
    MESSAGE = 2  # the opener sends one message; nothing comes back


KINDS = tuple(Kind)  # by value; `Kind(value)` costs three times as much


def reset(stream: int, code: int, offset: int, reason: str = "") -> bytes:
    text = _reason(reason)
    return RESET_HEADER.pack(RESET, stream, code & 0xFFFF, offset, len(text)) + text


def close(code: int, reason: str) -> bytes:
    text = _reason(reason)
    return CLOSE_HEADER.pack(CLOSE, code & 0xFFFF, len(text)) + text


def record(signed: bytes) -> bytes:
    return EXTENSION_HEADER.pack(RECORD, len(signed)) + signed


def join() -> bytes:
    return EXTENSION_HEADER.pack(JOIN, 0)


def joined(code: int, reason: str) -> bytes:
    text = _reason(reason)
    return JOINED_HEADER.pack(JOINED, 2 + len(text), code & 0xFFFF) + text


def _reason(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:MAX_REASON_BYTES]
