"""When a punch sends which probe where.  Three plans; each is bounded in probes and time.

CandidatePlan   one socket, a few addresses, again and again
SpreadPlan      many sockets, one address: the symmetric side of a birthday
SearchPlan      one socket, many ports of one address: the other side
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from peerkit.address import Address
from peerkit.clock import Rng

PROBING_S = 3.0  # RFC 8445 gives a pair 39 s; who has not answered after 3 s has a router in the way
LEAST_ROUNDS = 20  # all the same: a machine that stands still for seconds has not tried much in 3 s (28 are usual)
LEAST_PAUSE_S, MOST_PAUSE_S = 0.01, 0.2  # random, so that two sides that cross once do not cross always
SPREAD_TICK_S, SPREAD_PER_TICK = 0.02, 16  # 256 sockets in 0.32 s: a burst of all would overrun small routers
# The first probe of each socket is short-lived: one that came to the other side's router before its search did would
# take the port there, if that router answers such probes itself.  Half of the search later (1,000 ports: 98 % of what
# can be hit) each is sent again in full, as behind two routers of our own the first ones died too early.
SPREAD_AGAIN_S = 2.5
SPREAD_LINGER_S = 10.0  # a busy machine searches that much longer (seen: 20 s in all)
SEARCH_TICK_S = 0.02
SEARCH_LEAD_S = 0.5  # the other side's sockets open first, or early probes would be wasted
SEARCH_LINGER_S = 1.0
PREDICTED_STRIDE = 64  # a run of 256 sequential ports is met by any 4 probes at this distance
PREDICTED_PROBES = 64
LOWEST_PORT = 1_024  # routers do not map to those below


@dataclass(frozen=True, slots=True)
class Aim:
    """One probe to send.

    Attributes:
        socket: which of the punch's sockets.
        hop_limit: how many routers it may pass; 0: as many as it needs.
    """

    socket: int
    remote: Address
    hop_limit: int = 0


class Plan(Protocol):
    """Attributes:
    next_at: when `take` has something; `inf` when nothing more comes.
    ends_at: when the punch is over if nothing came through.
    """

    @property
    def next_at(self) -> float: ...
    @property
    def ends_at(self) -> float: ...

    def take(self, now: float) -> list[Aim]: ...


class CandidatePlan:
    """Args:
    aims: (socket, address) of each candidate, the likeliest first.
    starts_at: when probing begins.
    opens_at: when one short-lived probe leaves for each, to open our own router; `None`: none.
    opener_hops: how many routers it passes: ours, and none of the peer's.
    """

    def __init__(
        self,
        aims: Sequence[tuple[int, Address]],
        starts_at: float,
        rng: Rng,
        opens_at: float | None = None,
        opener_hops: int = 2,
    ) -> None:
        self._aims = [Aim(socket, remote) for socket, remote in aims]
        self._openers = [Aim(socket, remote, opener_hops) for socket, remote in aims if opens_at is not None]
        self._starts_at = starts_at
        self._rng = rng
        self._rounds = 0
        self.next_at = starts_at if opens_at is None else min(opens_at, starts_at)
        self.ends_at = float("inf")

    def take(self, now: float) -> list[Aim]:
        if now < self.next_at:
            return []
        openers, self._openers = self._openers, []
        if now < self._starts_at:
            self.next_at = self._starts_at
            return openers
        self._rounds += 1
        self.next_at = now + self._rng.uniform(LEAST_PAUSE_S, MOST_PAUSE_S)
        if self._rounds >= LEAST_ROUNDS and self.next_at >= self._starts_at + PROBING_S:
            self.next_at, self.ends_at = float("inf"), self.next_at
        return openers + self._aims


class SpreadPlan:
    """Args:
    sockets: how many; numbers 0..sockets - 1.
    lasts_s: how long the other side searches.
    opener_hops: how many routers the first probes pass.
    """

    def __init__(self, sockets: int, remote: Address, starts_at: float, lasts_s: float, opener_hops: int = 2) -> None:
        self._aims = [Aim(socket, remote, opener_hops) for socket in range(sockets)]
        self._sent = 0
        self._again_at = starts_at + SPREAD_AGAIN_S
        self._is_again = False
        self.next_at = starts_at
        self.ends_at = starts_at + lasts_s + SPREAD_LINGER_S

    def take(self, now: float) -> list[Aim]:
        if now < self.next_at:
            return []
        due = self._aims[self._sent : self._sent + SPREAD_PER_TICK]
        self._sent += len(due)
        if self._sent < len(self._aims):
            self.next_at = now + SPREAD_TICK_S
        elif not self._is_again:
            self._is_again, self._sent, self.next_at = True, 0, max(self._again_at, now + SPREAD_TICK_S)
            self._aims = [replace(aim, hop_limit=0) for aim in self._aims]
        else:
            self.next_at = float("inf")
        return due


class SearchPlan:
    """Args:
    observed: where the coordinator sees the other side: its IP, and a port that we need not try.
    port_step: of a sequential mapping, else 0.
    probes: how many ports, at most `probes_per_s`.  They bound what a false observation costs its victim:
        2,048 × 29 bytes, once for each offer that we made or took.
    """

    def __init__(
        self, observed: Address, port_step: int, probes: int, probes_per_s: int, starts_at: float, rng: Rng
    ) -> None:
        predicted = [
            port
            for k in range(PREDICTED_PROBES if port_step else 0)
            if LOWEST_PORT <= (port := observed.port + port_step * (1 + PREDICTED_STRIDE * k)) < 65_536
        ]
        guessed = rng.sample(range(LOWEST_PORT, 65_536), min(probes, 65_536 - LOWEST_PORT))
        self._ports = list(dict.fromkeys(predicted + guessed))[:probes]
        self._observed = observed
        self._sent = 0
        self._per_s = probes_per_s
        self._starts_at = starts_at + SEARCH_LEAD_S
        self.next_at = self._starts_at
        self.ends_at = float("inf")

    def take(self, now: float) -> list[Aim]:
        if now < self.next_at:
            return []
        allowed = min(int((now - self._starts_at + SEARCH_TICK_S) * self._per_s), len(self._ports))
        # A loop that stood still must not catch up in one burst.
        allowed = min(allowed, self._sent + max(1, int(5 * SEARCH_TICK_S * self._per_s)))
        due = self._ports[self._sent : allowed]
        self._sent = max(self._sent, allowed)
        self.next_at = now + SEARCH_TICK_S
        if self._sent == len(self._ports):
            self.next_at, self.ends_at = float("inf"), now + SEARCH_LINGER_S
        return [Aim(0, Address(self._observed.scheme, self._observed.host, port)) for port in due]


def search_s(probes: int, probes_per_s: int) -> float:
    """How long a birthday takes."""
    return SEARCH_LEAD_S + probes / probes_per_s + SEARCH_LINGER_S
