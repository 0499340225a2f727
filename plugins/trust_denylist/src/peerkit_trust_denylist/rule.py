"""One line of a deny list: a peer, an IP address, a network, or one address with its port.

p4fzq2…                  that peer, wherever it is, also as a relay
192.0.2.1, 2001:db8::1   every port of that host
192.0.2.0/24             every host of that network
tcp://192.0.2.1:4433     dials to exactly that address (who dials us does so from any port)
"""

import ipaddress
from dataclasses import dataclass
from enum import Enum

from peerkit.address import Address
from peerkit.errors import UsageError
from peerkit.identity import PeerId
from peerkit.text_form import TEXT_CHARS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Kind(Enum):
    """What a rule names."""

    PEER = "peer"
    NETWORK = "network"  # a single host is a network of one
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.  `text` is its one spelling: two texts for the same thing give equal rules."""

    kind: Kind
    text: str

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """Raises `UsageError` that says what a rule looks like."""
        text = text.strip()
        if "://" in text:
            address = Address.parse(text)
            if address.ip is None:
                raise UsageError(f"{text!r} names a host, but connections are judged by number: deny its IP address")
            return cls(Kind.ADDRESS, str(address.without_peer()))
        if len(text) == TEXT_CHARS:
            return cls(Kind.PEER, str(PeerId.parse(text)))
        try:
            network = ipaddress.ip_network(text, strict=True)
        except ValueError as exc:
            if "host bits" in str(exc):
                whole = ipaddress.ip_network(text, strict=False)
                raise UsageError(f"{text!r} is no network: did you mean {whole}?") from None
            raise UsageError(
                f"{text[:80]!r} cannot be denied: write a peer id, an IP address, a network such as 192.0.2.0/24,"
                " or an address such as tcp://192.0.2.1:4433"
            ) from None
        return cls(Kind.NETWORK, _spell(network))

    @property
    def network(self) -> Network:
        """Of a rule of kind NETWORK."""
        return ipaddress.ip_network(self.text)


def _spell(network: Network) -> str:
    """IPv4 inside IPv6 (::ffff:192.0.2.1) as IPv4, a network of one as its host."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        inside = network.network_address.ipv4_mapped
        if inside is not None:
            network = ipaddress.IPv4Network((inside, network.prefixlen - 96))
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
