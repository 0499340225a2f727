"""The `Network` of a real node: TCP, TLS, UDP and names."""

import asyncio
import ipaddress
import socket
import ssl
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
from .outgoing_socket import connected, met
from .socket_address import to_sockaddr
from .system_error import reason
from .system_listener import FIRST_BYTE_TIMEOUT_S, TLS_HANDSHAKE_TIMEOUT_S, listen
from .system_stream import AttachProtocol

MAX_ANSWERS = 8  # a name with a thousand addresses must not make us dial them all
MAX_LOOKUPS = 4  # threads; names come from bootstrap lists and links only
RESOLVE_TIMEOUT_S = 10.0
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
    ) -> Pipe:
        name = str(address.without_peer())
        family, sockaddr = to_sockaddr(address.host, address.port, name)
        try:
            sock = await connected(asyncio.get_running_loop(), family, sockaddr)
        except OSError as exc:
            raise ConnectFailed(name, reason(exc)) from exc
        return await _pipe(sock, address, make_handler, tls)

    async def meet_stream(self, local: Address, remote: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        return await _pipe(await met(local, remote), remote, make_handler, None)

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


async def _pipe(
    sock: socket.socket, address: Address, make_handler: Callable[[Pipe], PipeHandler], tls: object | None
) -> Pipe:
    """See `Network.connect_stream`.  The socket is the loop's from here on: closing it here would close another's with
    its number."""
    name = str(address.without_peer())
    protocol = AttachProtocol(address.scheme, make_handler)
    loop = asyncio.get_running_loop()
    try:
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


def _look_up(host: str) -> tuple[str, ...]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))[:MAX_ANSWERS]


if TYPE_CHECKING:
    _fits: type[Network] = SystemNetwork
