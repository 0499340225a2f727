"""An iterative lookup: who is nearest to a key?  A request/answer machine without I/O.

    start ──▶ SendRequest… ──▶ receive / failed / handle_timer ──▶ SendRequest… ──▶ Finished

Always the nearest candidates are asked first, at most α at a time in a *sliding window*: each answer lets the next
request go at once, nobody waits for a round to end.  A request that is slower than the 90th percentile is *hedged* (the
next candidate is asked beside it), one much slower is no longer waited for; its answer still counts when it comes.  The
lookup is over when the k nearest that are alive have answered, or when its goal is reached.

Hostile answers: candidates are bounded, at most two of one prefix stand among the k nearest, a record is verified
before it is dialled, and a lookup asks at most `MAX_ASKED` peers, so that made-up peers cannot lead it on for ever.
"""

from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from peerkit.identity import PeerId
from peerkit.record import PeerRecord

from .codec import Answer
from .diversity import MAX_AMONG_CANDIDATES, Neighbourhood, first_neighbourhood
from .keys import key_of_peer
from .round_trips import RoundTrips

ALPHA = 10
K = 20
MAX_CANDIDATES = 256  # stops answers full of inventions from growing the list; 256 × 1 KiB
MAX_ASKED = 160  # four times a good lookup; stops a chain of made-up, ever nearer peers


class State(Enum):
    """Of one candidate."""

    NEW = 0
    ASKED = 1
    SLOW = 2  # hedged: holds no place in the window, still waited for
    GIVEN_UP = 3  # no longer waited for; an answer still counts
    ANSWERED = 4
    FAILED = 5


@dataclass(slots=True, eq=False)
class Candidate:
    """A peer that the lookup knows.

    Attributes:
        depth: length of the chain of answers that named it; 0: from our own table.
        asked_at: `Clock.now` of the request.
    """

    record: PeerRecord
    wire: bytes
    where: Neighbourhood
    depth: int
    state: State = State.NEW
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Ask this peer; tell `receive` or `failed`.  Its record's signature was checked."""

    record: PeerRecord


@dataclass(frozen=True, slots=True)
class Finished:
    """The end.

    Attributes:
        closest: live peers that answered, nearest first, at most k.
        hops, queried, exact: as `peerkit.capabilities.Lookup` explains them.
    """

    closest: tuple[PeerRecord, ...]
    hops: int
    queried: int
    exact: bool


Event = SendRequest | Finished


class Records(Protocol):
    """What a lookup needs of `RecordCache`, at one wall time."""

    def read(self, wire: bytes) -> PeerRecord | None: ...
    def verify(self, record: PeerRecord) -> bool: ...


class Goal(Protocol):
    """What a lookup looks for beside the nearest peers."""

    def take(self, peer: PeerId, answer: Answer) -> bool:
        """Use an answer; `True`: the goal is reached and the lookup may end."""
        ...


@dataclass(slots=True)
class LookupOptions:
    """Attributes:
    k: peers to find.
    alpha: requests in flight.
    protocol: the id that a peer must speak to be asked; empty: any.
    claim: asked before a candidate enters; `False` keeps it out (disjoint paths).
    """

    k: int = K
    alpha: int = ALPHA
    protocol: str = ""
    claim: Callable[[bytes], bool] = field(default=lambda raw: True)  # noqa: ARG005


