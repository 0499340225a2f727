"""The bytes of the transfer protocol, on raw streams of `peerkit/warehouse`.

    asker:   version u8 = 1, then requests of 46 bytes, answered in order:
             type u8 ‖ content id(33) ‖ first leaf u64 ‖ leaves u32        type 1 INFO (0, 0), 2 RANGE (1..64 leaves)
    holder:  type u8 ‖ code u8 ‖ count u16 ‖ length u32 ‖ body
             0x81 INFO   code 1 = has all; count = ranges; body = kind u8 ‖ size u64 ‖ top(32) ‖ {first, leaves u64}*
             0x82 RANGE  count = siblings; length = data only; siblings and leaf hashes come first, then the data
             0xE0 ERROR  code = `Refusal`; body = a sentence

The size and kind of an INFO are proven by the content id (`merkle_tree.content_id`), a RANGE by its proof.  Lengths are
checked before anything is read.  Not here: streams, files.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from peerkit.errors import RemoteProtocolError

from .content_id import WIRE_BYTES, ContentId, ContentKind
from .merkle_tree import HASH_BYTES, LEAF_BYTES, MAX_SIZE, content_id, leaf_count

VERSION = 1
MAX_RANGE_LEAVES = 64  # 4 MiB: what one request can make us read
MAX_RANGES = 512  # ranges of a partial holder: 8 KiB
MAX_SIBLINGS = 128  # two for each level of the tallest tree
MAX_SENTENCE_BYTES = 300

_REQUEST = struct.Struct(f"!B{WIRE_BYTES}sQI")
_HEAD = struct.Struct("!BBHI")
_INFO = struct.Struct(f"!BQ{HASH_BYTES}s")
_PAIR = struct.Struct("!QQ")
REQUEST_BYTES = _REQUEST.size
HEAD_BYTES = _HEAD.size


class Ask(IntEnum):
    INFO = 1
    RANGE = 2


class Answer(IntEnum):
    INFO = 0x81
    RANGE = 0x82
    ERROR = 0xE0


class Refusal(IntEnum):
    """Why a holder does not answer."""

    UNKNOWN = 1  # does not have this content at all
    NOT_HELD = 2  # has the content, not this range
    BUSY = 3  # no upload slot; ask again later
    MALFORMED = 4
    CHANGED = 5  # the file changed or its disk failed
    VERSION = 6


@dataclass(frozen=True, slots=True)
class Request:
    """One question; leaves are 0 for INFO."""

    ask: Ask
    content: ContentId
    first: int = 0
    leaves: int = 0

    def to_bytes(self) -> bytes:
        return _REQUEST.pack(self.ask, self.content.to_wire(), self.first, self.leaves)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Request":
        """Raises `RemoteProtocolError` for anything but a whole and possible request."""
        if len(data) != REQUEST_BYTES:
            raise RemoteProtocolError(f"a request has {REQUEST_BYTES} bytes, not {len(data)}")
        ask, wire, first, leaves = _REQUEST.unpack(data)
        content = ContentId.from_wire(wire)
        if ask == Ask.INFO and first == leaves == 0:
            return cls(Ask.INFO, content)
        if ask != Ask.RANGE:
            raise RemoteProtocolError(f"a request of type {ask} is unknown")
        if not 1 <= leaves <= MAX_RANGE_LEAVES or first > MAX_SIZE // LEAF_BYTES:
            raise RemoteProtocolError(f"a request for {leaves} leaves from {first} is not possible")
        return cls(Ask.RANGE, content, first, leaves)


@dataclass(frozen=True, slots=True)
class Head:
    """The first 8 bytes of an answer; `length` is already known to be allowed."""

    answer: Answer
    code: int
    count: int
    length: int

    def to_bytes(self) -> bytes:
        return _HEAD.pack(self.answer, self.code, self.count, self.length)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Head":
        """Raises `RemoteProtocolError` for an unknown type or a length that its type may not have."""
        if len(data) != HEAD_BYTES:
            raise RemoteProtocolError(f"an answer begins with {HEAD_BYTES} bytes, not {len(data)}")
        answer, code, count, length = _HEAD.unpack(data)
        if answer == Answer.INFO:
            fits = count <= MAX_RANGES and length == _INFO.size + count * _PAIR.size and code <= 1
        elif answer == Answer.RANGE:
            fits = count <= MAX_SIBLINGS and length <= MAX_RANGE_LEAVES * LEAF_BYTES and code == 0
        elif answer == Answer.ERROR:
            fits = length <= MAX_SENTENCE_BYTES and count == 0
        else:
            raise RemoteProtocolError(f"an answer of type {answer:#04x} is unknown")
        if not fits:
            raise RemoteProtocolError(f"an answer of type {answer:#04x}, {count} items, {length} bytes is not allowed")
        return cls(Answer(answer), code, count, length)


@dataclass(frozen=True, slots=True)
class Info:
    """What a holder has.

    Attributes:
        held: ranges of leaves as (first, stop), sorted and disjoint; empty with `complete`.
    """

    kind: ContentKind
    size: int
    top: bytes
    complete: bool
    held: tuple[tuple[int, int], ...] = ()

    def to_bytes(self) -> bytes:
        ranges = sorted(sorted(self.held, key=lambda r: r[0] - r[1])[:MAX_RANGES])
        body = _INFO.pack(self.kind, self.size, self.top) + b"".join(_PAIR.pack(a, b - a) for a, b in ranges)
        return Head(Answer.INFO, self.complete, len(ranges), len(body)).to_bytes() + body

    @classmethod
    def from_body(cls, head: Head, body: bytes, content: ContentId) -> "Info":
        """Check an answer against the id that was asked for.

        Raises:
            RemoteProtocolError: kind, size and top are not those of `content`, or the ranges are impossible.
        """
        if len(body) != head.length or len(body) != _INFO.size + head.count * _PAIR.size:
            raise RemoteProtocolError("an INFO has a wrong length")
        kind, size, top = _INFO.unpack_from(body)
        if kind > max(ContentKind) or size > MAX_SIZE or content_id(ContentKind(kind), size, top) != content:
            raise RemoteProtocolError("an INFO does not belong to the content that was asked for")
        held, last, leaves = [], -1, leaf_count(size)
        for first, count in _PAIR.iter_unpack(body[_INFO.size :]):
            if first <= last or not count or first + count > leaves:
                raise RemoteProtocolError("an INFO holds ranges that are not sorted or lie outside")
            held.append((first, first + count))
            last = first + count
        return cls(ContentKind(kind), size, top, bool(head.code), tuple(held))


def range_head(siblings: int, data_bytes: int) -> bytes:
    """The head of a RANGE answer."""
    return Head(Answer.RANGE, 0, siblings, data_bytes).to_bytes()


def error(refusal: Refusal, sentence: str) -> bytes:
    """A whole ERROR answer."""
    body = sentence.encode("utf-8", "replace")[:MAX_SENTENCE_BYTES]
    return Head(Answer.ERROR, refusal, 0, len(body)).to_bytes() + body


def sentence_of(body: Sequence[int]) -> str:
    """The sentence of an ERROR, harmless to print."""
    text = bytes(body).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "�" for c in text)
