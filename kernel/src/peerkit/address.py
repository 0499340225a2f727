"""Where a peer can be reached: `scheme://host:port[/PEERID]`.

Schemes are whatever the enabled transports register; `relay://RELAY_PEERID@host:port[/PEERID]` goes through that relay.
Host names occur only in bootstrap lists and links, never in records; IPv6 zones only in memory.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from .errors import UsageError
from .identity import PeerId

_PATTERN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9]{0,15})://(?:(?P<via>[a-z2-7]{56})@)?(?:\[(?P<v6>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^\s/@:\[\]]+))"
    r":(?P<port>[0-9]{1,5})(?:/(?P<peer>[a-z2-7]{56})?)?"
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # between a provider's NAT and its customers' (RFC 6598)
MAX_ADDRESS_CHARS = 400  # scheme, host name of 253, port, two ids


@dataclass(frozen=True, slots=True)
class Address:
    """One way to reach a node.

    Attributes:
        scheme: the transport's word, `tcp`, `tls`, `udp`, `relay`.
        host: an IPv4 or IPv6 address without brackets, or a host name.
        port: 0..65535; 0 only asks a listener to choose.
        peer_id: who must answer there, when known.
        via: the relay's id, for `relay` only.
    """

    scheme: str
    host: str
    port: int
    peer_id: PeerId | None = None
    via: PeerId | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Raises `UsageError` with the reason when `text` is no address."""
        match = _PATTERN.fullmatch(text) if len(text) <= MAX_ADDRESS_CHARS else None
        if match is None:
            raise UsageError(
                f"{text[:80]!r} is not an address; one looks like tcp://192.0.2.1:4433 or tcp://[2001:db8::1]:4433"
            )
        port = int(match["port"])
        if port > 65535:
            raise UsageError(f"{text!r} is not an address: port {port} is not in 0..65535")
        if match["v6"] is not None:
            try:
                host = str(ipaddress.IPv6Address(match["v6"]))
            except ValueError:
                raise UsageError(f"{text!r} is not an address: [{match['v6']}] is not an IPv6 address") from None
        else:
            host = match["host"]
        peer = PeerId.parse(match["peer"]) if match["peer"] else None
        via = PeerId.parse(match["via"]) if match["via"] else None
        if (via is not None) != (match["scheme"] == "relay"):
            raise UsageError(f"{text!r} is not an address: only relay:// names a relay before the @")
        return cls(match["scheme"], host, port, peer, via)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        via = f"{self.via}@" if self.via else ""
        return f"{self.scheme}://{via}{host}:{self.port}" + (f"/{self.peer_id}" if self.peer_id else "")

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The numeric address (an IPv4-mapped one as IPv4), or `None` for a host name."""
        return _parse_ip(self.host)

    @property
    def is_local(self) -> bool:
        """Loopback, private, shared or link-local: exempt from diversity limits, never told on the wide area."""
        return _is_local(self.host)

    @property
    def prefix(self) -> str:
        """The neighbourhood that diversity limits count: /24 of IPv4, /56 of IPv6, or the host name."""
        return _prefix(self.host)

    def without_peer(self) -> "Address":
        return self if self.peer_id is None else Address(self.scheme, self.host, self.port, None, self.via)

    def with_peer(self, peer_id: PeerId) -> "Address":
        return replace(self, peer_id=peer_id)


# Every session asks these of the same few hosts; parsing one costs 5 to 10 µs.


@lru_cache(4096)
def _parse_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


@lru_cache(4096)
def _is_local(host: str) -> bool:
    ip = _parse_ip(host)
    return ip is not None and (ip.is_loopback or ip.is_private or ip.is_link_local or ip in _SHARED)


@lru_cache(4096)
def _prefix(host: str) -> str:
    ip = _parse_ip(host)
    if ip is None:
        return host
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 56), strict=False))


@dataclass(frozen=True, slots=True)
class Contact:
    """Several ways to reach one peer; the transports' preferences decide which is tried first.

    Raises:
        UsageError: there is none.
    """

    peer_id: PeerId
    addresses: tuple[Address, ...]

    def __post_init__(self) -> None:
        if not self.addresses:
            raise UsageError(f"no address of {self.peer_id.short} is given")

    def __str__(self) -> str:
        return ", ".join(str(address) for address in self.addresses)


def parse_target(text: str) -> Address | PeerId:
    """Whom to dial, as people write it: an address or a peer id.  Raises `UsageError`."""
    return Address.parse(text) if "://" in text else PeerId.parse(text)


def contacts_of(addresses: Iterable[Address]) -> list[Address | Contact]:
    """Gather the addresses that name the same peer; those that name none stay alone.  In the order given."""
    of_peer: dict[PeerId | Address, list[Address]] = {}
    for address in addresses:
        of_peer.setdefault(address.peer_id or address, []).append(address)
    return [Contact(key, tuple(found)) if isinstance(key, PeerId) else key for key, found in of_peer.items()]
