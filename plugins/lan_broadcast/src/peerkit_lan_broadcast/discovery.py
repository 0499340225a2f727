"""When to send beacons, and what to make of those that come in.  Sans-IO.

    receive_datagram ──▶ length · hop limit 255 · on-link source · MAC ──▶ Neighbours ──▶ CandidateHeard
    handle_timer ──▶ due? ──▶ datagrams_to_send: one beacon for each IP version in which we listen

    LONELY: no member in the pool, a beacon every 10 s      ──set_lonely(False)──▶
    SETTLED: every 10 min                                   ◀──set_lonely(True)───   with a beacon at once

What is not accepted is counted and dropped, and never answered: a beacon costs whoever sends it more than us.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from peerkit.address import Address
from peerkit.clock import Rng
from peerkit.errors import RemoteProtocolError
from peerkit.link import HOP_LIMIT, LinkDatagram

from .beacon import RANDOM_BYTES, Beacon
from .listener_choice import announced
from .neighbours import Neighbours
from .settings import LanSettings

IP_VERSIONS = (4, 6)
JITTER = 0.2  # of an interval, both ways: the nodes of a LAN that got power together must not speak together
AT_ONCE_S = 1.0  # what "at once" is drawn from, for the same reason
OWN_REMEMBERED = 64  # beacons of ours that may still come back


@dataclass(slots=True)
class Counters:
    """Attributes:
    sent: beacons.
    accepted: beacons of neighbours.
    routed: a hop limit other than 255, or a source that is not of the link.
    refused: no beacon, or not of this network.
    """

    sent: int = 0
    accepted: int = 0
    routed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class CandidateHeard:
    """A neighbour that was not known before."""

    address: Address


class LanDiscovery:
    """Args:
    key: of the network, 32 bytes.
    """

    def __init__(self, key: bytes, settings: LanSettings, rng: Rng, now: float) -> None:
        self._key = key
        self._settings = settings
        self._rng = rng
        self._neighbours = Neighbours(rng)
        self._bound: Sequence[Address] = ()
        self._is_lonely = True
        self._due_at = now + rng.uniform(0.0, AT_ONCE_S)
        self._is_due = False
        self._own: deque[bytes] = deque(maxlen=OWN_REMEMBERED)
        self._events: deque[CandidateHeard] = deque()
        self.counters = Counters()

    @property
    def candidates(self) -> int:
        """Neighbours that wait to be dialled."""
        return len(self._neighbours)

    def listen_on(self, bound: Sequence[Address]) -> None:
        """Where our listeners are bound: what to announce."""
        self._bound = tuple(bound)

    def set_lonely(self, is_lonely: bool, now: float) -> None:
        """Whether the pool has no member."""
        if is_lonely == self._is_lonely:
            return
        self._is_lonely = is_lonely
        self._due_at = now + (self._rng.uniform(0.0, AT_ONCE_S) if is_lonely else self._interval_s())

    def links_changed(self, now: float) -> None:
        """There is a link on which nobody has heard us yet."""
        self._due_at = min(self._due_at, now + self._rng.uniform(0.0, AT_ONCE_S))

    def receive_datagram(self, datagram: LinkDatagram, now: float, wall: float) -> None:
        if datagram.hop_limit not in (HOP_LIMIT, -1) or not datagram.is_on_link:
            self.counters.routed += 1
            return
        try:
            beacon = Beacon.from_bytes(datagram.data, self._key, wall)
        except RemoteProtocolError:
            self.counters.refused += 1
            return
        if beacon.random in self._own:
            return
        self.counters.accepted += 1
        address = Address(beacon.transport, datagram.source.host, beacon.port)
        if self._neighbours.heard(address, now):
            self._events.append(CandidateHeard(address))

    def handle_timer(self, now: float) -> None:
        if now >= self._due_at:
            self._is_due = True
            self._due_at = now + self._interval_s()

    def next_timer(self) -> float:
        return self._due_at

    def next_event(self) -> CandidateHeard | None:
        return self._events.popleft() if self._events else None

    def datagrams_to_send(self, wall: float) -> Sequence[tuple[int, bytes]]:
        """(IP version, beacon), each for every link."""
        if not self._is_due:
            return ()
        self._is_due = False
        found = []
        for version in IP_VERSIONS:
            listener = announced(self._bound, version)
            if listener is not None:
                beacon = Beacon(listener.scheme, listener.port, self._rng.randbytes(RANDOM_BYTES))
                self._own.append(beacon.random)
                found.append((version, beacon.to_bytes(self._key, wall)))
        self.counters.sent += len(found)
        return found

    def take(self, count: int, now: float, is_known: Callable[[Address], bool]) -> Collection[Address]:
        """Whom to dial; see `Neighbours.take`."""
        return self._neighbours.take(count, now, is_known)

    def _interval_s(self) -> float:
        interval_s = self._settings.lonely_interval_s if self._is_lonely else self._settings.interval_s
        return interval_s * self._rng.uniform(1 - JITTER, 1 + JITTER)
