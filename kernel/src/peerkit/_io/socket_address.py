"""Between Peerkit's `Address` and the tuples of the socket module."""

import ipaddress
import socket
from typing import Any

from ..address import Address
from ..errors import ConnectFailed

SockAddr = tuple[str, int] | tuple[str, int, int, int]


def to_sockaddr(host: str, port: int, what: str) -> tuple[socket.AddressFamily, SockAddr]:
    """Family and tuple of a numeric host, which may carry a zone.  `what` is named in the error.

    Raises:
        ConnectFailed: the host is not numeric, or its zone is not an interface of this machine.
    """
    bare, _, zone = host.partition("%")
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        raise ConnectFailed(what, "the host is not a numeric address; resolve it first") from None
    if ip.version == 4:
        if zone:
            raise ConnectFailed(what, "an IPv4 address has no zone")
        return socket.AF_INET, (bare, port)
    try:
        scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone) if zone else 0
    except OSError:
        raise ConnectFailed(what, f"the zone {zone[:32]!r} is not an interface of this machine") from None
    return socket.AF_INET6, (bare, port, 0, scope)


def from_sockaddr(scheme: str, sockaddr: tuple[Any, ...]) -> Address:
    """The address in a tuple that the system gave."""
    host = str(sockaddr[0])
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        host = f"{host}%{sockaddr[3]}"
    return Address(scheme, host, int(sockaddr[1]))
