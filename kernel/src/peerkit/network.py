"""The way to the wire: the system's on a real node, the simulation's in tests.  Nothing of ours goes another way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .address import Address
from .link import Gateway, LinkEndpoint, LinkHandler
from .transport import DatagramEndpoint, Listener, Pipe, PipeAccept, PipeHandler


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
    """Sockets, names and interfaces."""

    async def listen_stream(
        self, host: str, port: int, scheme: str, accept: PipeAccept, tls: ServerTls | None = None
    ) -> Listener:
        """Listen for ordered bytes on a numeric host.  A pipe over TLS is told to `accept` after its TLS handshake,
        with the SHA-256 of the certificate as `binding`.  Raises `ConnectFailed`."""
        ...

    async def connect_stream(
        self,
        address: Address,
        make_handler: Callable[[Pipe], PipeHandler],
        tls: object | None = None,
    ) -> Pipe:
        """Connect to a numeric host.

        Args:
            tls: an `ssl.SSLContext`: over TLS, and the pipe's `binding` is the SHA-256 of the certificate (DER) that
                the server showed.

        Raises:
            ConnectFailed: with the reason.
        """
        ...

    async def meet_stream(self, local: Address, remote: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        """Become one connection with what the other side opens at the same time: connect from `local` to `remote`, and
        take what comes from that host, from whatever port.  Goes on until there is a connection or it is cancelled.

        Args:
            local: a port that other connections of this network may use too, but no listener.

        Raises:
            ConnectFailed: with the reason, which is another than that nobody is there yet.
        """
        ...

    async def open_datagrams(self, host: str, port: int) -> DatagramEndpoint:
        """Bind a datagram socket.  Raises `ConnectFailed`."""
        ...

    async def open_links(self, port: int, group: str, handler: LinkHandler) -> LinkEndpoint:
        """Send and hear at `port` (shared with other nodes of this machine) on every link.  Raises `ConnectFailed`.

        Args:
            group: the IPv6 multicast group, of link-local scope.
        """
        ...

    def default_gateways(self) -> Sequence[Gateway]:
        """The routers towards the internet: at most one of each family, IPv4 first."""
        ...

    async def resolve(self, host: str) -> Sequence[str]:
        """The numeric addresses of a host name, at most 8.  Raises `ConnectFailed`."""
        ...

    def interface_addresses(self) -> Sequence[str]:
        """Our own numeric addresses, loopback included."""
        ...
