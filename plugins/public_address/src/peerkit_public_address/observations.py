"""Which addresses peers see us at: one table of the newest word of each observer.

An observer is believed about its own realm only: a peer on our local network says nothing of the internet's side, and
the other way round.  A word is forgotten after `max_age_s`, and everything is when our own network changes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from peerkit.address import Address
from peerkit.identity import PeerId

from .mapping import Sighting
from .prefixes import network_of

MAX_OBSERVERS = 64  # bounds memory; a flood of Sybils pushes out others of their own network first
CONFIRMING_NETWORKS = 4  # go-libp2p's ActivationThresh; a liar needs addresses in as many providers' networks


@dataclass(frozen=True, slots=True)
class Observation:
    """One observer's word.

    Attributes:
        network: what the observer counts as (`network_of`).
        where: the observer's own address, as we see it.
        host, port: where it sees us; port 0 when it told only of an IP (a session over a pipe).
        first_at, at: when it first said so, and when last.
    """

    observer: PeerId
    network: str
    where: Address
    host: str
    port: int
    first_at: float
    at: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address of ours and how many networks vouch for it."""

    host: str
    port: int
    witnesses: int
    at: float

    @property
    def is_confirmed(self) -> bool:
        return self.witnesses >= CONFIRMING_NETWORKS


class Observations:
    """Args:
    max_age_s: how long a word counts.
    """

    def __init__(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s
        self._known: dict[tuple[PeerId, bool, int], Observation] = {}  # the last one learnt is the last entry

    def __len__(self) -> int:
        return len(self._known)

    def add(self, observer: PeerId, where: Address, seen: Address, is_datagram: bool, now: float) -> bool:
        """Take an observer's word; `False`: it speaks of a realm that is not its own, or of nothing.

        Args:
            where: the observer's address, as we see it.
            seen: where it sees us.
            is_datagram: whether it saw the shared datagram socket; otherwise its port means nothing.
        """
        ip = seen.ip
        if ip is None or ip.is_unspecified or ip.is_multicast or seen.is_local is not where.is_local:
            return False
        port = seen.port if is_datagram else 0
        if is_datagram and not port:
            return False
        key = (observer, is_datagram, ip.version)
        old = self._known.pop(key, None)
        is_same = old is not None and (old.host, old.port) == (str(ip), port)
        first_at = old.first_at if is_same and old is not None else now
        self._known[key] = Observation(observer, network_of(observer, where), where, str(ip), port, first_at, now)
        if len(self._known) > MAX_OBSERVERS:
            self._evict()
        return True

    def _evict(self) -> None:
        """The oldest word of the network that has most of them."""
        crowds = Counter(o.network for o in self._known.values())
        most = max(crowds.values())
        oldest = next(key for key, o in self._known.items() if crowds[o.network] == most)
        del self._known[oldest]

    def knows(self, observer: PeerId, since: float) -> bool:
        """Whether that peer has spoken at or after `since`."""
        return any(o.observer == observer and o.at >= since for o in self._known.values())

    def forget(self) -> None:
        """Our own network changed: nothing that was seen holds any more."""
        self._known.clear()

    def expire(self, now: float) -> None:
        for key in [key for key, o in self._known.items() if o.at + self._max_age_s <= now]:
            del self._known[key]

    def all(self) -> tuple[Observation, ...]:
        return tuple(self._known.values())

    def endpoints(self) -> list[Candidate]:
        """External addresses of the shared datagram sockets, most witnesses first, then the newest."""
        return _ranked((o, o.port) for o in self._known.values() if o.port)

    def hosts(self) -> list[Candidate]:
        """External IPs, whatever the port (which is 0 here), in the same order."""
        return _ranked((o, 0) for o in self._known.values())

    def sightings(self, version: int) -> list[Sighting]:
        """What `mapping.classify` needs, of IPv4 or IPv6, in the order in which the mappings were first seen.  Those of
        the internet's side if there are any, else those of the local network."""
        of_version = [o for o in self._known.values() if o.port and (":" in o.host) == (version == 6)]
        outside = [o for o in of_version if not o.where.is_local]
        chosen = sorted(outside or of_version, key=lambda o: o.first_at)
        return [Sighting(o.where.host, o.host, o.port, o.first_at) for o in chosen]


def _ranked(observations: Iterable[tuple[Observation, int]]) -> list[Candidate]:
    networks: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    newest: dict[tuple[str, int], float] = {}
    for observation, port in observations:
        key = (observation.host, port)
        networks[key].add(observation.network)
        newest[key] = max(newest.get(key, observation.at), observation.at)
    found = [Candidate(*key, len(networks[key]), at) for key, at in newest.items()]
    return sorted(found, key=lambda c: (-c.witnesses, -c.at))
