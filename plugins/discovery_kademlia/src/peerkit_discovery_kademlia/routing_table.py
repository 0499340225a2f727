"""The routing table: whom we know, by nearness.

32 buckets by common-prefix length, k entries each.  Input: peers that a completed handshake proved (`reached`), peers
that failed (`missed`), peers that we only met (`met`).  Output: the k nearest to a key, what to ask about being alive.
It sends nothing; the schedule of pings is `liveness.py`.

    stranger ──met──▶ replacement ──reached──▶ entry ──missed ×3──▶ gone, the newest replacement is probed

Rules and the attack that each one answers:
- an entry needs our own probe: nobody enters by being named by a third party (table poisoning);
- a full bucket keeps its old live entries: newcomers, however many, push nobody out (eclipse by flooding);
- per /24 (IPv6 /56) 2 entries per bucket and 10 in the table, local addresses exempt (Sybils from few machines);
- clients never enter: they would make answers useless.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter

from peerkit.record import PeerRecord

from .diversity import MAX_PER_BUCKET, MAX_PER_TABLE, Neighbourhood, PrefixCount
from .keys import BUCKETS, bucket_of, key_of_peer

K = 20
MAX_MISSES = 3
MAX_REPLACEMENTS = 10  # per bucket: a flood of strangers costs at most 320 records of 1 KiB
_DISTANCE = itemgetter(0)


class Outcome(Enum):
    """What became of a peer that we reached."""

    ADDED = "added"
    UPDATED = "updated"  # it was an entry already
    FULL = "full"  # the bucket is full of live entries: kept as a replacement
    CROWDED = "crowded"  # too many of its prefix
    REFUSED = "refused"  # ourselves, or a client


@dataclass(slots=True, eq=False)
class Entry:
    """One peer of the table.

    Attributes:
        key: its place.
        wire: its record as it came, to pass on without encoding it again.
        where: the neighbourhood it was reached in.
        reached_at: when it last proved itself, `Clock.now`.
        checked_at: when it last was reached or tried; the liveness schedule goes by it.
        joined_at: when it entered the table; older live entries are worth more (they live longer).
        is_dialled: we opened a session to one of its addresses; otherwise it came to us from one.
        misses: failures since it was last reached.
    """

    key: int
    record: PeerRecord
    wire: bytes
    where: Neighbourhood
    reached_at: float
    checked_at: float
    joined_at: float
    is_dialled: bool
    misses: int = 0


class _Bucket:
    __slots__ = ("entries", "prefixes", "replacements")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.prefixes = PrefixCount(MAX_PER_BUCKET)
        self.replacements: OrderedDict[bytes, PeerRecord] = OrderedDict()


class RoutingTable:
    """Args:
    own_id: the node's own raw peer id.
    k: entries per bucket.
    """

    def __init__(self, own_id: bytes, k: int = K) -> None:
        self.own_id = own_id
        self.own_key = key_of_peer(own_id)
        self.k = k
        self.version = 0  # changes with membership
        self._buckets = [_Bucket() for _ in range(BUCKETS)]
        self._by_id: dict[bytes, Entry] = {}
        self._prefixes = PrefixCount(MAX_PER_TABLE)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._by_id.values()))

    def get(self, peer_id: bytes) -> Entry | None:
        return self._by_id.get(peer_id)

    def bucket(self, index: int) -> tuple[Entry, ...]:
        """The entries of one bucket, oldest first."""
        return tuple(self._buckets[index].entries)

    def reached(self, record: PeerRecord, where: Neighbourhood, now: float, is_dialled: bool) -> Outcome:
        """A handshake with this peer completed (or it answered on a session).

        Args:
            record: its own, verified record.
            where: of the address that it was reached at.
        """
        raw = record.peer_id.raw
        entry = self._by_id.get(raw)
        if entry is not None:
            return self._refresh(entry, record, where, now, is_dialled)
        if record.is_client or raw == self.own_id:
            return Outcome.REFUSED
        key = key_of_peer(raw)
        bucket = self._buckets[bucket_of(self.own_key, key)]
        if not (bucket.prefixes.has_room(where) and self._prefixes.has_room(where)):
            return Outcome.CROWDED
        if len(bucket.entries) >= self.k:
            worst = max(bucket.entries, key=lambda e: e.misses)
            if not worst.misses:
                self._remember(bucket, raw, record)
                return Outcome.FULL
            self._drop(worst)  # a live peer is worth more than one that does not answer
        entry = Entry(key, record, record.to_bytes(), where, now, now, now, is_dialled)
        bucket.entries.append(entry)
        bucket.prefixes.add(where)
        bucket.replacements.pop(raw, None)
        self._prefixes.add(where)
        self._by_id[raw] = entry
        self.version += 1
        return Outcome.ADDED

    def _refresh(self, entry: Entry, record: PeerRecord, where: Neighbourhood, now: float, is_dialled: bool) -> Outcome:
        entry.reached_at = entry.checked_at = now
        entry.misses = 0
        entry.is_dialled = entry.is_dialled or is_dialled
        if record is not entry.record and record.sequence > entry.record.sequence:
            if record.is_client:
                self._drop(entry)
                return Outcome.REFUSED
            entry.record, entry.wire = record, record.to_bytes()
        if where != entry.where:
            bucket = self._buckets[bucket_of(self.own_key, entry.key)]
            self._count(bucket, entry.where, -1)
            if not (bucket.prefixes.has_room(where) and self._prefixes.has_room(where)):
                self._count(bucket, entry.where, +1)  # it moved into a crowd: its old place keeps counting
                return Outcome.UPDATED
            self._count(bucket, where, +1)
            entry.where = where
        return Outcome.UPDATED

    def met(self, record: PeerRecord) -> None:
        """A peer that we did not probe: perhaps a replacement some day.  Verified records only."""
        raw = record.peer_id.raw
        if not record.is_client and raw != self.own_id and raw not in self._by_id:
            self._remember(self._buckets[bucket_of(self.own_key, key_of_peer(raw))], raw, record)

    def missed(self, peer_id: bytes, now: float) -> bool:
        """A probe failed.  `True`: it was the third in a row, and the peer is gone."""
        entry = self._by_id.get(peer_id)
        if entry is None:
            return False
        entry.misses += 1
        entry.checked_at = now
        if entry.misses < MAX_MISSES:
            return False
        self._drop(entry)
        return True

    def forget_expired(self, now_wall: float) -> None:
        """Drop entries whose record ran out: nobody would take it from us."""
        for entry in self:
            if entry.record.expires_at <= now_wall:
                self._drop(entry)

    def closest(self, key: int, count: int) -> list[Entry]:
        """The entries nearest to `key`, nearest first.  Equals sorting the whole table (a property test says so).

        Bucket b of the key holds what shares more than b bits with it, all nearer buckets of ours share exactly b,
        then each farther one shares its own number: the groups come in the order of distance and only they are sorted.
        """
        buckets = self._buckets
        home = bucket_of(self.own_key, key)
        found = _by_distance(buckets[home].entries, key)
        if len(found) < count:
            found += _by_distance([e for bucket in buckets[home + 1 :] for e in bucket.entries], key)
        while len(found) < count and home > 0:
            home -= 1
            found += _by_distance(buckets[home].entries, key)
        return found[:count]

    def replacement_for(self, index: int) -> PeerRecord | None:
        """The newest stranger of a bucket with room, taken out: probe it."""
        bucket = self._buckets[index]
        if not bucket.replacements or len(bucket.entries) >= self.k:
            return None
        return bucket.replacements.popitem()[1]

    @property
    def depth(self) -> int:
        """The last bucket that is not empty (0 when all are); beyond it the network has nobody."""
        return max((i for i, bucket in enumerate(self._buckets) if bucket.entries), default=0)

    def sizes(self) -> list[tuple[int, int, int]]:
        """(bucket, entries, replacements) of every bucket that holds something."""
        return [
            (i, len(b.entries), len(b.replacements)) for i, b in enumerate(self._buckets) if b.entries or b.replacements
        ]

    def _remember(self, bucket: _Bucket, raw: bytes, record: PeerRecord) -> None:
        bucket.replacements[raw] = record
        bucket.replacements.move_to_end(raw)
        if len(bucket.replacements) > MAX_REPLACEMENTS:
            bucket.replacements.popitem(last=False)

    def _drop(self, entry: Entry) -> None:
        bucket = self._buckets[bucket_of(self.own_key, entry.key)]
        bucket.entries.remove(entry)
        self._count(bucket, entry.where, -1)
        del self._by_id[entry.record.peer_id.raw]
        self.version += 1

    def _count(self, bucket: _Bucket, where: Neighbourhood, sign: int) -> None:
        for prefixes in (bucket.prefixes, self._prefixes):
            if sign > 0:
                prefixes.add(where)
            else:
                prefixes.remove(where)


def _by_distance(entries: Sequence[Entry], key: int) -> list[Entry]:
    """Nearest first."""
    ranked = [(entry.key ^ key, entry) for entry in entries]
    ranked.sort(key=_DISTANCE)  # in C
    return [entry for _, entry in ranked]
