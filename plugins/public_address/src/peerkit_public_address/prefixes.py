"""Who counts as one witness: a network, not a peer id, since ids are free and networks are not.

A /16 of IPv4 or a /32 of IPv6 is what one provider holds.  Local observers (loopback, private, link-local) are exempt
and count one by one: they can only speak of local addresses (`observations.py`).
"""

import ipaddress
from functools import lru_cache

from peerkit.address import Address
from peerkit.identity import PeerId


def network_of(observer: PeerId, where: Address) -> str:
    """The key under which an observer's word counts."""
    return str(observer) if where.is_local else _wide(where.host)


@lru_cache(1024)
def _wide(host: str) -> str:
    ip = Address("udp", host, 0).ip
    if ip is None:
        return host
    return str(ipaddress.ip_network((ip, 16 if ip.version == 4 else 32), strict=False))
