"""Who may do what: the questions that the kernel's one gate asks, and what a trust policy answers.

A policy is synchronous and in memory: it runs on the accept path, so one that blocks would stall every other peer.
Deny wins; `None` abstains; when all abstain the profile's default counts; an exception is a deny.  The gate is final:
no session, stream or stored record exists that it refused.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .address import Address
from .identity import PeerId


class Action(Enum):
    """What somebody wants to do."""

    DIAL = "dial"  # we to them; the peer id may be unknown yet
    ACCEPT_ADDRESS = "accept_address"  # a connection came in; only its address is known
    ACCEPT_PEER = "accept_peer"  # its handshake proved the peer id
    OPEN_PROTOCOL = "open_protocol"  # it opens a stream of a protocol
    STORE = "store"  # it asks us to keep something
    LOOKUP = "lookup"  # it asks what we know
    RELAY = "relay"  # it asks us to carry its traffic


@dataclass(frozen=True, slots=True)
class Question:
    """One question.  Fields that are not known at that moment are `None`."""

    action: Action
    peer_id: PeerId | None = None
    address: Address | None = None
    protocol: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A policy's word, with a reason a person can read."""

    allow: bool
    reason: str


class TrustPolicy(Protocol):
    """Decides.  Called on the event loop, often; must return at once, keep its state in memory and never await.  Asking
    is no act: the same question at the same moment has the same answer, whoever else is asked about in between."""

    @property
    def name(self) -> str: ...

    def decide(self, question: Question) -> Verdict | None:
        """`None` abstains."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided and why; the most recent ones are kept and can be listed."""

    question: Question
    allow: bool
    policy: str  # the name of the policy that decided, or "default"
    reason: str
    at: float  # Clock.now
