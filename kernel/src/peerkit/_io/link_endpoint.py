"""Broadcast and multicast on every interface: `peerkit.link.LinkEndpoint` on two UDP sockets, one of each family.

The sockets are bound to wildcards and told the interface of each datagram (`IP_PKTINFO`), in both directions.  Linux
gives broadcasts and multicasts back to all sockets of the sending machine that share the port.  Systems without
`recvmsg` or that layout of control messages send IPv4 once, to where the system's broadcasts go, and cannot tell the
hop limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConnectFailed
from ..link import HOP_LIMIT, LinkDatagram, LinkEndpoint, LinkHandler
from .datagram import IP_PKTINFO, IPV6_PKTINFO, IPV6_RECVPKTINFO
from .interface_addresses import Interface, interfaces
from .socket_address import from_sockaddr
from .system_error import reason

IP_RECVTTL = 12  # linux/in.h
IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 51, 52  # linux/in6.h
RECEIVE_BYTES = 2_048  # longer ones are cut, and then are nobody's
RECEIVES_PER_TURN = 16  # then others get their turn: a flood must not stop the timers
_ANCILLARY_BYTES = 128
_TTL, _HOP_LIMIT = (socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, IPV6_HOPLIMIT)
_TELLS_INTERFACE = sys.platform == "linux"


class SystemLinks:
    """Raises `ConnectFailed` when the port can be had in no family."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int, group: str, handler: LinkHandler) -> None:
        self._loop = loop
        self._port = port
        self._group = group
        self._handler = handler
        self._socks: dict[int, socket.socket] = {}  # by IP version
        self._links: Sequence[Interface] = ()
        self._is_open = True
        self._remake(_links())

    def send(self, ip_version: int, data: bytes) -> int:
        sock = self._socks.get(ip_version)
        if sock is None:
            return 0
        return sum(self._send(sock, ip_version, link, data) for link in self._sending(ip_version))

    def refresh(self) -> bool:
        links = _links()
        if not self._is_open or links == self._links:
            return False
        with contextlib.suppress(ConnectFailed):  # tried again at the next call, as `_links` is not what it should be
            self._remake(links)
        return True

    def close(self) -> None:
        self._is_open = False
        for sock in self._socks.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._socks.clear()

    def _remake(self, links: Sequence[Interface]) -> None:
        is_open = self._is_open
        self.close()
        self._is_open, self._links = is_open, ()
        failed: OSError | None = None
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            try:
                sock = self._socks[version] = self._bound(family, links)
                self._loop.add_reader(sock, self._on_readable, sock)
            except OSError as exc:
                failed = exc
            except NotImplementedError:
                self.close()
                raise ConnectFailed(f"UDP port {self._port}", "this event loop cannot wait for sockets") from None
        if not self._socks and failed is not None:
            raise ConnectFailed(f"UDP port {self._port}", reason(failed)) from failed
        self._links = links

    def _bound(self, family: int, links: Sequence[Interface]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT") and not _TELLS_INTERFACE:  # BSD wants it for shared multicast
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOP_LIMIT)
                options = [(socket.IPPROTO_IP, IP_PKTINFO), (socket.IPPROTO_IP, IP_RECVTTL)]
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
                options = [(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO), (socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT)]
            for level, option in options if _TELLS_INTERFACE else ():
                sock.setsockopt(level, option, 1)
            sock.bind(("::" if family == socket.AF_INET6 else "", self._port))
            for link in links if family == socket.AF_INET6 else ():
                with contextlib.suppress(OSError):  # an interface without multicast
                    member = socket.inet_pton(family, self._group) + struct.pack("=I", link.index)
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        except OSError:
            sock.close()
            raise
        return sock

    def _sending(self, version: int) -> Sequence[Interface]:
        able = [link for link in self._links if link.of_version(version)]
        return able if version == 6 or _TELLS_INTERFACE else able[:1]

    def _send(self, sock: socket.socket, version: int, link: Interface, data: bytes) -> bool:
        try:
            if version == 6:
                sock.sendto(data, (self._group, self._port, 0, link.index))
            elif not _TELLS_INTERFACE:
                sock.sendto(data, ("255.255.255.255", self._port))
            else:
                source = link.of_version(4)[0]
                everybody = str(source.network.broadcast_address) if link.is_loopback else "255.255.255.255"
                info = struct.pack("=I4s4s", link.index, source.ip.packed, bytes(4))
                sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, (everybody, self._port))
        except OSError:  # no broadcasts there, no buffer, gone: dropped, as networks do
            return False
        return True

    def _on_readable(self, sock: socket.socket) -> None:
        for _ in range(RECEIVES_PER_TURN):
            if sock.fileno() < 0:  # the handler closed us
                return
            try:
                if _TELLS_INTERFACE:
                    data, ancillary, _, source = sock.recvmsg(RECEIVE_BYTES, _ANCILLARY_BYTES)
                else:
                    ancillary = []
                    data, source = sock.recvfrom(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier datagram
            self._handler(self._judged(data, ancillary, source))

    def _judged(
        self, data: bytes, ancillary: Sequence[tuple[int, int, bytes]], source: tuple[Any, ...]
    ) -> LinkDatagram:
        hop_limit, index = -1, 0
        for level, kind, value in ancillary:
            if (level, kind) in (_TTL, _HOP_LIMIT):
                (hop_limit,) = struct.unpack("=i", value[:4])
            elif (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                (index,) = struct.unpack("=I", value[:4])
            elif (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO):
                (index,) = struct.unpack("=I", value[16:20])
        address = from_sockaddr("udp", source)
        link = next((link for link in self._links if link.index == index), None)
        return LinkDatagram(data, address, link.name if link else "", hop_limit, self._is_on_link(address.host, link))

    def _is_on_link(self, host: str, link: Interface | None) -> bool:
        ip = ipaddress.ip_address(host)
        if ip.version == 6 and ip.is_link_local:
            return True
        if not _TELLS_INTERFACE:
            return ip.is_private
        return link is not None and any(ip in address.network for address in link.of_version(ip.version))


def _links() -> Sequence[Interface]:
    """Loopback only while there is nothing else."""
    found = interfaces()
    return [link for link in found if not link.is_loopback] or list(found)


if TYPE_CHECKING:
    _fits: type[LinkEndpoint] = SystemLinks
