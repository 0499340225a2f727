"""Which numeric addresses are plainly of the internet.

Addresses with an IPv4 address inside (v4-mapped, v4-compatible, NAT64, 6to4, Teredo, ISATAP) are not, whatever is
inside: a gateway near us would unwrap them, and nobody listens there by intent.

Source: IANA's special-purpose registries (RFC 6890), RFC 6052, RFC 8215, RFC 3056, RFC 4380, RFC 5214.
"""

import ipaddress
from functools import lru_cache

_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # between a provider's NAT and its customers (RFC 6598)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; 169.254.169.254 gives cloud credentials
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")  # all that is given out; the rest is special or will be
_SPECIAL_V6 = tuple(
    ipaddress.ip_network(network)
    for network in (
        "2001::/23",  # IETF: Teredo 2001::/32, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # the upper half of an interface id with an IPv4 address below


@lru_cache(1024)
def is_public(host: str) -> bool:
    """Whether a numeric host is plainly of the internet.  A host name is not."""
    try:
        ip = ipaddress.ip_address(host)  # not `Address.ip`, which would unwrap a v4-mapped one
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL)
    if ip not in _GLOBAL_V6 or any(ip in network for network in _SPECIAL_V6) or ip.scope_id is not None:
        return False
    return int(ip) >> 32 & 0xFFFF_FFFF not in _ISATAP
