"""The `Network` of a real node: TCP, TLS, UDP and names."""

import asyncio
import ipaddress
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..address import Address
from ..clock import Clock
from ..errors import ConnectFailed
from ..link import Gateway, LinkEndpoint, LinkHandler
from ..network import Network, ServerTls
from ..transport import DatagramEndpoint, Listener, Pipe, PipeAccept, PipeHandler
from .daemon_thread import run_in_daemon_thread
from .datagram import open_datagrams
from .default_gateway import default_gateways
from .interface_addresses import interface_addresses
from .link_endpoint import SystemLinks
from .socket_address import SockAddr, to_sockaddr
from .system_error import reason
from .system_listener import FIRST_BYTE_TIMEOUT_S, TLS_HANDSHAKE_TIMEOUT_S, listen
from .system_stream import AttachProtocol

MAX_ANSWERS = 8  # a name with a thousand addresses must not make us dial them all
MAX_LOOKUPS = 4  # threads; names come from bootstrap lists and links only
RESOLVE_TIMEOUT_S = 10.0
# What lets several connections leave from one port: Linux takes the first alone, BSD wants both; on Windows
# the first would let strangers on the machine take our port.
SHARED_PORT = {"linux": ("SO_REUSEADDR",), "win32": ()}.get(sys.platform, ("SO_REUSEADDR", "SO_REUSEPORT"))
MAX_HOST_CHARS = 253  # RFC 1035 §3.1


class SystemNetwork:
    """See `peerkit.transport.Network`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)

    async def listen_stream(
        self, host: str, port: int, scheme: str, accept: PipeAccept, tls: ServerTls | None = None
    ) -> Listener:
        return await listen(host, port, scheme, accept, tls)

    async def connect_stream(
        self,
        address: Address,
        make_handler: Callable[[Pipe], PipeHandler],
        tls: object | None = None,
        local: Address | None = None,
    ) -> Pipe:
        name = str(address.without_peer())
        family, sockaddr = to_sockaddr(address.host, address.port, name)
        protocol = AttachProtocol(address.scheme, make_handler)
        loop = asyncio.get_running_loop()
        try:
            source = to_sockaddr(local.host, local.port, name)[1] if local is not None else None
            sock = await _connected(loop, family, sockaddr, source)
            # From here on the loop's transport owns the socket: closing it here would close another's with its number.
            if tls is None:
                await loop.create_connection(lambda: protocol, sock=sock)
            else:
                assert isinstance(tls, ssl.SSLContext)
                await loop.create_connection(
                    lambda: protocol,
                    sock=sock,
                    ssl=tls,
                    server_hostname=address.host,
                    ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S,
                    ssl_shutdown_timeout=FIRST_BYTE_TIMEOUT_S,
                )
        except ssl.SSLError as exc:
            raise ConnectFailed(name, f"the TLS handshake failed: {exc.reason or exc}") from exc
        except OSError as exc:
            raise ConnectFailed(name, reason(exc)) from exc
        except asyncio.CancelledError:
            if protocol.pipe is not None:
                protocol.pipe.abort()
            raise
        if protocol.pipe is None:
            raise ConnectFailed(name, "the other side closed the connection at once")
        return protocol.pipe

    async def open_datagrams(self, host: str, port: int) -> DatagramEndpoint:
        return await open_datagrams(host, port, self._clock)

    async def open_links(self, port: int, group: str, handler: LinkHandler) -> LinkEndpoint:
        return SystemLinks(asyncio.get_running_loop(), port, group, handler)

    def default_gateways(self) -> Sequence[Gateway]:
        return default_gateways()

    async def resolve(self, host: str) -> Sequence[str]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        if not 0 < len(host) <= MAX_HOST_CHARS:
            raise ConnectFailed(host[:64], "this is not a host name")
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                await self._lookups.acquire()
                expected = (OSError, UnicodeError)
                found = await run_in_daemon_thread(
                    lambda: _look_up(host), "peerkit-dns", expected, self._lookups.release
                )
        except TimeoutError:
            raise ConnectFailed(host, f"no name server answered within {RESOLVE_TIMEOUT_S:g} s") from None
        except (OSError, UnicodeError) as exc:
            text = exc.strerror if isinstance(exc, OSError) and exc.strerror else "this is not a host name"
            raise ConnectFailed(host, f"the name cannot be resolved: {text}") from exc
        return found

    def interface_addresses(self) -> Sequence[str]:
        return interface_addresses()


def _look_up(host: str) -> tuple[str, ...]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))[:MAX_ANSWERS]


async def _connected(
    loop: asyncio.AbstractEventLoop, family: socket.AddressFamily, sockaddr: SockAddr, source: SockAddr | None
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        for option in SHARED_PORT:  # every one that connects, or no later one could share its port
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        if source is not None:
            sock.bind(source)
        await loop.sock_connect(sock, sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


if TYPE_CHECKING:
    _fits: type[Network] = SystemNetwork
