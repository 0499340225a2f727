"""Kinds of NAT by the words of RFC 4787: how they map, and whom they let in.

The simulated network's routers behave so (`sim_nat`), and so do the real ones of the laboratory (`tests/natlab`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..capabilities import NatFiltering, NatMapping


@dataclass(frozen=True, slots=True)
class NatKind:
    """How one NAT behaves.

    Attributes:
        mapping: endpoint-independent (the external port is the internal one where that is free), symmetric (a random
            port), or symmetric and sequential (one more than the port before).
        filtering: symmetric mappings let in nobody else, whatever this says.
        accepts_input: a packet that is let in by no mapping is for the router itself: it answers a SYN with a reset,
            and remembers the sender, so that a mapping towards that sender has to take another port.  Otherwise such
            packets are dropped and forgotten.
        blocks_udp: no UDP passes in either direction.
        hairpins: hosts behind it reach each other at their external addresses, and see these (RFC 4787 §6).
    """

    mapping: NatMapping = NatMapping.ENDPOINT_INDEPENDENT
    filtering: NatFiltering = NatFiltering.ADDRESS_AND_PORT_DEPENDENT
    accepts_input: bool = False
    blocks_udp: bool = False
    hairpins: bool = False


_PORT_RESTRICTED = NatKind()

# By the names that tests and tables use: the NATs between a host and the internet, the host's own first.
NATS: Mapping[str, tuple[NatKind, ...]] = MappingProxyType(
    {
        "none": (),
        "full_cone": (NatKind(filtering=NatFiltering.ENDPOINT_INDEPENDENT, hairpins=True),),
        "address_restricted": (NatKind(filtering=NatFiltering.ADDRESS_DEPENDENT),),
        "port_restricted": (_PORT_RESTRICTED,),
        "port_restricted_accepting": (NatKind(accepts_input=True),),
        "symmetric": (NatKind(NatMapping.SYMMETRIC),),
        "symmetric_sequential": (NatKind(NatMapping.SYMMETRIC_SEQUENTIAL),),
        "double": (_PORT_RESTRICTED, _PORT_RESTRICTED),
        "udp_blocked": (NatKind(blocks_udp=True),),
    }
)
