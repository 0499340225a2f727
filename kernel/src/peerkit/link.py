"""The links that this machine is attached to: everybody on them at once, and the router that leads out.

A *link* is what lies behind one network interface: an Ethernet segment, a wireless network, the machine itself.  What
is sent to a link crosses no router, so nobody but the neighbours hears it.

Not here: datagrams to one address (`transport.DatagramEndpoint`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .address import Address

HOP_LIMIT = 255
"""What every datagram to a link is sent with.  A router would have made it smaller (RFC 5082)."""


@dataclass(frozen=True, slots=True)
class LinkDatagram:
    """What came in at a `LinkEndpoint`.

    Attributes:
        source: of the scheme `udp`; an IPv6 link-local host has its zone.
        interface: its name, for people.
        hop_limit: as it arrived; below `HOP_LIMIT` it was routed, -1 where the system does not tell.
        is_on_link: whether the source belongs to a network of that interface.
    """

    data: bytes
    source: Address
    interface: str
    hop_limit: int
    is_on_link: bool


LinkHandler = Callable[[LinkDatagram], None]


class LinkEndpoint(Protocol):
    """One UDP port on every link: IPv4 by broadcast, IPv6 by link-local multicast.  Several on one machine, of one
    process or of many, hear each other and themselves.  Loopback counts as a link while there is no other."""

    def send(self, ip_version: int, data: bytes) -> int:
        """Send to everybody on every link that has addresses of this family (4 or 6), with `HOP_LIMIT`.  Returns how
        many links took it; what a link cannot take now is dropped."""
        ...

    def refresh(self) -> bool:
        """Look at the interfaces; when they are not what they were, make the sockets anew and return `True`."""
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """The router that packets to the internet go through.

    Attributes:
        host: its address; an IPv6 link-local one with its zone.
        local: our own address towards the internet through it.
    """

    host: str
    local: str
