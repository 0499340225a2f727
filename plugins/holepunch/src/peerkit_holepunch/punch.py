"""One punch between two peers: probes leave by a plan, answers come in, until one came through.

    probing ──an answer came──▶ found ──3 s──▶ over
       └──────the plan has ended──────────────▶ over

A probe of the other side is answered where it came from, once for each, so an answer never costs more bytes than its
question; when it came from a host that the coordinator observed, a probe of our own follows it there (a *triggered
check*, RFC 8445 §7.3.1.4), which finds the port that a symmetric router chose.  An answer counts only from where the
question went.

In: datagrams, time.  Out: datagrams to send, events.  Not here: sockets (numbers stand for them), sessions.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from peerkit.address import Address
from peerkit.clock import Rng
from peerkit.transport import Buffer

from .plans import Plan
from .probe import ProbeKey

LINGER_S = 3.0  # the other side may still need our answers, and the transport proves the path meanwhile
MAX_ANSWERS = 256  # a peer that sends probes from false addresses makes us send each a few bytes, so many in all
MAX_TRIGGERED = 64
MAX_HEARD = 16  # places where the other side was heard


@dataclass(frozen=True, slots=True)
class Departure:
    """A datagram to send now; `hop_limit` 0 is the system's own."""

    socket: int
    remote: Address
    data: bytes
    hop_limit: int = 0


@dataclass(frozen=True, slots=True)
class PeerHeard:
    """The other side's probe came in here: told once for each place."""

    socket: int
    remote: Address


@dataclass(frozen=True, slots=True)
class PathFound:
    """Our probe and its answer passed: a path.  Told once for each place."""

    socket: int
    remote: Address
    rtt_s: float


@dataclass(frozen=True, slots=True)
class PunchEnded:
    """Nothing more comes of it."""


PunchEvent: TypeAlias = PeerHeard | PathFound | PunchEnded


@dataclass(slots=True)
class Counts:
    """What went to and fro, for the transcript."""

    sent: int = 0
    heard: int = 0
    answered: int = 0


class Punch:
    """Args:
        hosts: IPs that the coordinator observed (and private ones that may be tried): no probe goes elsewhere.

    Attributes:
        counts: probes sent, probes of the other side that verified, answers to ours.
        forged: datagrams that named this punch and did not verify.
    """

    def __init__(self, key: ProbeKey, plan: Plan, hosts: Collection[str], rng: Rng) -> None:
        self.id = key.id
        self.counts = Counts()
        self.forged = 0
        self.is_over = False
        self._key = key
        self._plan = plan
        self._hosts = frozenset(hosts)
        self._next_number = rng.randrange(0, 1 << 31)
        self._asked: dict[int, tuple[int, Address, float]] = {}  # bounded by the plan and MAX_TRIGGERED
        self._heard: set[tuple[int, Address]] = set()
        self._found: set[tuple[int, Address]] = set()
        self._is_probing = True
        self._over_at = float("inf")
        self._answers = self._triggered = 0
        self._ready: list[Departure] = []
        self._events: list[PunchEvent] = []

    def receive_datagram(self, socket: int, data: Buffer, remote: Address, now: float) -> None:
        """A datagram that names this punch (`probe.id_of`).  Never raises: what is forged is counted."""
        probe = None if self.is_over else self._key.read(data)
        if probe is None:
            self.forged += 1
        elif probe.is_answer:
            self._answer_came(socket, probe.number, remote, now)
        else:
            self._probe_came(socket, probe.number, remote, now)

    def _answer_came(self, socket: int, number: int, remote: Address, now: float) -> None:
        asked = self._asked.get(number)
        if asked is None or asked[:2] != (socket, remote):
            return
        self.counts.answered += 1
        if (socket, remote) not in self._found:
            self._found.add((socket, remote))
            self._events.append(PathFound(socket, remote, now - asked[2]))
            self.finish(now)

    def _probe_came(self, socket: int, number: int, remote: Address, now: float) -> None:
        self.counts.heard += 1
        if self._answers >= MAX_ANSWERS:
            return
        self._answers += 1
        self._ready.append(Departure(socket, remote, self._key.answer(number)))
        if (socket, remote) not in self._heard and len(self._heard) < MAX_HEARD:
            self._heard.add((socket, remote))
            self._events.append(PeerHeard(socket, remote))
        if self._is_probing and remote.host in self._hosts and self._triggered < MAX_TRIGGERED:
            self._triggered += 1
            self._ready.append(self._ask(socket, remote, 0, now))

    def handle_timer(self, now: float) -> None:
        if not self.is_over and now >= self._ends_at:
            self.is_over = True
            self._events.append(PunchEnded())

    def next_timer(self) -> float:
        if self.is_over:
            return float("inf")
        return min(self._plan.next_at, self._ends_at) if self._is_probing else self._ends_at

    @property
    def _ends_at(self) -> float:
        return self._plan.ends_at if self._is_probing else self._over_at

    def datagrams_to_send(self, now: float) -> list[Departure]:
        """Each once; ask after every call above."""
        ready, self._ready = self._ready, []
        if not self.is_over and self._is_probing:
            for aim in self._plan.take(now):
                if aim.remote.host in self._hosts:
                    ready.append(self._ask(aim.socket, aim.remote, aim.hop_limit, now))
        return ready

    def next_event(self) -> PunchEvent | None:
        return self._events.pop(0) if self._events else None

    def finish(self, now: float) -> None:
        """There is a path: stop probing, answer a while longer.  Idempotent."""
        if self._is_probing:
            self._is_probing = False
            self._over_at = now + LINGER_S

    def _ask(self, socket: int, remote: Address, hop_limit: int, now: float) -> Departure:
        number = self._next_number
        self._next_number += 1
        self._asked[number] = (socket, remote, now)
        self.counts.sent += 1
        return Departure(socket, remote, self._key.probe(number), hop_limit)
