"""Talking to one peer: `Session`, its `Stream`s, and `Peer`, a session that is a member of the pool.

There is no way to make a session without a proven peer id.  The same on every transport.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .address import Address, Contact
from .errors import PeerkitError
from .identity import PeerId
from .record import PeerRecord
from .transport import Buffer, Path

DialTarget = Address | Contact | PeerRecord | PeerId  # a bare id is looked up, see `Pool.connect`


class Purpose(Enum):
    """What a session is for: at first what the dialer's Hello said; a transient one may become a member's."""

    MEMBER = 1  # takes a slot, joins the pool, every agreed protocol starts
    TRANSIENT = 2  # only the protocols its opener uses; closes after 10 s idle


class Code:
    """Reset and close codes on the wire.  Applications use 0x100 and above."""

    NONE = 0  # somebody closed it on purpose
    INTERNAL = 1
    REFUSED = 2  # unknown protocol, or no such stream
    LIMIT = 3
    DENIED = 4
    TIMEOUT = 5
    PROTOCOL = 6  # the peer broke a rule
    SHUTDOWN = 7  # the node stops
    DUPLICATE = 8  # another session between the same two won
    IDLE = 9
    CANCELLED = 10
    LOST = 11  # never on the wire: the connection broke
    FAILURE = 0x40  # of an answer; the reason is `code NUL sentence`


class RemoteFailure(PeerkitError):
    """The peer answered a request with an error; `remote_code` and the sentence are the peer's own words."""

    code = "remote_failure"

    def __init__(self, protocol: str, remote_code: str, reason: str) -> None:
        self.protocol = protocol
        self.remote_code = remote_code
        self.reason = reason
        super().__init__(f"the peer failed to answer {protocol}: {reason}")


class Stream(Protocol):
    """An ordered, flow-controlled byte stream in both directions; each direction ends by itself.

    Methods that wait may be cancelled: nothing is lost but the call.  All raise `EndpointClosed` once the stream was
    reset or the session is gone, with who, code and reason.
    """

    @property
    def id(self) -> int: ...
    @property
    def protocol(self) -> str: ...
    @property
    def session(self) -> Session: ...

    priority: int
    """0 (first) to 7; 3 unless told.  Streams of one priority share fairly."""

    async def write(self, data: Buffer) -> None:
        """Send all of `data`; waits for the peer's credit.  No copy: do not change the buffer until this returns."""
        ...

    async def read(self, max_bytes: int = 65_536) -> bytes:
        """1 to `max_bytes` bytes, or `b""` after the peer finished."""
        ...

    async def read_into(self, buffer: bytearray | memoryview) -> int:
        """Put 1 to `len(buffer)` bytes into `buffer`, which is not empty; 0 after the peer finished.  For long streams:
        a buffer that is used again costs no new memory."""
        ...

    async def read_exactly(self, n: int) -> bytes:
        """Exactly `n` bytes.  Raises `RemoteProtocolError` when the peer finishes before."""
        ...

    async def finish(self) -> None:
        """No more bytes from us; the other direction stays open.  Idempotent."""
        ...

    def reset(self, code: int = Code.CANCELLED) -> None:
        """Give up both directions at once; the peer's calls raise `EndpointClosed`.  Idempotent."""
        ...

    def stop(self, code: int = Code.CANCELLED) -> None:
        """Ask the peer to send no more."""
        ...


@dataclass(frozen=True, slots=True)
class SessionStats:
    """Counters of one session.  `rtt_s` is the smoothed round trip of the session's own pings (`nan` before the
    first)."""

    bytes_sent: int
    bytes_received: int
    streams_opened: int
    streams_open: int
    datagrams_dropped: int
    unknown_frames: int
    key_updates: int
    rtt_s: float


