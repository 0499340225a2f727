"""Which peers index a term: those nearest to its key, from as few lookups as possible.

A lookup that returns the k nearest peers of a key knows *all* peers of the key's neighbourhood: every peer that shares
more leading bits with the key than the farthest returned one does.  For any other key of that neighbourhood the nearest
peers are the same set in another order.  So a publisher of any number of terms needs about N / 8 lookups in a network
of N, and one in a network of at most k.

The order is recomputed here, with the position of a peer in the key space.  Should a routing plugin use another
position, its answers are not in our order; then each answer serves for its own key only.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from peerkit.identity import PeerId
from peerkit.record import PeerRecord

KEY_BITS = 256


def position(peer_id: PeerId) -> bytes:
    """Where `discovery_kademlia` sees a peer in the key space."""
    return hashlib.blake2b(peer_id.raw, digest_size=32).digest()


MIN_KNOWN = 4  # guess: with fewer sure peers a key is looked up by itself; the others of the 20 are nearly nearest
LIFE_S = 600.0  # guess: of a neighbourhood; a peer that left costs one failed request
SMALL_LIFE_S = 5.0  # guess: of a network of fewer than k peers, which may be growing this minute
MAX_REGIONS = 4096  # bounds memory to some 30 MB in a network of 40,000 peers


@dataclass(frozen=True, slots=True)
class _Region:
    records: tuple[PeerRecord, ...]
    positions: tuple[int, ...]
    until: float


class Placement:
    """A cache of lookups by region of the key space.

    Args:
        position: where a peer stands in the key space (32 bytes).
    """

    def __init__(self, position: Callable[[PeerId], bytes]) -> None:
        self._position = position
        self._regions: OrderedDict[tuple[int, int], _Region] = OrderedDict()
        self._depths: dict[int, int] = {}

    def learn(self, key: bytes, nearest: Sequence[PeerRecord], is_everyone: bool, now: float) -> None:
        """Remember a lookup's answer, nearest first; `is_everyone` when the network has no more peers.  That nobody was
        found is not remembered: we may have joined a moment later."""
        if not nearest:
            return
        target = int.from_bytes(key, "big")
        positions = tuple(int.from_bytes(self._position(record.peer_id), "big") for record in nearest)
        distances = [target ^ position for position in positions]
        depth = KEY_BITS
        life_s = LIFE_S
        if is_everyone:
            depth, life_s = 0, SMALL_LIFE_S
        elif distances == sorted(distances):
            shared = KEY_BITS - distances[-1].bit_length()  # leading bits that the farthest shares with the key
            if sum(KEY_BITS - distance.bit_length() > shared for distance in distances) >= MIN_KNOWN:
                depth = min(shared + 1, KEY_BITS)
        region = (depth, target >> (KEY_BITS - depth))
        if self._regions.pop(region, None) is None:
            self._depths[depth] = self._depths.get(depth, 0) + 1
        self._regions[region] = _Region(tuple(nearest), positions, now + life_s)
        if len(self._regions) > MAX_REGIONS:
            self._drop(next(iter(self._regions)))

    def find(self, key: bytes, now: float) -> tuple[PeerRecord, ...] | None:
        """The nearest peers, nearest first; `None` when a lookup is needed."""
        target = int.from_bytes(key, "big")
        for depth in sorted(self._depths, reverse=True):
            place = (depth, target >> (KEY_BITS - depth))
            region = self._regions.get(place)
            if region is None:
                continue
            if region.until <= now:
                self._drop(place)
                continue
            if depth == KEY_BITS:
                return region.records
            order = sorted(range(len(region.records)), key=lambda i: region.positions[i] ^ target)
            return tuple(region.records[i] for i in order)
        return None

    def is_small(self, now: float) -> bool:
        """Whether one region covers the whole key space."""
        everything = self._regions.get((0, 0))
        return everything is not None and everything.until > now

    def forget_small(self) -> None:
        """Somebody came: "everyone" may be more now."""
        if (0, 0) in self._regions:
            self._drop((0, 0))

    def _drop(self, place: tuple[int, int]) -> None:
        del self._regions[place]
        self._depths[place[0]] -= 1
        if not self._depths[place[0]]:
            del self._depths[place[0]]
