"""A lookup along d paths that share no peer: one bad hop spoils one path, not the answer.

S/Kademlia (I. Baumgart, S. Mies, ICPADS 2007): the nearest known peers are dealt to d lookups; whichever path learns of
a peer first owns it.  The result is the k nearest of all that answered; it costs up to d times the messages.
Same verbs as `Lookup`.
"""

from collections import deque
from collections.abc import Iterable

from peerkit.record import PeerRecord

from .codec import Answer
from .lookup import Event, Finished, Goal, Lookup, LookupOptions, Records, SendRequest, finished
from .round_trips import RoundTrips

PATHS = 3


class DisjointLookup:
    """Args: as `Lookup`, and the number of paths."""

    def __init__(
        self,
        own_id: bytes,
        target: int,
        seeds: Iterable[PeerRecord],
        records: Records,
        round_trips: RoundTrips,
        options: LookupOptions,
        goal: Goal | None = None,
        paths: int = PATHS,
    ) -> None:
        self.target = target
        self._owner: dict[bytes, int] = {}
        self._k = options.k
        self._events: deque[Event] = deque()
        self.is_finished = False
        dealt = list(seeds)
        # Whichever path is first near the target owns most of the k nearest, so each must go on until it has k.
        alpha = max(2, options.alpha // paths)
        self._paths: list[Lookup] = []
        for i in range(paths):
            path_options = LookupOptions(options.k, alpha, options.protocol, lambda raw, i=i: self._claim(raw, i))  # type: ignore[misc]
            path = Lookup(own_id, target, dealt[i::paths], records, round_trips, path_options, goal)
            self._paths.append(path)

    def _claim(self, raw: bytes, path: int) -> bool:
        return self._owner.setdefault(raw, path) == path

    def start(self, now: float) -> None:
        for path in self._paths:
            path.start(now)
        self._gather()

    def receive(self, peer: bytes, message: Answer, now: float) -> None:
        self._of(peer).receive(peer, message, now)
        self._gather()

    def failed(self, peer: bytes, now: float) -> None:
        self._of(peer).failed(peer, now)
        self._gather()

    def handle_timer(self, now: float) -> None:
        for path in self._paths:
            due = path.next_timer()
            if due is not None and due <= now:
                path.handle_timer(now)
        self._gather()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float | None:
        return min((due for path in self._paths if (due := path.next_timer()) is not None), default=None)

    def known(self, peer: bytes) -> PeerRecord | None:
        return self._of(peer).known(peer)

    @property
    def queried(self) -> int:
        return sum(path.queried for path in self._paths)

    def _of(self, peer: bytes) -> Lookup:
        return self._paths[self._owner.get(peer, 0)]

    def _gather(self) -> None:
        """Pass on what the paths want; the end comes when the last of them has finished (or one reached the goal)."""
        for path in self._paths:
            while (event := path.next_event()) is not None:
                match event:
                    case SendRequest():
                        self._events.append(event)
                    case Finished():
                        pass
        over = all(path.is_finished for path in self._paths) or any(path.is_goal_reached for path in self._paths)
        if over and not self.is_finished:
            self.is_finished = True
            answered = sorted((pair for path in self._paths for pair in path.answered()), key=lambda pair: pair[0])
            order = [pair for path in self._paths for pair in path.candidates()]
            self._events.append(finished(answered, order, self._k, self.queried))
