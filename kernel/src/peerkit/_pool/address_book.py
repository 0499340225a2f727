"""The peers that this node knows: their newest signed records, and how it went the last time.

Bounded: the records that were never reached go first, then the oldest successes.  Not here: the disk.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from ..identity import PeerId
from ..record import PeerRecord

MAX_RECORDS = 4096  # ≈ 4 MiB; stops strangers from filling our memory with made-up peers


class AddressBook:
    """Args:
    own: makes our own current record.
    on_collision: called when somebody else publishes under our own id.
    """

    def __init__(self, own: Callable[[], PeerRecord], on_collision: Callable[[PeerRecord], None]) -> None:
        self._own = own
        self._on_collision = on_collision
        self._records: OrderedDict[PeerId, PeerRecord] = OrderedDict()
        self._reached: dict[PeerId, float] = {}
        self.changed: set[PeerId] = set()

    def get(self, peer_id: PeerId) -> PeerRecord | None:
        return self._records.get(peer_id)

    def own(self) -> PeerRecord:
        return self._own()

    def records(self) -> Sequence[PeerRecord]:
        return tuple(self._records.values())

    def add(self, record: PeerRecord) -> bool:
        """Keep a verified record that is newer than what we have.  Of our own id only its collision is noticed."""
        own = self._own()
        if record.peer_id == own.peer_id:
            if record.sequence > own.sequence or (record.sequence == own.sequence and record.signed != own.signed):
                self._on_collision(record)
            return False
        known = self._records.get(record.peer_id)
        if known is not None and known.sequence >= record.sequence:
            return False
        self._records[record.peer_id] = record
        self._records.move_to_end(record.peer_id)
        self.changed.add(record.peer_id)
        if len(self._records) > MAX_RECORDS:
            self._evict()
        return True

    def reached(self, peer_id: PeerId, now_wall: float) -> None:
        """A session with this peer was made."""
        if peer_id in self._records:
            self._reached[peer_id] = now_wall
            self.changed.add(peer_id)

    def recent(self, count: int) -> list[PeerRecord]:
        """The peers reached last, newest first."""
        order = sorted(self._reached, key=lambda peer: self._reached[peer], reverse=True)
        return [self._records[peer] for peer in order[:count] if peer in self._records]

    def forget_expired(self, now_wall: float) -> None:
        for peer_id in [p for p, record in self._records.items() if record.expires_at <= now_wall]:
            self._drop(peer_id)

    def restore(self, entries: Iterable[tuple[PeerRecord, float]]) -> None:
        """Records from the disk with when they were reached last (unix seconds, 0 = never)."""
        for record, reached in entries:
            if self.add(record) and reached:
                self._reached[record.peer_id] = reached
        self.changed.clear()

    def snapshot(self, peer_id: PeerId) -> tuple[bytes, float] | None:
        """What to write to the disk; `None`: remove it there."""
        record = self._records.get(peer_id)
        return (record.to_bytes(), self._reached.get(peer_id, 0.0)) if record is not None else None

    def _evict(self) -> None:
        never = next((p for p in self._records if p not in self._reached), None)
        self._drop(never if never is not None else min(self._reached, key=lambda peer: self._reached[peer]))

    def _drop(self, peer_id: PeerId) -> None:
        self._records.pop(peer_id, None)
        self._reached.pop(peer_id, None)
        self.changed.add(peer_id)