class Session(Protocol):
    """One authenticated connection to one peer."""

    @property
    def peer_id(self) -> PeerId: ...
    @property
    def purpose(self) -> Purpose: ...
    @property
    def is_dialer(self) -> bool: ...
    @property
    def remote(self) -> Address:
        """Where the peer is, as seen from here."""
        ...

    @property
    def local(self) -> Address: ...
    @property
    def transport(self) -> str:
        """The scheme: `tcp`, `tls`, `udp`."""
        ...

    @property
    def paths(self) -> Sequence[Path]:
        """The ways to the peer, the active one first; a pipe has one.  `SessionPathsChanged` tells of changes."""
        ...

    @property
    def protocols(self) -> Mapping[str, str]:
        """Agreed protocols → the peer's version."""
        ...

    @property
    def record(self) -> PeerRecord | None:
        """The newest record that the peer sent on this session; it arrives right after the handshake."""
        ...

    @property
    def transcript_hash(self) -> bytes: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def stats(self) -> SessionStats: ...

    @property
    def max_datagram_bytes(self) -> int:
        """Largest payload that `send_datagram` takes now; may change."""
        ...

    def export(self, label: bytes, length: int = 32) -> bytes:
        """A secret that only the two ends of this session can derive."""
        ...

    async def request(self, protocol: str, payload: Buffer, timeout_s: float = 30.0) -> bytes:
        """Send a request and wait for the whole answer (at most 16 MiB).

        Raises:
            RemoteFailure: the peer answered with an error.
            DeadlineExceeded: there was no whole answer in time.
            EndpointClosed: the session is over.
            LimitExceeded: no stream is free.
            LocalProtocolError: the protocol is not agreed.
        """
        ...

    async def send(self, protocol: str, payload: Buffer) -> None:
        """Send a message that wants no answer; returns when it is on its way, not when it arrived."""
        ...

    async def open_stream(self, protocol: str) -> Stream:
        """Raises `LocalProtocolError` (protocol not agreed), `LimitExceeded` (the peer's limit), `EndpointClosed`."""
        ...

    def send_datagram(self, protocol: str, payload: Buffer) -> bool:
        """Send unreliably.  `False`: dropped here, as the queue was full.  Raises `LimitExceeded` when too large."""
        ...

    async def close(self, code: int = Code.NONE, reason: str = "") -> None:
        """Tell the peer, end every stream, close.  Idempotent."""
        ...

    async def drain(self) -> None:
        """Wait until every finished write has been handed to the system."""
        ...

    async def wait_closed(self) -> str:
        """Wait for the end; returns the reason."""
        ...


class Peer(Protocol):
    """A member of the pool."""

    @property
    def id(self) -> PeerId: ...
    @property
    def session(self) -> Session:
        """The session in use; a better one may replace it."""
        ...

    @property
    def protocols(self) -> Mapping[str, str]: ...
    @property
    def joined_at(self) -> float: ...

    async def request(self, protocol: str, payload: Buffer, timeout_s: float = 30.0) -> bytes: ...
    async def send(self, protocol: str, payload: Buffer) -> None: ...
    async def open_stream(self, protocol: str) -> Stream: ...
    async def close(self, code: int = Code.NONE, reason: str = "") -> None: ...


class Pool(Protocol):
    """The peers of this node."""

    def peers(self) -> tuple[Peer, ...]:
        """All members, oldest first."""
        ...

    def get(self, peer_id: PeerId) -> Peer | None: ...

    async def connect(self, target: DialTarget, timeout_s: float = 10.0) -> Peer:
        """Make the target a member (or return it).  Concurrent calls for one peer share one dial.  A bare peer id is
        looked up in the address book; when that leads nowhere, by the plugins that provide peer routing.

        Raises `PeerUnreachable`, `ConnectFailed`, `DeadlineExceeded`, `TrustDenied`, `LimitExceeded` (no slot).
        """
        ...

    async def broadcast(self, protocol: str, payload: Buffer) -> int:
        """Send a message to every member that speaks `protocol`; returns how many.  Peers with full queues are
        skipped."""
        ...
