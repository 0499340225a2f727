"""One way between the two ends, and what is known about it: round trip, window, largest datagram, and whether the
peer can be reached there at all.

A path is *proven* when the peer has answered a challenge on it, or when the handshake ran over it.  Until then no more
bytes go there than came from there (PROTOCOL §2), so that a false source address gains nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

from peerkit.address import Address
from peerkit.transport import DatagramEndpoint

from .congestion import CongestionController, Pacer, PathMtu, RttEstimator


class Route(NamedTuple):
    """Where a batch came from or goes to."""

    endpoint: DatagramEndpoint
    local: Address | None
    remote: Address


@dataclass(slots=True)
class PathState:
    """Attributes:
    in_flight: bytes sent here and neither acknowledged nor lost.
    received_bytes, sent_bytes: counted until the path is proven.
    challenge: bytes whose echo proves the path, empty when none is asked for.
    challenged_at, challenges: when it was last sent, and how often.
    is_app_limited: nothing to send the last time that the window had room.
    sent_packets, lost_packets: decayed counts, for the share that was lost lately.
    """

    route: Route
    controller: CongestionController
    rtt: RttEstimator
    pacer: Pacer
    mtu: PathMtu
    peer_id: int
    is_proven: bool
    in_flight: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    challenge: bytes = b""
    challenged_at: float = 0.0
    challenges: int = 0
    is_app_limited: bool = True
    sent_packets: float = 0.0
    lost_packets: float = 0.0

    @property
    def allowance(self) -> int:
        """Bytes that may be sent there now for fear of a false address."""
        return 1 << 62 if self.is_proven else max(self.received_bytes - self.sent_bytes, 0)

    @property
    def loss(self) -> float:
        """Share of what was sent lately that was lost."""
        return self.lost_packets / self.sent_packets if self.sent_packets >= 1 else 0.0

    def count_sent(self, packets: int) -> None:
        self.sent_packets += packets
        if self.sent_packets > 2_000:  # guess: the share is of about the last thousand
            self.sent_packets /= 2
            self.lost_packets /= 2
