"""What happened, told to whoever listens.  Typed, bounded; the most recent events are replayed to a late listener.

A plugin defines its own: a frozen dataclass that derives from `Event`, named in the past tense.  Fields are JSON
values, `PeerId` or `Address` (shown as text); `peerkit events --follow` shows every event by its class name.
"""

from dataclasses import dataclass, fields

from .address import Address
from .identity import PeerId


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    def as_json(self) -> dict[str, object]:
        """Field name → JSON value."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: str(v) if isinstance(v, PeerId | Address) else v for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    peer_id: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeStopping(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class PeerConnected(Event):
    """A peer joined the pool (a member session; transient ones give no event)."""

    peer_id: PeerId
    address: str
    direction: str  # "in" or "out"
    transport: str
    protocols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerDisconnected(Event):
    peer_id: PeerId
    reason: str
    by_peer: bool


@dataclass(frozen=True, slots=True)
class SessionPathsChanged(Event):
    """A session moved to another path, or its peer can be reached by more or fewer of them; also when a transient
    session begins over a relay."""

    peer_id: PeerId
    address: str  # of the active path
    kind: str  # "lan", "direct" or "relayed"
    paths: int


@dataclass(frozen=True, slots=True)
class DialFailed(Event):
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class CandidatesFound(Event):
    """A discovery has peers to propose that it had not when it was last asked: the pool asks again in its next turn,
    whatever its back-off says."""

    discovery: str
    candidates: int


@dataclass(frozen=True, slots=True)
class AddressesChanged(Event):
    """Our own listen addresses changed; the peer record was re-made."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustRefused(Event):
    """The gate said no."""

    action: str
    peer_id: str
    address: str
    policy: str
    reason: str


@dataclass(frozen=True, slots=True)
class PluginFailed(Event):
    """A plugin's code raised.  `restart_in_s` is −1 when it will not be restarted."""

    plugin: str
    where: str
    error: str
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class IdentityCollision(Event):
    """A record with our own id that we did not make: this identity runs somewhere else too."""

    sequence: int


@dataclass(frozen=True, slots=True)
class ContentShared(Event):
    """A file or folder is now offered.  Emitted by whichever plugin holds content; `listed` means: may be
    searchable."""

    content_id: str
    name: str
    size_bytes: int
    type: str
    listed: bool


@dataclass(frozen=True, slots=True)
class ContentUnshared(Event):
    content_id: str
    name: str
