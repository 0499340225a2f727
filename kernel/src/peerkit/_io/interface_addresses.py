"""The machine's own IP addresses and the interfaces that they belong to.

Linux tells all of them (`netlink`).  Elsewhere, and where that is forbidden, the system is asked which address it would
use towards the internet (no packet is sent), and loopback is added.
"""

import contextlib
import ipaddress
import socket
import struct
import sys
from dataclasses import dataclass

from .netlink import RTM_GETADDR, RTM_GETLINK, dump

_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_NOT_USABLE = 0x08 | 0x20 | 0x40  # duplicate, deprecated or still tentative (RFC 4862)
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x1, 0x8, 0x40  # linux/if.h
MAX_ADDRESSES = 256

IpInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Interface:
    """One that is up.

    Attributes:
        index: the system's number of it.
        addresses: with the networks that lie behind it, where the system tells; otherwise the address alone.
    """

    name: str
    index: int
    is_loopback: bool
    addresses: tuple[IpInterface, ...]

    def of_version(self, version: int) -> tuple[IpInterface, ...]:
        return tuple(address for address in self.addresses if address.version == version)


def interface_addresses() -> tuple[str, ...]:
    """Numeric addresses, loopback included; IPv6 link-local ones with their zone (`fe80::1%eth0`)."""
    found: list[str] = []
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            found = [_with_zone(*entry) for entry in _ask_netlink()]
    return tuple(dict.fromkeys(found or _ask_routes()))[:MAX_ADDRESSES]


def interfaces() -> tuple[Interface, ...]:
    """Those that are up and have an address, by index.  Where the system does not tell which address is whose, each has
    them all."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return _linux_interfaces()
    hosts = tuple(ipaddress.ip_interface(host) for host in _ask_routes())
    outward = tuple(host for host in hosts if not host.is_loopback)
    inward = tuple(host for host in hosts if host.is_loopback)
    return tuple(
        Interface(name, index, name.startswith("lo"), inward if name.startswith("lo") else outward)
        for index, name in socket.if_nameindex()
    )


def _ask_routes() -> list[str]:
    """What the system would use towards the internet, and loopback."""
    found = ["127.0.0.1", "::1"] if socket.has_ipv6 else ["127.0.0.1"]
    # documentation addresses (RFC 5737, RFC 3849): routed by default, owned by nobody
    for target in ("192.0.2.1", "2001:db8::1"):
        if (host := address_towards(target)) is not None:
            found.append(host)
    return found


def address_towards(host: str) -> str | None:
    """Our own address for packets to `host` (numeric, maybe with a zone), or `None`: there is no way.  Nothing is
    sent."""
    bare, _, zone = host.partition("%")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone) if zone else 0
        sock.connect((bare, 9, 0, scope) if family == socket.AF_INET6 else (bare, 9))
        return str(sock.getsockname()[0]).partition("%")[0]
    return None


def _linux_interfaces() -> tuple[Interface, ...]:
    by_index: dict[int, list[IpInterface]] = {}
    for index, address in _ask_netlink():
        by_index.setdefault(index, []).append(address)
    found = []
    for header, attributes in dump(RTM_GETLINK):
        _, _, index, flags = struct.unpack_from("=BxHiI", header)
        addresses = by_index.get(index, [])
        if flags & _IFF_UP and flags & _IFF_RUNNING and addresses:
            name = attributes.get(3, b"").rstrip(b"\0").decode("utf-8", "replace")  # IFLA_IFNAME
            # in order: a changed order is no change
            ordered = tuple(sorted(addresses, key=lambda a: (a.version, int(a.ip)))[:MAX_ADDRESSES])
            found.append(Interface(name, index, bool(flags & _IFF_LOOPBACK), ordered))
    return tuple(sorted(found, key=lambda interface: interface.index))


def _ask_netlink() -> list[tuple[int, IpInterface]]:
    """Interface index and address, of each usable address."""
    found: list[tuple[int, IpInterface]] = []
    for header, attributes in dump(RTM_GETADDR):
        family, prefix_bits, flags, _, index = struct.unpack_from("=BBBBI", header)
        if len(attributes.get(_IFA_FLAGS, b"")) == 4:
            (flags,) = struct.unpack("=I", attributes[_IFA_FLAGS])
        raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
        if family in (socket.AF_INET, socket.AF_INET6) and len(raw) in (4, 16) and not flags & _NOT_USABLE:
            found.append((index, ipaddress.ip_interface((raw, prefix_bits))))
    return found


def _with_zone(index: int, address: IpInterface) -> str:
    if address.version == 6 and address.is_link_local:
        with contextlib.suppress(OSError):  # it has gone meanwhile
            return f"{address.ip}%{socket.if_indextoname(index)}"
    return str(address.ip)
