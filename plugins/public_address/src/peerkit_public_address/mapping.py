"""Which kind of mapping lies between the shared UDP socket and the outside.  RFC 4787 §4.1, from peers' words.

Every observer's IP has one vote: two observers behind one IP may share a mapping without it being endpoint-independent.
A majority decides, so that one liar among honest observers changes nothing.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from peerkit.capabilities import NatMapping

MIN_OBSERVERS = 2  # fewer cannot differ
PAIR_WINDOW_S = 60.0  # guess: later on too many other mappings were made between two that we saw
MAX_GAP = 64  # guess: mappings that others made in between; of random ports 0.2 % lie so near


@dataclass(frozen=True, slots=True)
class Sighting:
    """From `observer`'s IP our socket was first seen at `host`:`port` at `first_at`."""

    observer: str
    host: str
    port: int
    first_at: float


@dataclass(frozen=True, slots=True)
class MappingVerdict:
    """`port_step` is 0 unless the mapping is `SYMMETRIC_SEQUENTIAL`."""

    mapping: NatMapping
    port_step: int = 0


UNKNOWN = MappingVerdict(NatMapping.UNKNOWN)


def classify(sightings: Sequence[Sighting], own_hosts: Collection[str], own_port: int) -> MappingVerdict:
    """Args:
    sightings: of one family, in the order of their `first_at`.
    own_hosts: numeric addresses of our interfaces.
    own_port: what the socket is bound to.
    """
    of_observer = {sighting.observer: sighting for sighting in sightings}  # the newest of each IP
    votes = sorted(of_observer.values(), key=lambda s: s.first_at)
    if not votes:
        return UNKNOWN
    (host, port), count = Counter((s.host, s.port) for s in votes).most_common(1)[0]
    is_majority = 2 * count > len(votes)
    if is_majority and host in own_hosts and port == own_port:
        return MappingVerdict(NatMapping.NONE)
    if len(votes) < MIN_OBSERVERS:
        return UNKNOWN
    if is_majority:
        return MappingVerdict(NatMapping.ENDPOINT_INDEPENDENT)
    step = _step(votes)
    return MappingVerdict(NatMapping.SYMMETRIC_SEQUENTIAL if step else NatMapping.SYMMETRIC, step)


def _step(votes: Sequence[Sighting]) -> int:
    """The distance from one mapping's port to the next one's; 0 when there is none.

    Mappings that others made in between widen a gap by whole steps, so the step is what divides all gaps.  Half of the
    neighbours in time must lie near each other: a liar spoils two of them.
    """
    pairs = [
        later.port - earlier.port
        for earlier, later in pairwise(votes)
        if later.first_at - earlier.first_at <= PAIR_WINDOW_S and later.host == earlier.host
    ]
    gaps = [gap for gap in pairs if 0 < abs(gap) <= MAX_GAP]
    if not gaps or 2 * len(gaps) < len(pairs):
        return 0
    rising = sum(1 if gap > 0 else -1 for gap in gaps)
    return math.gcd(*gaps) if rising >= 0 else -math.gcd(*gaps)
