"""A bottleneck link and the flows that share it, event by event under virtual time.

A packet waits in one first-in-first-out queue of limited bytes (what does not fit is dropped) and then travels; so its
arrival is known when it is sent, and an event is needed for each acknowledgement only.  A flow always has data to send
unless `stop_at` says otherwise, acknowledges every second packet or after 25 ms, and counts a packet as lost when the
third after it is acknowledged.
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from peerkit_transport_udp.congestion import CongestionController, Pacer, RttEstimator

PACKET = 1_200
ACK_DELAY_S = 0.025
REORDERING = 3  # RFC 9002 §6.1.1


class Simulation:
    """Runs callbacks in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(when, self.now), next(self._order), call))

    def run(self, until: float) -> None:
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, call = heapq.heappop(events)
            call()
        self.now = until


class Link:
    """Args:
    rate: bytes per second.
    round_trip_s: there and back, without the queue.
    buffer_bytes: of the queue; more is dropped.
    jitter_s: each packet's arrival is later by up to this much, without overtaking; as Wi-Fi does.
    """

    def __init__(
        self, simulation: Simulation, rate: float, round_trip_s: float, buffer_bytes: float, jitter_s: float = 0.0
    ) -> None:
        self.simulation = simulation
        self.rate = rate
        self.round_trip_s = round_trip_s
        self.buffer_bytes = buffer_bytes
        self.jitter_s = jitter_s
        self.drops = 0
        self._free_at = 0.0
        self._last_arrival = 0.0
        self._random = random.Random(7)

    def carry(self, size: int) -> float:
        """When a packet sent now arrives; 0 if it is dropped."""
        now = self.simulation.now
        start = max(self._free_at, now)
        if (start - now) * self.rate + size > self.buffer_bytes:
            self.drops += 1
            return 0.0
        self._free_at = start + size / self.rate
        arrival = self._free_at + self.round_trip_s / 2
        if self.jitter_s:
            arrival = max(self._last_arrival, arrival + self._random.random() * self.jitter_s)
            self._last_arrival = arrival
        return arrival


@dataclass
class Flow:
    """One sender and its receiver.

    Attributes:
        lost_numbers: packets that are lost whatever the queue: the loss trace.
        delivered: bytes that were acknowledged.
        windows: (time, window) at each acknowledgement.
        round_trips: (time, sample) likewise.
    """

    link: Link
    controller: CongestionController
    start_at: float = 0.0
    stop_at: float = float("inf")
    packet_bytes: int = PACKET
    lost_numbers: Collection[int] = ()
    is_paced: bool = True
    delivered: int = 0
    losses: int = 0
    windows: list[tuple[float, float]] = field(default_factory=list)
    round_trips: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rtt = RttEstimator()
        self.pacer = Pacer()
        self._next_number = 0
        self._in_flight: deque[tuple[int, float]] = deque()
        self._waiting = 0  # 1 + the number of a packet that arrives and is not yet acknowledged
        self._waiting_since = 0.0
        self._wakes_at = float("inf")
        self._acked_at = self.start_at
        self.link.simulation.at(self.start_at, self._send)

    def _send(self) -> None:
        now = self.link.simulation.now
        if now >= self.stop_at:
            return
        size = self.packet_bytes
        while (room := int(self.controller.window) // size - len(self._in_flight)) > 0:
            count = min(self.pacer.segments(size, now) if self.is_paced else 10, room)
            if not count:
                self._wake(self.pacer.due_at)
                break
            for _ in range(count):
                self._send_one(now)
            self.pacer.on_sent(count * size, now)
            self.controller.on_sent(count * size, now)
        if waiting := self._waiting:
            self.link.simulation.at(self._waiting_since + ACK_DELAY_S, lambda: self._flush(waiting))

    def _wake(self, when: float) -> None:
        if when < self._wakes_at:
            self._wakes_at = when
            self.link.simulation.at(when, self._woken)

    def _woken(self) -> None:
        self._wakes_at = float("inf")
        self._send()

    def _send_one(self, now: float) -> None:
        number = self._next_number
        self._next_number += 1
        self._in_flight.append((number, now))
        if len(self._in_flight) == 1:
            self.link.simulation.at(now + 3 * self.rtt.timeout_s(ACK_DELAY_S), self._check_timeout)
        arrival = 0.0 if number in self.lost_numbers else self.link.carry(self.packet_bytes)
        if not arrival:
            return
        if self._waiting and arrival <= self._waiting_since + ACK_DELAY_S:
            self._report(arrival, (self._waiting - 1, number), 0.0)
            self._waiting = 0
            return
        self._flush(self._waiting)
        self._waiting, self._waiting_since = number + 1, arrival

    def _report(self, at: float, numbers: tuple[int, ...], delay_s: float) -> None:
        """The receiver acknowledges; as arrivals are known, this is planned when the packet is sent."""
        self.link.simulation.at(at + self.link.round_trip_s / 2, lambda: self._acknowledge(numbers, delay_s))

    def _flush(self, waiting: int) -> None:
        """A packet that found no partner in time is acknowledged alone."""
        if waiting and self._waiting == waiting:
            self._report(self._waiting_since + ACK_DELAY_S, (waiting - 1,), ACK_DELAY_S)
            self._waiting = 0

    def _acknowledge(self, numbers: tuple[int, ...], delay_s: float) -> None:
        now = self.link.simulation.now
        in_flight, size, newest = self._in_flight, self.packet_bytes, numbers[-1]
        acked, lost = 0, 0
        sent_at = lost_sent_at = 0.0
        kept: list[tuple[int, float]] = []
        while in_flight and in_flight[0][0] <= newest:
            number, at = in_flight.popleft()
            if number in numbers:
                acked, sent_at = acked + 1, at
            elif number <= newest - REORDERING:
                lost, lost_sent_at = lost + 1, at
            else:
                kept.append((number, at))
        in_flight.extendleft(reversed(kept))
        if acked:
            self._acked_at = now
            self.rtt.update(now - sent_at, delay_s)
            self.round_trips.append((now, now - sent_at))
            self.delivered += acked * size
            self.controller.on_acked(acked * size, sent_at, self.rtt, now, now >= self.stop_at)
        if lost:
            self.losses += lost
            self.controller.on_lost(lost * size, lost_sent_at, now)
        self.pacer.update(self.controller, self.rtt)
        self.windows.append((now, self.controller.window))
        self._send()

    def _check_timeout(self) -> None:
        """Nothing came back for long: a probe timeout.  One packet goes out whatever the window."""
        now = self.link.simulation.now
        wait_s = 3 * self.rtt.timeout_s(ACK_DELAY_S)
        if not self._in_flight or now >= self.stop_at:
            return
        due = max(self._acked_at, self._in_flight[-1][1]) + wait_s
        if now >= due:
            for _ in range(REORDERING + 1):
                self._send_one(now)
            due = now + wait_s
        self.link.simulation.at(due, self._check_timeout)

    def mean_window(self, since: float, until: float) -> float:
        """The time average of the window, in bytes."""
        total, last_at, last = 0.0, since, 0.0
        for at, window in self.windows:
            if at >= until:
                break
            if at > since:
                total += last * (at - last_at)
                last_at = at
            last = window
        return (total + last * (until - last_at)) / (until - since)


def bernoulli_trace(probability: float, packets: int, seed: int) -> frozenset[int]:
    """The numbers of the packets that a link with random loss would swallow."""
    chance = random.Random(seed)
    return frozenset(number for number in range(packets) if chance.random() < probability)


def jain(*shares: float) -> float:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))
