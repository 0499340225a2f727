"""What a mux tells of the frames that it received."""

from enum import IntEnum


class What(IntEnum):
    """Events of `receive_frames`."""

    OPENED = 1  # a stream of the peer: StreamState
    READABLE = 2  # bytes, the end or a reset came: StreamState
    STOPPED = 3  # the peer wants no more of our bytes: StreamState
    DATAGRAM = 4  # (protocol index, bytes)
    PONG = 5  # the nonce
    RECORD = 6  # the peer's signed record, unchecked: bytes
    CLOSED = 7  # (code, reason): the peer ends the session
    STREAMS = 8  # the peer allows more streams: None
    JOIN = 9  # the peer asks to be a member: None
    JOINED = 10  # (code, reason): its answer to our asking


Event = tuple[What, object]
