"""Where probes may go.

Only a coordinator's observation tells a punch where to aim: a peer that could name addresses itself could aim us at a
victim.  Of what it observed, these are refused: everything that is no host's address, what a gateway near us would
unwrap to IPv4 (v4-mapped, NAT64, 6to4, Teredo), and addresses of private networks unless the coordinator itself is in
one.  Private addresses that the peer names are probed only when both were observed at the same IP, and so are behind
one router.  Source: IANA's special-purpose registries (RFC 6890), RFC 6052, RFC 8215, RFC 3056, RFC 4380.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from peerkit.address import Address

from .strategy import Nat

MAX_OBSERVED = 2  # one of each family; more would let a coordinator aim us at more
MAX_PRIVATE = 4  # as many interfaces as a machine at home has; each gets as many probes as the observed address
MAX_PREDICTED = 8  # ports: beyond these a sequential mapping has moved on
_UNWRAPPED = tuple(
    ipaddress.ip_network(network)
    for network in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)
_SCHEME = "udp"  # of probes


def is_unicast(address: Address) -> bool:
    """Whether it can be a host's address and a socket's: numeric, no zone, not multicast, reserved or link-local."""
    try:
        ip = ipaddress.ip_address(address.host)  # not `Address.ip`, which would unwrap a v4-mapped one
    except ValueError:
        return False
    if not address.port or ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.is_loopback or (ip.scope_id is None and not any(ip in network for network in _UNWRAPPED))
    return not ip.is_reserved and ip not in ipaddress.ip_network("0.0.0.0/8")


def accept_observed(observed: Iterable[Address], coordinator: Address) -> tuple[Address, ...]:
    """Those at which a peer may be met that `coordinator`, seen there by us, says that it sees: of its own scheme.

    Loopback is believed only of a coordinator on this machine, private networks only of one in a private network."""
    of_scheme = (a.without_peer() for a in observed if a.scheme == coordinator.scheme and is_unicast(a))
    found = (a for a in of_scheme if not a.is_local or _is_as_near(a, coordinator))
    return tuple(dict.fromkeys(found))[:MAX_OBSERVED]


def _is_as_near(address: Address, coordinator: Address) -> bool:
    ip, witness = address.ip, coordinator.ip
    if ip is None or witness is None:
        return False
    return coordinator.is_local and (not ip.is_loopback or witness.is_loopback)


def candidates(theirs: Sequence[Address], ours: Sequence[Address], nat: Nat, with_predicted: bool) -> list[Address]:
    """What to probe, in this order, each once: private addresses, the observed ones or the ports that follow them.

    Args:
        theirs, ours: where the coordinator sees the peer and us, as `accept_observed` left them.
        nat: the peer's.
        with_predicted: take the ports that a sequential mapping gives out next instead of the observed one, which
            leads to the coordinator only.
    """
    found: list[Address] = []
    if {a.host for a in theirs} & {a.host for a in ours}:
        found += [a.without_peer() for a in nat.private_addresses if _is_private(a)][:MAX_PRIVATE]
    for address in theirs:
        if with_predicted and nat.is_predictable:
            ports = [address.port + nat.port_step * k for k in range(1, MAX_PREDICTED + 1)]
            found += [Address(_SCHEME, address.host, port) for port in ports if 1_024 <= port < 65_536]
        else:
            found.append(address)
    return list(dict.fromkeys(found))


def private_addresses(bound: Iterable[Address], interfaces: Iterable[str], port: int) -> tuple[Address, ...]:
    """What to tell a peer that may be behind the same router.

    Args:
        bound: what the node listens on; a wildcard stands for every interface.
        interfaces: numeric addresses of this machine.
        port: of the socket that dials, when the node listens nowhere.
    """
    hosts = tuple(interfaces)
    listening = [a for a in bound if a.scheme == _SCHEME]
    found: list[Address] = []
    for host in hosts:
        for address in listening or [Address(_SCHEME, host, port)]:
            ip = address.ip
            if address.host == host or (ip is not None and ip.is_unspecified and (":" in host) == (ip.version == 6)):
                found.append(Address(_SCHEME, host, address.port))
    return tuple(dict.fromkeys(a for a in found if _is_private(a)))[:MAX_PRIVATE]


def _is_private(address: Address) -> bool:
    ip = address.ip
    is_ours = address.scheme == _SCHEME and is_unicast(address)
    return is_ours and ip is not None and ip.is_private and not ip.is_loopback
