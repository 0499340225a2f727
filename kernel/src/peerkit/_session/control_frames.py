"""The frames that carry no stream data, read from bytes.  They are few: a credit per half window, a ping in 20 s."""

from dataclasses import dataclass

from ..errors import RemoteProtocolError
from . import frames

CUT_SHORT = "a frame is cut short"


@dataclass(frozen=True, slots=True)
class MaxStream:
    id: int
    offset: int


@dataclass(frozen=True, slots=True)
class MaxSession:
    offset: int


@dataclass(frozen=True, slots=True)
class MaxStreams:
    count: int


@dataclass(frozen=True, slots=True)
class Reset:
    id: int
    code: int
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    id: int
    code: int


@dataclass(frozen=True, slots=True)
class Ping:
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    protocol: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    signed: bytes


@dataclass(frozen=True, slots=True)
class Join:
    pass


@dataclass(frozen=True, slots=True)
class Joined:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An extension that we do not know; to be counted."""

    type: int


ControlFrame = (
    MaxStream
    | MaxSession
    | MaxStreams
    | Reset
    | Stop
    | Ping
    | Pong
    | Datagram
    | Close
    | Record
    | Join
    | Joined
    | Unknown
)


def cut(data: bytes | memoryview, at: int, length: int) -> bytes | memoryview:
    """`length` bytes from `at`.  Raises `RemoteProtocolError` when there are fewer."""
    piece = data[at : at + length]
    if len(piece) != length:
        raise RemoteProtocolError(CUT_SHORT)
    return piece


def read_control(data: bytes | memoryview, at: int) -> tuple[ControlFrame, int]:
    """The frame at `at`, and where the next one begins.

    Raises:
        RemoteProtocolError: its type is not defined, or it is cut short.
        struct.error: its header is cut short.
    """
    kind = data[at]
    match kind:
        case frames.MAX_STREAM:
            _, id, offset = frames.MAX_STREAM_HEADER.unpack_from(data, at)
            return MaxStream(id, offset), at + frames.MAX_STREAM_HEADER.size
        case frames.MAX_SESSION:
            _, offset = frames.MAX_SESSION_HEADER.unpack_from(data, at)
            return MaxSession(offset), at + frames.MAX_SESSION_HEADER.size
        case frames.MAX_STREAMS:
            _, count = frames.MAX_STREAMS_HEADER.unpack_from(data, at)
            return MaxStreams(count), at + frames.MAX_STREAMS_HEADER.size
        case frames.RESET:
            _, id, code, offset, length = frames.RESET_HEADER.unpack_from(data, at)
            at += frames.RESET_HEADER.size
            return Reset(id, code, offset, _reason(cut(data, at, length))), at + int(length)
        case frames.STOP:
            _, id, code = frames.STOP_HEADER.unpack_from(data, at)
            return Stop(id, code), at + frames.STOP_HEADER.size
        case frames.PING | frames.PONG:
            _, nonce = frames.PING_HEADER.unpack_from(data, at)
            return (Ping if kind == frames.PING else Pong)(nonce), at + frames.PING_HEADER.size
        case frames.DATAGRAM:
            _, protocol, length = frames.DATAGRAM_HEADER.unpack_from(data, at)
            at += frames.DATAGRAM_HEADER.size
            return Datagram(protocol, bytes(cut(data, at, length))), at + int(length)
        case frames.CLOSE:
            _, code, length = frames.CLOSE_HEADER.unpack_from(data, at)
            at += frames.CLOSE_HEADER.size
            return Close(code, _reason(cut(data, at, length))), at + int(length)
        case _:
            return _read_extension(data, at, kind)


def _read_extension(data: bytes | memoryview, at: int, kind: int) -> tuple[ControlFrame, int]:
    if kind < frames.EXTENSION:
        raise RemoteProtocolError(f"frame type {kind:#04x} is not defined")
    _, length = frames.EXTENSION_HEADER.unpack_from(data, at)
    at += frames.EXTENSION_HEADER.size
    body = cut(data, at, length)
    return _extension(kind, body), at + int(length)


def _extension(kind: int, body: bytes | memoryview) -> ControlFrame:
    match kind:
        case frames.RECORD:
            return Record(bytes(body))
        case frames.JOIN:
            return Join()
        case frames.JOINED:
            return Joined(int.from_bytes(cut(body, 0, 2)), _reason(body[2:]))
        case _:
            return Unknown(kind)


def _reason(data: bytes | memoryview) -> str:
    return bytes(data[: frames.MAX_REASON_BYTES]).decode("utf-8", "replace")
