"""What can be tried between two peers, what cannot help, and what each side does in it.

                      A, the side that asks                    B, the side that answers
    PLAIN             probes at once                           opens with a short-lived probe, then probes
    SWAPPED           opens, then probes                       probes first; both also probe predicted ports
    STREAM            both connect over TCP from the ports that the coordinator sees (RFC 9293 §3.5)
    BIRTHDAY          the side whose mapping is symmetric probes from many sockets to the one known port of the other,
                      which probes many ports: the two meet as birthdays do

Source: Ford, Srisuresh, Kegel, "Peer-to-Peer Communication Across NATs" (2005); RFC 4787 for the words; the birthday
figures are in `docs/decisions/hole-punching.md`.
"""

from dataclasses import dataclass
from enum import Enum

from peerkit.address import Address
from peerkit.capabilities import NatFiltering, NatMapping

SYMMETRIC = (NatMapping.SYMMETRIC, NatMapping.SYMMETRIC_SEQUENTIAL)


class Strategy(Enum):
    """In the order in which they are tried; the values go over the wire."""

    PLAIN = 1
    SWAPPED = 2
    STREAM = 3
    BIRTHDAY = 4

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def scheme(self) -> str:
        """Of the addresses at which it aims: a coordinator must see both sides there."""
        return "tcp" if self is Strategy.STREAM else "udp"


_WORDS = {
    Strategy.PLAIN: "probes from both sides at once",
    Strategy.SWAPPED: "roles swapped, predicted ports",
    Strategy.STREAM: "a TCP simultaneous open",
    Strategy.BIRTHDAY: "birthday probing",
}
ORDER = (Strategy.PLAIN, Strategy.SWAPPED, Strategy.STREAM, Strategy.BIRTHDAY)


@dataclass(frozen=True, slots=True)
class Nat:
    """What one side knows of the routers before it, and where peers behind the same router find it."""

    mapping: NatMapping = NatMapping.UNKNOWN
    filtering: NatFiltering = NatFiltering.UNKNOWN
    port_step: int = 0
    private_addresses: tuple[Address, ...] = ()

    @property
    def is_symmetric(self) -> bool:
        return self.mapping in SYMMETRIC

    @property
    def is_predictable(self) -> bool:
        return self.mapping is NatMapping.SYMMETRIC_SEQUENTIAL and self.port_step != 0

    @property
    def lets_any_port_in(self) -> bool:
        """Whether an address that we sent to may answer from another port."""
        return self.filtering in (NatFiltering.ENDPOINT_INDEPENDENT, NatFiltering.ADDRESS_DEPENDENT)


def why_not(strategy: Strategy, ours: Nat, theirs: Nat | None) -> str:
    """Why a strategy cannot lead to a direct path, as a clause; empty when it may.

    Args:
        theirs: `None` before the peer has told.
    """
    if theirs is None:
        is_first = strategy in (Strategy.PLAIN, Strategy.STREAM)  # over UDP, and for peers that have TCP alone
        return "" if is_first else "the peer has not told what is known of its router"
    match strategy:
        case Strategy.PLAIN:
            return ""  # what is known may be old
        case Strategy.SWAPPED:
            for nat, other in ((ours, theirs), (theirs, ours)):
                if nat.is_symmetric and not nat.is_predictable and not other.lets_any_port_in:
                    return "the ports of a symmetric mapping cannot be predicted"
            return ""
        case Strategy.BIRTHDAY:
            if ours.is_symmetric and theirs.is_symmetric:
                return "both sides map symmetrically, so that neither knows a port to aim at"
            if not ours.is_symmetric and not theirs.is_symmetric:
                return "neither side is known to map symmetrically"
            fixed = theirs if ours.is_symmetric else ours
            if fixed.lets_any_port_in:
                return "the side with the fixed port lets any port in, so that plain probes say as much"
            return ""
        case Strategy.STREAM:
            for nat, other in ((ours, theirs), (theirs, ours)):
                if nat.is_symmetric and not other.lets_any_port_in:
                    return "a symmetric mapping gives each connection another port"
            return ""


def verdict(ours: Nat, theirs: Nat | None) -> str:
    """After all failed: why, as far as the kinds of routers tell."""
    if theirs is None:
        return "no common peer could introduce us"
    if ours.is_symmetric and theirs.is_symmetric:
        return "both routers map symmetrically: a relay is the only way"
    if ours.is_symmetric or theirs.is_symmetric:
        side = "our" if ours.is_symmetric else "the peer's"
        return f"{side} router maps symmetrically, and birthday probing did not hit"
    return "nothing came through: a router or firewall on one side lets no answer in"
