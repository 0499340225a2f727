"""What a transport plugin gives the kernel, and what the kernel gives it.

A *stream* transport (TCP, TLS, a Unix socket) only moves ordered bytes: it gives the kernel a `Pipe`, and the kernel
runs the handshake, the record layer and the session on it.  So one is written in under 100 lines.

A *datagram* transport (`datagram.py`) does its own packets and loss recovery.  Its connections are `Carrier`s: each
pulls payloads from its session (`FrameSource`), delivers every reliable one at least once in any order, and hands what
it opens to the session.  The session is the same on both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from .address import Address
from .errors import PeerkitError

Buffer = bytes | bytearray | memoryview


class PipeHandler(Protocol):
    """The kernel's end of a pipe.  All calls come on the event loop's thread."""

    def get_buffer(self, size_hint: int) -> bytearray | memoryview:
        """Where the next bytes go (as in `asyncio.BufferedProtocol`)."""
        ...

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` were written into the buffer."""
        ...

    def pause_writing(self) -> None:
        """The pipe's write buffer is full: write no more until `resume_writing`."""
        ...

    def resume_writing(self) -> None: ...

    def connection_lost(self, reason: str) -> None:
        """The pipe is gone; called once, last.  `reason` is empty after an orderly end."""
        ...


class Pipe(Protocol):
    """An ordered, reliable way of bytes to the other side; not yet a session.

    Attributes:
        local, remote: the addresses of both ends, without peer ids.
        binding: bytes that only the two ends of *this* pipe share (the SHA-256 of the TLS certificate), or empty.
            They go into the handshake's prologue, so that a man in the middle of the pipe makes the handshake fail.
    """

    @property
    def local(self) -> Address: ...
    @property
    def remote(self) -> Address: ...
    @property
    def binding(self) -> bytes: ...

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Send the buffers in order.  Never blocks; the pipe may keep them until they are sent."""
        ...

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None:
        """Send what is queued, then close.  Idempotent."""
        ...

    def abort(self) -> None:
        """Close now.  Idempotent."""
        ...


class PipeAccept(Protocol):
    """Called by a listener for each pipe that comes in; the handler must be attached before this returns.

    Returns:
        The handler, or `None`: the gate refuses this address, and the pipe must be aborted without a byte.
    """

    def __call__(self, pipe: Pipe) -> PipeHandler | None: ...


class Listener(Protocol):
    """A bound, listening socket."""

    @property
    def addresses(self) -> Sequence[Address]:
        """What it is bound to, with real port numbers; a wildcard host stays a wildcard."""
        ...

    async def close(self) -> None:
        """Stop accepting; pipes live on.  Idempotent."""
        ...


class StreamTransport(Protocol):
    """Moves ordered bytes between addresses of its schemes."""

    @property
    def schemes(self) -> Sequence[str]: ...

    @property
    def preference(self) -> int:
        """Which of a peer's addresses are dialled first: those of the transport with the highest preference, each next
        lower one 250 ms later; the first session wins.  TCP has 50."""
        ...

    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        """Bind and listen.

        Raises:
            ConnectFailed: the address cannot be bound; `reason` says why (in use, not ours, no permission).
        """
        ...

    async def dial(self, address: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        """Connect.  The kernel sets the deadline by cancelling.

        Raises:
            ConnectFailed: with the reason.
        """
        ...


@runtime_checkable
class SimultaneousTransport(Protocol):
    """What a `StreamTransport` can also do when two ends may meet without a listener."""

    async def dial_from(self, local: Address, remote: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        """As `dial`, from an address that other connections of ours use already, so that a router gives this one the
        port that it gave those.  When both ends do this at once they become one connection (RFC 9293 §3.5): it goes on
        until there is one or it is cancelled."""
        ...


class FrameSource(Protocol):
    """The session, as the carrier of a datagram transport sees it: where payloads of packets come from and go to.

    A payload is a row of whole frames: what a packet carries beside the transport's own frames.  Frames of the session
    begin with a type byte in 0x08..0x18 or 0x40..0x7F; 0x20..0x3F and 0x80..0xFF are the transport's.  All calls work
    on batches, since a call per packet would cost more than sealing it.
    """

    @property
    def wants_to_send(self) -> bool:
        """Whether `unreliable_payloads` or `reliable_payloads` would give something now."""
        ...

    def unreliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        """What shall be sent once and never again (datagrams, pings and their answers), for at most `count` packets of
        `max_bytes` each; empty when there is nothing.  Ask for these before the reliable ones.  What is longer than
        `max_bytes` is dropped and counted."""
        ...

    def reliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        """What must reach the other side at least once, in any order: keep each until its packet is acknowledged, and
        send it again, under a new counter, when it is lost.  While one stream has much to send, every item has exactly
        `max_bytes`, so a batch has equal segments.

        Args:
            max_bytes: at least 1,000 and never more than `Carrier.max_payload_bytes`.
            count: packets that may be sent now; what was pulled counts as sent towards the application's back-pressure.
        """
        ...

    def refit(self, payload: Buffer, max_bytes: int) -> list[bytes]:
        """A reliable payload cut into several of at most `max_bytes` (≥ 1,000): for sending it again on a path that
        takes less than the one for which it was made."""
        ...

    def receive_payloads(self, payloads: Sequence[Buffer], now: float) -> None:
        """Take what was opened out of one batch of packets, each payload once or more often, none empty, without the
        transport's own frames.  Payloads that are `bytes` may be kept; of others what is needed is copied.

        Raises:
            RemoteProtocolError: the peer broke a rule; send `farewell`, end the connection, tell `carrier_lost`.
        """
        ...

    def farewell(self, error: PeerkitError) -> bytes:
        """The payload of the last packet before the connection ends because of `error`."""
        ...

    def paths_changed(self) -> None:
        """`Carrier.paths`, `remote` or `max_payload_bytes` are not what they were."""
        ...

    def carrier_lost(self, reason: str, by_peer: bool) -> None:
        """The connection is gone; called once, last, and not after `Carrier.close`."""
        ...


class PathKind(Enum):
    """How a session reaches its peer."""

    LAN = "lan"  # loopback, private and link-local addresses
    DIRECT = "direct"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Path:
    """One way between the two ends of a session.

    Attributes:
        local, remote: without peer ids.  A relay's circuit has addresses of the scheme `relay`.
        is_active: whether it is in use; the others stand by.
        rtt_s: smoothed round trip, `nan` while unknown.
        loss: share of the packets sent lately that were lost, 0 to 1; `nan` where the transport cannot tell.
        window_bytes: what may be in flight; 0 where the transport cannot tell.
        max_datagram_bytes: largest datagram that the path is known to take; 0 for a pipe.
    """

    local: Address
    remote: Address
    is_active: bool = True
    rtt_s: float = math.nan
    loss: float = math.nan
    window_bytes: int = 0
    max_datagram_bytes: int = 0

    @property
    def kind(self) -> PathKind:
        if self.remote.scheme == "relay":
            return PathKind.RELAYED
        return PathKind.LAN if self.remote.is_local else PathKind.DIRECT


class Carrier(Protocol):
    """One secured connection below a session."""

    @property
    def remote(self) -> Address: ...
    @property
    def local(self) -> Address: ...

    @property
    def paths(self) -> Sequence[Path]:
        """All ways to the peer, the active one first."""
        ...

    @property
    def max_payload_bytes(self) -> int:
        """Largest payload that one packet takes now; may change (tell `FrameSource.paths_changed`)."""
        ...

    @property
    def key_updates(self) -> int:
        """How often we took a new key to send with."""
        ...

    def wake(self) -> None:
        """The session has something to send: pull it, now or as soon as congestion and back-pressure allow.  Called
        often, also while the session is inside a call of the carrier: then pull when that call has returned."""
        ...

    def close(self, flush: bool) -> None:
        """End the connection: with `flush` after everything that the session has queued was sent and (on a datagram
        transport) acknowledged, or after 2 s; without it at once and in silence.  The session takes no more calls but
        `reliable_payloads`.  Idempotent."""
        ...

    def offer_path(self, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        """Another way to the peer, from hole punching or a relay: validate it, and move when it is the better one.
        `False`: this carrier cannot change its path (a pipe), or has enough of them."""
        ...


class DatagramEndpoint(Protocol):
    """One bound datagram socket (real, simulated, or a relay circuit).  Owns GSO/GRO and their fall-back."""

    @property
    def local(self) -> Address: ...

    @property
    def max_datagram_bytes(self) -> int:
        """Largest datagram that can be sent at all; ≥ 1,200 on a raw socket, ≥ 1,000 on a circuit."""
        ...

    def send_batch(self, local: Address | None, remote: Address, segment_bytes: int, buffers: Sequence[Buffer]) -> int:
        """Send the buffers, one after the other and cut into segments of `segment_bytes` (only the last may be
        shorter), to one place: as many datagrams as segments.  `local` chooses the source address of a wildcard socket.
        Datagrams that the system cannot take now are dropped, as networks do.  Returns how many were taken."""
        ...

    def register(
        self, first: int, last: int, handler: DatagramHandler, turn_over: Callable[[], None] | None = None
    ) -> None:
        """Give datagrams whose first byte is in `first..last` to `handler`; the registry is in `docs/wire-format.md`.

        Args:
            turn_over: called when all datagrams that came at once have been handed on, whoever took them: the moment to
                answer, once, what came in several batches.  An endpoint whose datagrams come inside others' (a circuit)
                may call it while those are being taken.

        Raises:
            PluginConflictError: a part of that range is taken.
        """
        ...

    async def open_more(self, n: int) -> Sequence[DatagramEndpoint]:
        """`n` further sockets on ephemeral ports (birthday probing)."""
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


@runtime_checkable
class HopLimitedEndpoint(Protocol):
    """What a `DatagramEndpoint` can also do where the system lets it."""

    def send_short(self, remote: Address, data: Buffer, hop_limit: int) -> bool:
        """Send one datagram that fewer than `hop_limit` (1..255) routers pass on: it opens our own towards `remote`
        and never gets there.  Returns whether the system took it."""
        ...


DatagramHandler = Callable[[memoryview, int, Address, Address, float], None]
"""`(buffer, segment_bytes, local, remote, now)`: the buffer is valid only during the call."""
