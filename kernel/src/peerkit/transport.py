"""What a transport plugin gives the kernel, and what the kernel gives it.

A *stream* transport (TCP, TLS, a Unix socket) only moves ordered bytes: it gives the kernel a `Pipe`, and the kernel
runs the handshake, the record layer and the session on it.  So one is written in under 100 lines.

A *datagram* transport does its own packets and loss recovery.  It implements `Carrier`: it pulls frames from the
session, delivers each reliable frame at least once in any order, and hands the frames that it opens to the session.
The session is the same on both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .address import Address

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


class FrameSource(Protocol):
    """The session, as a carrier sees it: where frames to send come from and where received ones go."""

    def frames_to_send(self, max_bytes: int) -> list[Buffer]:
        """Whole frames to put into the next record or packet, at most `max_bytes` together; empty when there is
        nothing.
        A reliable frame must reach the other side at least once (in any order); the bytes stay valid until then."""
        ...

    def receive_frames(self, data: memoryview, now: float) -> None:
        """Take the plaintext of one opened record or packet.

        Raises:
            RemoteProtocolError: the peer broke a rule; the carrier closes the connection with that reason.
        """
        ...

    def carrier_lost(self, reason: str, by_peer: bool) -> None:
        """The connection is gone; called once, last."""
        ...


class Carrier(Protocol):
    """One secured connection below a session."""

    @property
    def remote(self) -> Address: ...
    @property
    def local(self) -> Address: ...

    def wake(self) -> None:
        """The session has something to send: pull it, now or as soon as congestion and back-pressure allow."""
        ...

    def close(self, flush: bool) -> None:
        """End the connection; with `flush` after everything pulled was sent.  Idempotent."""
        ...

    def pause_receiving(self) -> None: ...
    def resume_receiving(self) -> None: ...


@dataclass(frozen=True, slots=True)
class DatagramBatch:
    """Equal segments in one buffer, only the last may be shorter."""

    data: Buffer
    segment_bytes: int


class DatagramEndpoint(Protocol):
    """One bound datagram socket (real, simulated, or a relay circuit).  Owns GSO/GRO and their fall-back."""

    @property
    def local(self) -> Address: ...

    @property
    def max_datagram_bytes(self) -> int:
        """Largest datagram that can be sent at all; ≥ 1,200 on a raw socket, ≥ 1,000 on a circuit."""
        ...

    def send_batch(self, local: Address | None, remote: Address, segment_bytes: int, buffers: Sequence[Buffer]) -> int:
        """Send buffers of `segment_bytes` each (only the last may be shorter) to one place; as many datagrams as
        segments.  `local` chooses the source address of a wildcard socket.  Datagrams that the system cannot take now
        are dropped, as networks do.  Returns how many were taken."""
        ...

    def register(self, first: int, last: int, handler: DatagramHandler) -> None:
        """Give datagrams whose first byte is in `first..last` to `handler`; the registry is in `docs/wire-format.md`.

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


DatagramHandler = Callable[[memoryview, int, Address, Address, float], None]
"""`(buffer, segment_bytes, local, remote, now)`: the buffer is valid only during the call."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a listener needs to speak TLS.

    One port takes both: a connection whose first byte is 0x16 is TLS and its pipe has the scheme `scheme`; any other is
    plain and has the listener's own.  When the two schemes are the same, plain connections are refused.

    Attributes:
        context: an `ssl.SSLContext` for servers, with the certificate loaded.
        certificate: that certificate in DER.
        scheme: the scheme of TLS addresses.
    """

    context: object
    certificate: bytes
    scheme: str = "tls"

    @property
    def binding(self) -> bytes:
        """What both ends of a pipe through this listener have as `Pipe.binding`."""
        return hashlib.sha256(self.certificate).digest()


class Network(Protocol):
    """The way to the wire: the system's on a real node, the simulation's in tests.  Transports use nothing else."""

    async def listen_stream(
        self, host: str, port: int, scheme: str, accept: PipeAccept, tls: ServerTls | None = None
    ) -> Listener:
        """Listen for ordered bytes on a numeric host.  A pipe over TLS is told to `accept` after its TLS handshake,
        with the SHA-256 of the certificate as `binding`.  Raises `ConnectFailed`."""
        ...

    async def connect_stream(
        self, address: Address, make_handler: Callable[[Pipe], PipeHandler], tls: object | None = None
    ) -> Pipe:
        """Connect to a numeric host; over TLS when `tls`, an `ssl.SSLContext`, is given: the pipe's `binding` is then
        the SHA-256 of the certificate (DER) that the server showed.  Raises `ConnectFailed`."""
        ...

    async def open_datagrams(self, host: str, port: int) -> DatagramEndpoint:
        """Bind a datagram socket.  Raises `ConnectFailed`."""
        ...

    async def resolve(self, host: str) -> Sequence[str]:
        """The numeric addresses of a host name, at most 8.  Raises `ConnectFailed`."""
        ...

    def interface_addresses(self) -> Sequence[str]:
        """Our own numeric addresses, loopback included."""
        ...
