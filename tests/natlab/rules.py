"""The packet rules that make Linux each kind of NAT (nftables).

Linux's own masquerading maps by connection, but keeps the port where it can: that is endpoint-independent mapping with
address and port-dependent filtering.  Looser filtering remembers the mappings in a map of nft's, and translates what
comes to them; symmetric mapping takes a random port, or counts.
"""

from collections.abc import Iterator

from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.testing import NatKind

LAN, WAN = "lan", "wan"  # the router's devices
COUNTED_PORTS = 4_096
_MAPPING_LIFE = "2m"  # RFC 4787 §4.3
# Below the ports that systems give to sockets: Linux keeps one that is in the range already.
_FIRST_PORT, _PORTS_OF_ONE_TIME = 10_000, 8_000


def rules_of(kind: NatKind, external: str, rebindings: int = 0) -> str:
    """What `nft -f` reads; replaces all rules that were there.

    Args:
        external: the router's address on the outside.
        rebindings: how often the mappings were forgotten so far: new ones take other ports than before.
    """
    return "\n".join(["flush ruleset", *_translation(kind, external, rebindings), *_filter(kind), ""])


def _translation(kind: NatKind, external: str, rebindings: int) -> Iterator[str]:
    yield "table ip nat {"
    learns = kind.filtering is not NatFiltering.ADDRESS_AND_PORT_DEPENDENT
    inward = f"iifname {WAN}" if not kind.hairpins else f"ip daddr {external}"
    for protocol in ("tcp", "udp") if learns else ():
        port = f"{protocol} sport"
        yield f"map {protocol}_mapped {{ typeof {port} : ip saddr . {port}"
        yield f"flags dynamic, timeout; timeout {_MAPPING_LIFE}; size 65535; }}"
        yield f"set {protocol}_contacted {{ typeof {port} . ip daddr"
        yield f"flags dynamic, timeout; timeout {_MAPPING_LIFE}; size 65535; }}"
    yield "chain prerouting { type nat hook prerouting priority dstnat"
    for protocol in ("tcp", "udp") if learns else ():
        port = f"{protocol} dport"
        is_contacted = f"{port} . ip saddr @{protocol}_contacted"
        who = is_contacted if kind.filtering is NatFiltering.ADDRESS_DEPENDENT else ""
        yield f"{inward} {who} dnat ip to {port} map @{protocol}_mapped"
    yield "}"
    yield "chain postrouting { type nat hook postrouting priority srcnat"
    for protocol in ("tcp", "udp"):
        yield f"oifname {WAN} meta l4proto {protocol} {_source(kind, external, rebindings)}"
        if kind.hairpins:
            yield f"iifname {LAN} oifname {LAN} meta l4proto {protocol} snat to {external}"
    yield f"oifname {WAN} masquerade"
    yield "}"
    if learns:
        yield "chain learn { type filter hook postrouting priority srcnat + 10"  # the source is translated here
        for protocol in ("tcp", "udp"):
            port = f"{protocol} sport"
            outward = f"oifname {{ {WAN}, {LAN} }} iifname {LAN} ct direction original"
            internal = "ct original ip saddr . ct original proto-src"
            yield f"{outward} update @{protocol}_mapped {{ {port} : {internal} }}"
            yield f"{outward} update @{protocol}_contacted {{ {port} . ip daddr }}"
        yield "}"
    yield "}"


def _source(kind: NatKind, external: str, rebindings: int) -> str:
    """How a connection's source is translated."""
    first = _FIRST_PORT + rebindings % 2 * _PORTS_OF_ONE_TIME
    match kind.mapping:
        case NatMapping.ENDPOINT_INDEPENDENT:
            # Linux takes first + port modulo the range's size, so that a socket has one port towards all
            return f"masquerade to :{first}-{first + _PORTS_OF_ONE_TIME - 1}" if rebindings else "masquerade"
        case NatMapping.SYMMETRIC:
            return "masquerade fully-random"
        case NatMapping.SYMMETRIC_SEQUENTIAL:
            ports = ", ".join(f"{i} : {first + i}" for i in range(COUNTED_PORTS))
            return f"snat ip to {external} : numgen inc mod {COUNTED_PORTS} map {{ {ports} }}"
        case _:
            raise ValueError(f"no rules for {kind}")


def _filter(kind: NatKind) -> Iterator[str]:
    yield "table ip filter {"
    yield "chain input { type filter hook input priority filter"
    if not kind.accepts_input:
        yield f"iifname {WAN} ct state new drop"
    yield "}"
    yield "chain forward { type filter hook forward priority filter"
    if kind.blocks_udp:
        yield "meta l4proto udp drop"
    yield f"iifname {WAN} ct status dnat accept"
    yield f"iifname {WAN} ct state new drop"
    yield "}"
    yield "}"
