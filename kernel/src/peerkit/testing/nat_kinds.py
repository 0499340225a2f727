"""Kinds of NAT by the words of RFC 4787: how they map, whom they let in, which ports they take.

What a kind promises is what a test sees from outside; the simulated network behaves so, and so do the routers of the
laboratory (`tests/natlab`), which are real.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType


class NatMapping(Enum):
    """Whether a socket behind the NAT is seen at the same external port by all (RFC 4787 §4.1)."""

    ENDPOINT_INDEPENDENT = auto()
    ADDRESS_AND_PORT_DEPENDENT = auto()  # "symmetric": another port for each remote endpoint


class NatFiltering(Enum):
    """Who gets in at a mapped port beside those that were written to (RFC 4787 §5)."""

    ENDPOINT_INDEPENDENT = auto()  # everybody: a "full cone"
    ADDRESS_DEPENDENT = auto()  # every port of an address that was written to
    ADDRESS_AND_PORT_DEPENDENT = auto()  # nobody


class NatPorts(Enum):
    """Which external port a new mapping takes (RFC 4787 §4.2)."""

    PRESERVED = auto()  # the internal one, unless it is taken
    RANDOM = auto()
    SEQUENTIAL = auto()  # one more than the mapping before


@dataclass(frozen=True, slots=True)
class NatKind:
    """How one NAT behaves.

    Attributes:
        accepts_input: a packet that is let in by no mapping is for the router itself: it answers a SYN with a reset,
            and remembers the sender, so that a mapping towards that sender has to take another port.  Otherwise such
            packets are dropped and forgotten.
        blocks_udp: no UDP passes in either direction.
        hairpins: hosts behind it reach each other at their external addresses, and see these (RFC 4787 §6).
    """

    mapping: NatMapping = NatMapping.ENDPOINT_INDEPENDENT
    filtering: NatFiltering = NatFiltering.ADDRESS_AND_PORT_DEPENDENT
    ports: NatPorts = NatPorts.PRESERVED
    accepts_input: bool = False
    blocks_udp: bool = False
    hairpins: bool = False


_SYMMETRIC = NatMapping.ADDRESS_AND_PORT_DEPENDENT
_PORT_RESTRICTED = NatKind()

# By the names that tests and tables use: the NATs between a host and the internet, the host's own first.
NATS: Mapping[str, tuple[NatKind, ...]] = MappingProxyType(
    {
        "none": (),
        "full_cone": (NatKind(filtering=NatFiltering.ENDPOINT_INDEPENDENT, hairpins=True),),
        "address_restricted": (NatKind(filtering=NatFiltering.ADDRESS_DEPENDENT),),
        "port_restricted": (_PORT_RESTRICTED,),
        "port_restricted_accepting": (NatKind(accepts_input=True),),
        "symmetric": (NatKind(_SYMMETRIC, ports=NatPorts.RANDOM),),
        "symmetric_sequential": (NatKind(_SYMMETRIC, ports=NatPorts.SEQUENTIAL),),
        "double": (_PORT_RESTRICTED, _PORT_RESTRICTED),
        "udp_blocked": (NatKind(blocks_udp=True),),
    }
)
