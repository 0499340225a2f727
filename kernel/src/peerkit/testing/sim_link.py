"""A simulated link: hosts that hear each other's broadcasts and multicasts, with nothing but a wire between.

    net = SimNetwork()
    a, b = net.platform("10.0.0.1"), net.platform("10.0.0.2")
    net.link("lan0", a.ip, b.ip)

A datagram takes the network's delay and loss.  Hosts of one IP family only, as simulated hosts have one address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..address import Address
from ..errors import ConnectFailed
from ..link import HOP_LIMIT, LinkDatagram, LinkEndpoint, LinkHandler

if TYPE_CHECKING:
    from .sim_host import SimHost


@dataclass(eq=False, slots=True)
class SimLink:
    """Attributes:
    name: what its members' interfaces are called.
    members: may be changed at any time: plugged in, and taken away.
    datagrams: how many were sent on it.
    """

    name: str
    members: list[SimHost] = field(default_factory=list)
    datagrams: int = 0


class SimLinkEndpoint:
    """See `peerkit.link.LinkEndpoint`.  Several on one host may have the same port."""

    def __init__(self, host: SimHost, port: int, handler: LinkHandler) -> None:
        self._host = host
        self._port = port
        self._handler = handler
        self._links = self._attached()
        host.link_endpoints.append(self)

    def send(self, ip_version: int, data: bytes) -> int:
        if self not in self._host.link_endpoints or ip_version != (6 if ":" in self._host.ip else 4):
            return 0
        for link in self._links:
            link.datagrams += 1
            for member in tuple(link.members):
                self._send(member, link, data)
        return len(self._links)

    def refresh(self) -> bool:
        before, self._links = self._links, self._attached()
        return self._links != before

    def close(self) -> None:
        if self in self._host.link_endpoints:
            self._host.link_endpoints.remove(self)

    def deliver(self, data: bytes, source: str, hop_limit: int = HOP_LIMIT, is_on_link: bool = True) -> None:
        """What a neighbour sent, or a test forges."""
        name = self._links[0].name if self._links else ""
        self._handler(LinkDatagram(data, Address("udp", source, self._port), name, hop_limit, is_on_link))

    def _attached(self) -> Sequence[SimLink]:
        return tuple(link for link in self._host.net.links if self._host in link.members)

    def _send(self, member: SimHost, link: SimLink, data: bytes) -> None:
        host, net = self._host, self._host.net
        if net.is_blocked(host, member) or net.is_lost(host, member):
            return

        def arrive() -> None:
            for endpoint in tuple(member.link_endpoints):
                if endpoint._port == self._port and link in endpoint._links and member.is_up:
                    endpoint.deliver(data, host.ip)

        net.loop.call_at(net.arrives_at(host, member, len(data)), arrive)


def open_links(host: SimHost, port: int, handler: LinkHandler) -> SimLinkEndpoint:
    """Raises `ConnectFailed`."""
    if not 0 < port < 65_536:
        raise ConnectFailed(f"UDP port {port}", "there is no such port")
    return SimLinkEndpoint(host, port, handler)


if TYPE_CHECKING:
    _fits: type[LinkEndpoint] = SimLinkEndpoint
