"""Which of our listeners a router should forward to, and which router."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from peerkit.address import Address
from peerkit.address_space import is_public
from peerkit.link import Gateway

from .mapping import TCP, UDP, Wanted

PROTOCOLS = {"udp": UDP, "tcp": TCP, "tls": TCP}
MAX_PORTS = 8  # a router has few; and our owner may have many listeners


def wanted_ports(bound: Sequence[Address], gateway: Gateway) -> list[Wanted]:
    """One for each port that listens on a wildcard or on our address towards the router.  None where our IPv4 address
    is public: there is nothing to translate.  Over IPv6 only public addresses can be let through a firewall."""
    local = ipaddress.ip_address(gateway.local)
    if is_public(gateway.local) != (local.version == 6):
        return []
    found: dict[tuple[int, int], Wanted] = {}
    for address in bound:
        ip, protocol = address.ip, PROTOCOLS.get(address.scheme)
        if (
            protocol is not None
            and ip is not None
            and ip.version == local.version
            and (ip.is_unspecified or ip == local)
        ):
            internal = replace(address, host=gateway.local, peer_id=None)
            found.setdefault((protocol, address.port), Wanted(protocol, internal))
    return list(found.values())[:MAX_PORTS]


def gateway_named(setting: str, found: Sequence[Gateway]) -> Sequence[Gateway]:
    """With a router in the settings that one, reached from where we reach the default one of its family."""
    if not setting:
        return found
    family = [gateway for gateway in found if (":" in gateway.host) == (":" in setting)]
    return [replace(gateway, host=setting) for gateway in family]
