"""Listening sockets.

Without TLS a listener is asyncio's server.  With TLS one port takes both kinds: the first byte that a client sends
tells (0x16 begins a TLS record, RFC 8446 §5.1; plain handshakes begin otherwise), and is looked at without being taken.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..address import Address
from ..errors import ConnectFailed
from ..network import ServerTls
from ..transport import Listener, PipeAccept
from .socket_address import from_sockaddr, to_sockaddr
from .system_error import reason
from .system_stream import AttachProtocol

BACKLOG = 512
TLS_RECORD = 0x16
FIRST_BYTE_TIMEOUT_S = 5.0
TLS_HANDSHAKE_TIMEOUT_S = 10.0
MAX_SILENT = 256  # connections that sent nothing yet; stops strangers from holding all our file descriptors
MAX_TLS_HANDSHAKES = 64  # a handshake costs us about a millisecond and 50 KiB
ACCEPT_RETRY_S = 1.0  # after "too many open files"


def bind(host: str, port: int, scheme: str, kind: socket.SocketKind) -> socket.socket:
    """A bound, non-blocking socket.  Raises `ConnectFailed`."""
    name = str(Address(scheme, host, port))
    family, sockaddr = to_sockaddr(host, port, name)
    try:
        sock = socket.socket(family, kind)
    except OSError as exc:
        raise ConnectFailed(name, reason(exc)) from exc
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # `::` beside `0.0.0.0` on one port
        if kind == socket.SOCK_STREAM and hasattr(socket, "SO_REUSEPORT"):  # not on Windows: there it lets others steal
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)  # only now the system finds out that another one listens
    except OSError as exc:
        sock.close()
        raise ConnectFailed(name, reason(exc)) from exc
    return sock


async def listen(host: str, port: int, scheme: str, accept: PipeAccept, tls: ServerTls | None) -> Listener:
    """Raises `ConnectFailed`."""
    sock = bind(host, port, scheme, socket.SOCK_STREAM)
    address = from_sockaddr(scheme, sock.getsockname())
    loop = asyncio.get_running_loop()
    if tls is not None:
        assert isinstance(tls.context, ssl.SSLContext)
        return _TlsListener(loop, sock, address, accept, tls, tls.context)
    try:
        server = await loop.create_server(lambda: AttachProtocol(scheme, accept), sock=sock, backlog=BACKLOG)
    except BaseException:
        sock.close()
        raise
    return _PlainListener(server, address)


class _PlainListener:
    def __init__(self, server: asyncio.AbstractServer, address: Address) -> None:
        self._server = server
        self._address = address

    @property
    def addresses(self) -> Sequence[Address]:
        return (self._address,)

    async def close(self) -> None:
        self._server.close()
        await asyncio.sleep(0)  # uvloop lets go of the port in the next turn


class _TlsListener:
    """Takes plain connections and TLS on one port.

    accepted ──▶ silent ──first byte 0x16──▶ TLS handshake ──▶ pipe (tls)
                   │ └────any other byte─────────────────────▶ pipe (plain)
                   └──5 s, or 256 newer ones──▶ closed
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        address: Address,
        accept: PipeAccept,
        tls: ServerTls,
        context: ssl.SSLContext,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._address = address
        self._accept = accept
        self._tls = tls
        self._context = context
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}  # oldest first
        self._starting: dict[asyncio.Task[None], AttachProtocol] = {}
        self._handshakes = 0
        self._is_open = True
        loop.add_reader(sock, self._accept_some)

    @property
    def addresses(self) -> Sequence[Address]:
        if self._tls.scheme == self._address.scheme:
            return (self._address,)
        return (self._address, Address(self._tls.scheme, self._address.host, self._address.port))

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._sock)
            self._sock.close()
            for sock in list(self._silent):
                self._drop(sock)
            for task, protocol in self._starting.items():
                if protocol.pipe is None:  # a pipe that was told already lives on
                    task.cancel()

    def _accept_some(self) -> None:
        for _ in range(BACKLOG):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no file descriptor left: try again when some are free, without spinning
                self._loop.remove_reader(self._sock)
                self._loop.call_later(ACCEPT_RETRY_S, self._accept_again)
                return
            sock.setblocking(False)
            if len(self._silent) >= MAX_SILENT:
                self._drop(next(iter(self._silent)))
            self._silent[sock] = self._loop.call_later(FIRST_BYTE_TIMEOUT_S, self._drop, sock)
            self._loop.add_reader(sock, self._look, sock)

    def _accept_again(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._sock, self._accept_some)

    def _look(self, sock: socket.socket) -> None:
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        is_tls = first[:1] == bytes((TLS_RECORD,))
        is_welcome = self._handshakes < MAX_TLS_HANDSHAKES if is_tls else self._tls.scheme != self._address.scheme
        if not first or not is_welcome:
            self._drop(sock)
            return
        self._silent.pop(sock).cancel()
        self._loop.remove_reader(sock)
        # a task, as asyncio has no other way to take over a socket; held here, ends by the handshake's deadline
        scheme = self._tls.scheme if is_tls else self._address.scheme
        protocol = AttachProtocol(scheme, self._accept, self._tls.binding if is_tls else b"")
        task = self._loop.create_task(self._start(sock, protocol, is_tls), name="tls accept")
        self._starting[task] = protocol
        task.add_done_callback(self._starting.pop)

    async def _start(self, sock: socket.socket, protocol: AttachProtocol, is_tls: bool) -> None:
        self._handshakes += is_tls
        try:
            if is_tls:
                await self._loop.connect_accepted_socket(
                    lambda: protocol,
                    sock,
                    ssl=self._context,
                    ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S,
                    ssl_shutdown_timeout=FIRST_BYTE_TIMEOUT_S,
                )
            else:
                await self._loop.connect_accepted_socket(lambda: protocol, sock)
        except (OSError, ssl.SSLError, TimeoutError):
            sock.close()  # a stranger's failed handshake is nobody's error
        except asyncio.CancelledError:
            sock.close()
            raise
        finally:
            self._handshakes -= is_tls

    def _drop(self, sock: socket.socket) -> None:
        timer = self._silent.pop(sock, None)
        if timer is not None:
            timer.cancel()
            self._loop.remove_reader(sock)
        with contextlib.suppress(OSError):
            sock.close()


if TYPE_CHECKING:
    _plain_fits: type[Listener] = _PlainListener
    _tls_fits: type[Listener] = _TlsListener
