"""What this plugin tells."""

from dataclasses import dataclass

from peerkit.event import Event
from peerkit.identity import PeerId


@dataclass(frozen=True, slots=True)
class Punched(Event):
    """A session moved from a relay to a direct path that we asked for."""

    peer_id: PeerId
    address: str  # of the peer, as we reach it now
    strategy: str
    attempts: int
    took_s: float


@dataclass(frozen=True, slots=True)
class PunchFailed(Event):
    """Nothing that could help did; the session stays on its relay."""

    peer_id: PeerId
    reason: str
    retry_in_s: float