class Lookup:
    """Args:
    own_id: never asked.
    target: the key.
    seeds: where to begin: verified records, nearest first; of our table, else of anybody.
    """

    def __init__(
        self,
        own_id: bytes,
        target: int,
        seeds: Iterable[PeerRecord],
        records: Records,
        round_trips: RoundTrips,
        options: LookupOptions | None = None,
        goal: Goal | None = None,
    ) -> None:
        self._own_id = own_id
        self.target = target
        self._records = records
        self._round_trips = round_trips
        self._options = options or LookupOptions()
        self._goal = goal
        self._order: list[tuple[int, Candidate]] = []
        self._known: dict[bytes, Candidate] = {}
        self._seen: set[bytes] = set()  # records of answers, most of which come in many; ≤ 160 × 20 of 1.1 KiB
        self._in_flight: dict[bytes, Candidate] = {}
        self._window = 0  # requests of the window, slow ones left out
        self._asked = 0
        self._events: deque[Event] = deque()
        self._next_due: float | None = None
        self.is_finished = False
        self.is_goal_reached = False
        for record in seeds:
            self._learn(record.to_bytes(), record, 0)

    # -- the five verbs ------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin.  With nobody to ask it finishes at once."""
        self._pump(now)

    def receive(self, peer: bytes, message: Answer, now: float) -> None:
        """An answer came from `peer` (raw id).  After the end it changes nothing."""
        candidate = self._settle(peer)
        if candidate is None or self.is_finished:
            return
        self._round_trips.add(now - candidate.asked_at)
        candidate.state = State.ANSWERED
        depth = candidate.depth + 1
        seen = self._seen
        for wire in message.nodes:
            if wire not in seen:
                seen.add(wire)
                record = self._records.read(wire)
                if record is not None:
                    self._learn(wire, record, depth)
        if self._goal is not None and self._goal.take(candidate.record.peer_id, message):
            self.is_goal_reached = True
            self._finish()
        else:
            self._pump(now)

    def failed(self, peer: bytes, now: float) -> None:
        """The request to `peer` failed: no session, no answer, or an answer that broke the rules."""
        candidate = self._settle(peer)
        if candidate is not None:
            candidate.state = State.FAILED
            if not self.is_finished:
                self._pump(now)

    def handle_timer(self, now: float) -> None:
        """Requests may have become slow."""
        if self.is_finished:
            return
        trips = self._round_trips
        for candidate in self._in_flight.values():  # the same sums as in `_plan_timer`: a timer never fires for nothing
            if candidate.state is State.ASKED and now >= candidate.asked_at + trips.hedge_s:
                candidate.state = State.SLOW
                self._window -= 1
            if candidate.state is State.SLOW and now >= candidate.asked_at + trips.give_up_s:
                candidate.state = State.GIVEN_UP
        self._pump(now)

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float | None:
        """When `handle_timer` is due."""
        return None if self.is_finished else self._next_due

    # -- inside --------------------------------------------------------------------------------------------------

    def known(self, peer: bytes) -> PeerRecord | None:
        """The record of a candidate, signature unchecked."""
        candidate = self._known.get(peer)
        return candidate.record if candidate is not None else None

    def _settle(self, peer: bytes) -> Candidate | None:
        candidate = self._in_flight.pop(peer, None)
        if candidate is not None and candidate.state is State.ASKED:
            self._window -= 1
        return candidate

    def _learn(self, wire: bytes, record: PeerRecord, depth: int) -> None:
        if record.is_client or (self._options.protocol and self._options.protocol not in record.protocols):
            return
        raw = record.peer_id.raw
        if raw == self._own_id:
            return
        candidate = self._known.get(raw)
        if candidate is not None:
            self._relearn(candidate, wire, record)
            return
        distance = key_of_peer(raw) ^ self.target
        if len(self._order) >= MAX_CANDIDATES and distance > self._order[-1][0]:
            return
        if not self._options.claim(raw):
            return
        candidate = Candidate(record, wire, first_neighbourhood(record.addresses), depth)
        self._known[raw] = candidate
        insort(self._order, (distance, candidate))
        if len(self._order) > MAX_CANDIDATES and self._order[-1][1].state is State.NEW:
            del self._known[self._order.pop()[1].record.peer_id.raw]

    def _relearn(self, candidate: Candidate, wire: bytes, record: PeerRecord) -> None:
        """Another record of a known peer: take it when it is newer, or when the one we have is forged."""
        if wire == candidate.wire or candidate.state not in (State.NEW, State.FAILED):
            return
        is_newer = record.sequence > candidate.record.sequence
        if (is_newer or not self._records.verify(candidate.record)) and self._records.verify(record):
            candidate.record, candidate.wire = record, wire
            candidate.where = first_neighbourhood(record.addresses)
            candidate.state = State.NEW

    def _pump(self, now: float) -> None:
        """Ask whom there is to ask; finish when nobody of the k nearest is waited for."""
        options = self._options
        crowd: Counter[str] = Counter()
        standing = 0
        is_waiting = False
        for _, candidate in self._order:
            state = candidate.state
            if state is State.FAILED:
                continue
            if candidate.where:
                crowd[candidate.where[0]] += 1
                if crowd[candidate.where[0]] > MAX_AMONG_CANDIDATES:
                    continue
            if state is State.GIVEN_UP:
                continue
            if state is State.NEW:
                if self._window < options.alpha and self._asked < MAX_ASKED and not self._ask(candidate, now):
                    continue
                is_waiting = is_waiting or self._asked < MAX_ASKED
            elif state is not State.ANSWERED:
                is_waiting = True
            standing += 1
            if standing == options.k:
                break
        if not is_waiting:
            self._finish()
        else:
            self._plan_timer()

    def _ask(self, candidate: Candidate, now: float) -> bool:
        """`False`: its record is forged."""
        if not self._records.verify(candidate.record):
            candidate.state = State.FAILED
            return False
        candidate.state = State.ASKED
        candidate.asked_at = now
        self._in_flight[candidate.record.peer_id.raw] = candidate
        self._window += 1
        self._asked += 1
        self._events.append(SendRequest(candidate.record))
        return True

    def _plan_timer(self) -> None:
        due = None
        for candidate in self._in_flight.values():
            if candidate.state is State.GIVEN_UP:
                continue
            trips = self._round_trips
            at = candidate.asked_at + (trips.hedge_s if candidate.state is State.ASKED else trips.give_up_s)
            if due is None or at < due:
                due = at
        self._next_due = due

    def answered(self) -> list[tuple[int, Candidate]]:
        """(distance, candidate) of those that answered, nearest first, at most two of one prefix."""
        crowd: Counter[str] = Counter()
        found = []
        for distance, candidate in self._order:
            if candidate.state is State.ANSWERED:
                if candidate.where:
                    crowd[candidate.where[0]] += 1
                    if crowd[candidate.where[0]] > MAX_AMONG_CANDIDATES:
                        continue
                found.append((distance, candidate))
        return found

    def candidates(self) -> Sequence[tuple[int, Candidate]]:
        """(distance, candidate) of all that are known, nearest first."""
        return self._order

    @property
    def queried(self) -> int:
        return self._asked

    def _finish(self) -> None:
        self.is_finished = True
        self._events.append(finished(self.answered(), self._order, self._options.k, self._asked))


def finished(
    answered: Sequence[tuple[int, Candidate]], order: Sequence[tuple[int, Candidate]], k: int, queried: int
) -> Finished:
    """Sum up: `exact` when nobody nearer than the last of `answered` kept silent."""
    closest = answered[:k]
    silent = (State.FAILED, State.GIVEN_UP, State.SLOW, State.ASKED)
    reach = closest[-1][0] if len(closest) == k else None
    is_exact = not any(c.state in silent for d, c in order if reach is None or d < reach)
    return Finished(
        tuple(c.record for _, c in closest), closest[0][1].depth if closest else 0, queried, bool(closest) and is_exact
    )
