"""Pipes over asyncio's transports: TCP, and TLS on it, on asyncio's loops and on uvloop.

The kernel's `PipeHandler` is the transport's protocol itself (its bound methods are, so no frame of ours stands between
a received record and the kernel).
"""

import asyncio
import hashlib
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from ..address import Address
from ..transport import Buffer, Pipe, PipeHandler
from .socket_address import from_sockaddr
from .system_error import reason

HIGH_WATER_BYTES = 512 * 1024  # four of the largest records: enough to keep the system's buffer full between two turns
LOW_WATER_BYTES = 128 * 1024
CLOSE_TIMEOUT_S = 10.0  # a peer that reads no more must not hold what we still had to say for ever
ABORTED = "aborted on this side"


class SystemPipe:
    """See `peerkit.transport.Pipe`."""

    def __init__(self, transport: asyncio.Transport, local: Address, remote: Address, binding: bytes) -> None:
        self._transport = transport
        self._local = local
        self._remote = remote
        self._binding = binding
        self._is_closing = False
        self._abort_timer: asyncio.TimerHandle | None = None
        self.was_aborted = False

    @property
    def local(self) -> Address:
        return self._local

    @property
    def remote(self) -> Address:
        return self._remote

    @property
    def binding(self) -> bytes:
        return self._binding

    def write(self, buffers: Sequence[Buffer]) -> None:
        if self._is_closing:
            return
        # Joined here and not by `writelines`: that of Python 3.12.0 to 3.13.1 does not pause the writer.
        self._transport.write(b"".join(buffers) if len(buffers) != 1 else buffers[0])

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            loop = asyncio.get_running_loop()
            self._abort_timer = loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)
            if self._transport.get_extra_info("ssl_object") is None:
                self._transport.close()
            else:  # inside `buffer_updated`, with the peer's own end behind it, asyncio's TLS would fail on a close
                loop.call_soon(self._transport.close)

    def abort(self) -> None:
        self._is_closing = True
        self.was_aborted = True
        self._transport.abort()

    def was_lost(self) -> None:
        """The transport is gone."""
        self._is_closing = True
        if self._abort_timer is not None:
            self._abort_timer.cancel()


class _Attached(asyncio.BufferedProtocol):
    """The protocol of an open pipe: the kernel's handler."""

    def __init__(self, pipe: SystemPipe, transport: asyncio.Transport, handler: PipeHandler, is_tls: bool) -> None:
        self._pipe = pipe
        self._transport = transport
        self._handler = handler
        if not is_tls:
            self.get_buffer = handler.get_buffer  # type: ignore[method-assign, assignment]
        self.buffer_updated = handler.buffer_updated  # type: ignore[method-assign]
        self.pause_writing = handler.pause_writing  # type: ignore[method-assign]
        self.resume_writing = handler.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        # asyncio's TLS reads into slices of the buffer; a slice of a bytearray is a copy, and the bytes would be lost
        return memoryview(self._handler.get_buffer(sizehint))

    def eof_received(self) -> None:
        # A session never half-closes by FIN, so the other side is gone and reads nothing more of what is queued.
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.was_lost()
        if exc is None:
            text = ABORTED if self._pipe.was_aborted else ""
        else:
            text = reason(exc) if isinstance(exc, OSError) else str(exc) or type(exc).__name__
        self._handler.connection_lost(text)


class AttachProtocol(asyncio.BufferedProtocol):
    """The protocol of a pipe until its handler is known: makes the pipe, asks for the handler, and gives way.

    uvloop takes the methods of a protocol when it is set, so the handler's cannot be put into this one later.

    Args:
        scheme: of both addresses.
        make_handler: may return `None`: the pipe is aborted without a byte.
        binding: of a listener with TLS; a client takes it from the certificate that it was shown.
    """

    def __init__(self, scheme: str, make_handler: Callable[[Pipe], PipeHandler | None], binding: bytes = b"") -> None:
        self._scheme = scheme
        self._make_handler = make_handler
        self._binding = binding
        self.pipe: SystemPipe | None = None

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, base)  # uvloop's is one in all but its bases
        ends = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if not all(ends):  # the other side was gone before we looked
            transport.abort()
            return
        local, remote = (from_sockaddr(self._scheme, end) for end in ends)
        binding = self._binding
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and not binding:
            binding = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").digest()
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe = SystemPipe(transport, local, remote, binding)
        handler = self._make_handler(pipe)
        if handler is None:
            transport.abort()
            return
        transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        transport.set_protocol(_Attached(pipe, transport, handler, tls is not None))
        self.pipe = pipe

    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(1)  # only a pipe that is being aborted comes here

    def buffer_updated(self, nbytes: int) -> None:
        pass


if TYPE_CHECKING:
    _fits: type[Pipe] = SystemPipe
