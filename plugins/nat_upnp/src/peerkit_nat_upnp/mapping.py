"""The words of port mapping, whatever the protocol: what is wanted, what was granted, and when to renew it."""

from dataclasses import dataclass
from typing import Protocol

from peerkit.address import Address
from peerkit.errors import TransportError
from peerkit.event import Event

UDP, TCP = 17, 6  # IANA protocol numbers
PERMANENT_S = 0  # UPnP: a mapping that does not end by itself
LEAST_RENEW_S = 1.0  # a router that grants nothing must not keep us busy
RETRY_SHARE = 0.25  # of what is left of a lease, after a renewal failed


class MappingFailed(TransportError):
    """The router did not do what was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Attributes:
    protocol: `UDP` or `TCP`.
    internal: where our listener is reached from the router: numeric host, real port.
    """

    protocol: int
    internal: Address

    @property
    def ip_version(self) -> int:
        return 6 if ":" in self.internal.host else 4


@dataclass(frozen=True, slots=True)
class Granted:
    """Attributes:
    host: the external address as the router says it, not yet believed.
    lifetime_s: `PERMANENT_S` where the router knows no leases.
    handle: what its protocol needs to find it again.
    """

    host: str
    port: int
    lifetime_s: int
    handle: str = ""


class Mapper(Protocol):
    """One protocol towards one router.  Every method raises `MappingFailed`."""

    @property
    def name(self) -> str: ...

    async def probe(self) -> None:
        """Find out whether the router speaks this; makes no mapping."""
        ...

    async def map(self, wanted: Wanted, before: Granted | None, lease_s: int) -> Granted:
        """Make a mapping, or with `before` renew it, maybe at another port."""
        ...

    async def unmap(self, wanted: Wanted, granted: Granted) -> None: ...

    async def is_kept(self, wanted: Wanted, granted: Granted) -> bool:
        """Whether the router still has it."""
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


@dataclass(slots=True)
class Lease:
    """A mapping in force.

    Attributes:
        renew_at, expires_at: of `Clock.now`.
    """

    wanted: Wanted
    granted: Granted
    renew_at: float
    expires_at: float

    @classmethod
    def begin(cls, wanted: Wanted, granted: Granted, asked_s: int, now: float) -> "Lease":
        """Renewed at half (RFC 6886 §3.7, RFC 6887 §11.2.1).  What a router says beyond what was asked is not
        believed; a permanent mapping is repeated as if it had a lease, so that it is found missing in time."""
        lifetime_s = min(granted.lifetime_s or asked_s, asked_s)
        renew_at = now + max(LEAST_RENEW_S, lifetime_s / 2)
        return cls(wanted, granted, renew_at, now + max(lifetime_s, LEAST_RENEW_S))

    def renewal_failed(self, now: float) -> None:
        self.renew_at = now + max(LEAST_RENEW_S, (self.expires_at - now) * RETRY_SHARE)


@dataclass(frozen=True, slots=True)
class PortMapped(Event):
    """The router forwards a port to us."""

    internal: str
    external: str
    protocol: str


@dataclass(frozen=True, slots=True)
class PortMappingLost(Event):
    """The router no longer does."""

    internal: str
    external: str
    reason: str
