"""The routers that lead to the internet.

Linux tells its routes.  Elsewhere the first address of our own /24 is taken for the router's, as it is in nearly every
home; plugins that talk to the router let their settings name another.
"""

import contextlib
import ipaddress
import socket
import struct
import sys
from collections.abc import Sequence

from ..link import Gateway
from .interface_addresses import address_towards
from .netlink import RTM_GETROUTE, dump

_RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 4, 5, 6, 15
_MAIN_TABLE, _UNICAST = 254, 1
_OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # documentation addresses, owned by nobody


def default_gateways() -> Sequence[Gateway]:
    """At most one of each family, IPv4 first."""
    if sys.platform != "linux":
        return _guess()
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            routes = _default_routes(family)
            local = address_towards(_OUTSIDE[family])
            if routes and local is not None:
                found.append(Gateway(min(routes)[1], local))
    return found


def _default_routes(family: int) -> list[tuple[int, str]]:
    """(metric, router) of each default route of the main table."""
    found = []
    for header, attributes in dump(RTM_GETROUTE, family):
        of_family, prefix_bits, _, _, table, _, _, kind = struct.unpack_from("=8B", header)
        (table,) = struct.unpack("=I", attributes.get(_RTA_TABLE, struct.pack("=I", table)))
        raw = attributes.get(_RTA_GATEWAY, b"")
        if of_family != family or prefix_bits or table != _MAIN_TABLE or kind != _UNICAST or len(raw) not in (4, 16):
            continue
        ip = ipaddress.ip_address(raw)
        (metric,) = struct.unpack("=I", attributes.get(_RTA_PRIORITY, bytes(4)))
        (index,) = struct.unpack("=I", attributes.get(_RTA_OIF, bytes(4)))
        found.append((metric, f"{ip}%{index}" if ip.version == 6 and ip.is_link_local else str(ip)))
    return found


def _guess() -> Sequence[Gateway]:
    local = address_towards(_OUTSIDE[socket.AF_INET])
    if local is None or not ipaddress.ip_address(local).is_private:
        return ()
    network = ipaddress.ip_network((local, 24), strict=False)
    router = str(network.network_address + 1)
    return () if router == local else (Gateway(router, local),)
