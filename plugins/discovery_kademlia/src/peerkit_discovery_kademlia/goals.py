"""What a lookup may look for on its way: a peer, providers, a value, entries of a bucket.  Pure; each is a
`lookup.Goal`.

Everything in an answer is checked here before it counts; what fails its check is counted and dropped, and the lookup
goes on.
"""

from collections.abc import Callable

from peerkit.errors import RemoteProtocolError
from peerkit.identity import PeerId
from peerkit.record import PeerRecord

from .announcement import read_announcement
from .codec import Answer
from .keys import key_of_peer, to_bytes
from .lookup import Records
from .namespaces import Checked, Namespace, check_value
from .routing_table import RoutingTable

BETA = 3  # peers that must agree on the newest mutable value before a lookup ends early
MAX_PROVIDERS_CHECKED = 512  # of one lookup; liars could otherwise make us check signatures for ever (54 µs each)


class PeerGoal:
    """One peer's own record: among the nodes of an answer, or stored at its key.

    Attributes:
        found: verified; `None` until then.
    """

    def __init__(self, peer: PeerId, records: Records, network_id: bytes, now_wall: float) -> None:
        self.found: PeerRecord | None = None
        self._peer = peer
        self._key = to_bytes(key_of_peer(peer.raw))
        self._records = records
        self._network_id = network_id
        self._now_wall = now_wall

    def take(self, peer: PeerId, answer: Answer) -> bool:
        for wire in (*answer.nodes, answer.value) if answer.value else answer.nodes:
            record = self._records.read(wire)
            if record is None or record.peer_id != self._peer or not self._records.verify(record):
                continue
            if self.found is None or record.sequence > self.found.sequence:
                self.found = record
        return self.found is not None


class ProviderGoal:
    """Providers of a key.

    Args:
        on_found: called with each one's verified record, once.
        limit: enough of them end the lookup.

    Attributes:
        dropped: provider records that failed their check.
    """

    def __init__(
        self,
        key: bytes,
        own: PeerId,
        records: Records,
        network_id: bytes,
        now_wall: float,
        limit: int,
        on_found: Callable[[PeerRecord], None],
    ) -> None:
        self.dropped = 0
        self._key = key
        self._records = records
        self._network_id = network_id
        self._now_wall = now_wall
        self._limit = limit
        self._on_found = on_found
        self._found: set[PeerId] = {own}
        self._checked = 0

    @property
    def found(self) -> int:
        return len(self._found) - 1

    def take(self, peer: PeerId, answer: Answer) -> bool:
        for provider in answer.providers:
            record = self._records.read(provider.record) if provider.record else None
            if record is None or record.peer_id in self._found or self._checked >= MAX_PROVIDERS_CHECKED:
                continue
            self._checked += 1
            try:
                announced = read_announcement(provider.announcement, self._network_id, self._now_wall, record.peer_id)
            except RemoteProtocolError:
                self.dropped += 1
                continue
            if announced.key != self._key or not self._records.verify(record):
                self.dropped += 1
                continue
            self._found.add(record.peer_id)
            self._on_found(record)
            if self.found >= self._limit:
                break
        return self.found >= self._limit


class ValueGoal:
    """The value under a key: the first that fits, or of mutable ones the newest that β peers agree on.

    Attributes:
        value: the best so far, empty until then.
        dropped: values that failed their check.
    """

    def __init__(self, namespace: int, key: bytes, network_id: bytes, now_wall: float) -> None:
        self.value = b""
        self.dropped = 0
        self._namespace = namespace
        self._key = key
        self._network_id = network_id
        self._now_wall = now_wall
        self._best: Checked | None = None
        self._agreeing = 0

    def take(self, peer: PeerId, answer: Answer) -> bool:
        if not answer.value:
            return False
        if answer.value == self.value:
            self._agreeing += 1
        else:
            try:
                checked = check_value(self._namespace, self._key, answer.value, self._network_id, self._now_wall)
            except RemoteProtocolError:
                self.dropped += 1
                return False
            if self._best is None or checked.sequence > self._best.sequence:
                self._best, self.value, self._agreeing = checked, answer.value, 1
        return self._namespace == Namespace.IMMUTABLE or self._agreeing >= BETA


class BucketGoal:
    """Enough entries in one bucket of the table; who answers enters it before this is asked."""

    def __init__(self, table: RoutingTable, index: int, wanted: int) -> None:
        self._table = table
        self._index = index
        self._wanted = wanted

    def take(self, peer: PeerId, answer: Answer) -> bool:
        return len(self._table.bucket(self._index)) >= self._wanted
