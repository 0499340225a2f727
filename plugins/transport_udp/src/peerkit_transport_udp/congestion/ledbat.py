"""LEDBAT++: the controller of background traffic, which gives way to everything else.

Source: draft-irtf-iccrg-ledbat-plus-plus-01 (§4.1 to §4.6), base-delay history as in RFC 6817 §4.2.

It takes the growth of the round trip over its least value, the *base delay*, as the queue's delay.  Below the target of
60 ms the window grows by `gain` ≤ 1 datagrams per round trip, above it shrinks in proportion.  Its own standing queue
would in time pass for the base delay, so it lets the queue run empty at regular intervals:

    SLOW START ──queue ≥ ¾ target, or loss──▶ AVOIDANCE ──due──▶ FREEZE ──2 round trips──▶ RAMP ──threshold──▶ AVOIDANCE
                                                 (2 datagrams in flight)    (slow start again)

A slowdown comes two round trips after slow start, then after nine times as long as the last one took.
"""

import math
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from .controller import CongestionController
from .rtt import RttEstimator

TARGET_S = 0.060  # draft §4.5

_MIN_DATAGRAMS = 2  # draft §4.4
_MAX_GAIN_DIVISOR = 16  # draft §4.2
_DECREASE = 1.0  # draft §4.3: its "Constant"
_SLOW_START_SHARE = 0.75  # draft §4.1, of the target
_FREEZE_ROUND_TRIPS = 2  # draft §4.4
_SLOWDOWN_INTERVAL = 9  # draft §4.4: so slowdowns cost at most a tenth
_CURRENT_SAMPLES = 4  # RFC 6817 §2.4.2 leaves the filter open; four samples pass no single late acknowledgement
_BASE_MINUTES = 10  # RFC 6817 §4.2
_LOSS_REDUCTION = 0.5  # RFC 6817 §2.4.2


class _Phase(Enum):
    SLOW_START = "slow start"  # the first one; may end by delay
    AVOIDANCE = "avoidance"
    FREEZE = "freeze"  # two datagrams in flight, so that the queue runs empty
    RAMP = "ramp"  # back to the window from before the slowdown


class LedbatPlusPlus:
    """Args:
    datagram_bytes: the size of a full datagram.
    """

    __slots__ = (
        "_base_minutes",
        "_base_s",
        "_current",
        "_datagram_bytes",
        "_freeze_until",
        "_gain",
        "_minute_ends_at",
        "_phase",
        "_recovery_from",
        "_round_trip_s",
        "_samples",
        "_slowdown_at",
        "_slowdown_due_at",
        "threshold",
        "window",
    )
    name = "ledbat++"

    def __init__(self, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.on_new_path(0.0)

    @property
    def is_slow_start(self) -> bool:
        return self._phase is _Phase.SLOW_START or self._phase is _Phase.RAMP

    @property
    def base_delay_s(self) -> float:
        """The least round trip of the last ten minutes; infinite before the first sample."""
        return self._base_s

    @property
    def queue_delay_s(self) -> float:
        """How long the queue of the path is now, in time; 0 before the first sample."""
        return min(self._current) - self._base_s if self._current else 0.0

    def on_new_path(self, now: float) -> None:
        self.window = float(_MIN_DATAGRAMS * self._datagram_bytes)
        self.threshold = math.inf
        self._phase = _Phase.SLOW_START
        self._gain = 1 / _MAX_GAIN_DIVISOR
        self._round_trip_s = 0.0
        self._samples = 0  # round-trip samples already used
        self._current: deque[float] = deque(maxlen=_CURRENT_SAMPLES)
        self._base_minutes: deque[float] = deque(maxlen=_BASE_MINUTES)
        self._base_s = math.inf
        self._minute_ends_at = -math.inf
        self._slowdown_at = -math.inf
        self._slowdown_due_at = math.inf
        self._freeze_until = math.inf
        self._recovery_from = -math.inf  # what was sent until then belongs to a congestion event already counted

    def on_datagram_bytes(self, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.window = max(self.window, float(_MIN_DATAGRAMS * datagram_bytes))

    def on_sent(self, sent_bytes: int, now: float) -> None:
        pass

    def on_acked(self, acked_bytes: int, sent_at: float, rtt: RttEstimator, now: float, is_app_limited: bool) -> None:
        if rtt.samples != self._samples:
            self._samples = rtt.samples
            self._round_trip_s = rtt.smoothed_s
            self._measure(rtt.adjusted_s, now)
        phase = self._phase
        if phase is _Phase.AVOIDANCE:
            if now >= self._slowdown_due_at:
                self._slow_down(now)
            elif sent_at > self._recovery_from:
                self._step(acked_bytes, is_app_limited)
        elif phase is _Phase.FREEZE:
            if now >= self._freeze_until:
                self._phase = _Phase.RAMP
        elif phase is _Phase.SLOW_START and self.queue_delay_s >= _SLOW_START_SHARE * TARGET_S:
            self._end_slow_start(now)
        elif not is_app_limited:
            self.window = min(self.window + self._gain * acked_bytes, self.threshold)
            if self.window == self.threshold:
                self._end_ramp(now)

    def _measure(self, sample_s: float, now: float) -> None:
        self._current.append(sample_s)
        if now >= self._minute_ends_at:
            self._minute_ends_at = now + 60.0
            self._base_minutes.append(sample_s)
            self._set_base(min(self._base_minutes))
        elif sample_s < self._base_minutes[-1]:
            self._base_minutes[-1] = sample_s
            if sample_s < self._base_s:
                self._set_base(sample_s)

    def _set_base(self, base_s: float) -> None:
        self._base_s = base_s
        divisor = 2 * TARGET_S / base_s if base_s > 0 else math.inf
        self._gain = 1 / math.ceil(min(divisor, _MAX_GAIN_DIVISOR))

    def _step(self, acked_bytes: int, is_app_limited: bool) -> None:
        """Congestion avoidance: draft §4.2 and §4.3, its change per round trip spread over the bytes of one."""
        window, size = self.window, self._datagram_bytes
        excess = self.queue_delay_s / TARGET_S - 1
        change = self._gain * size
        if excess > 0:
            change = max(change - _DECREASE * window * excess, -window / 2)
        if change < 0 or not is_app_limited:
            # An acknowledgement of more than a window counts as one: else it could take more than the half of it.
            self.window = max(window + change * min(acked_bytes / window, 1.0), float(_MIN_DATAGRAMS * size))

    def _end_slow_start(self, now: float) -> None:
        self.threshold = self.window
        self._phase = _Phase.AVOIDANCE
        self._slowdown_due_at = now + _FREEZE_ROUND_TRIPS * self._round_trip_s

    def _slow_down(self, now: float) -> None:
        self.threshold = self.window
        self.window = float(_MIN_DATAGRAMS * self._datagram_bytes)
        self._phase = _Phase.FREEZE
        self._slowdown_at = now
        self._freeze_until = now + _FREEZE_ROUND_TRIPS * self._round_trip_s

    def _end_ramp(self, now: float) -> None:
        """The ramp is over, by reaching the threshold or by loss: the slowdown lasted until now."""
        self._phase = _Phase.AVOIDANCE
        self._slowdown_due_at = now + _SLOWDOWN_INTERVAL * (now - self._slowdown_at)

    def on_lost(self, lost_bytes: int, sent_at: float, now: float) -> None:
        if sent_at <= self._recovery_from:
            return
        self._recovery_from = now
        least = float(_MIN_DATAGRAMS * self._datagram_bytes)
        is_slowed = self._phase is _Phase.FREEZE or self._phase is _Phase.RAMP
        if is_slowed and sent_at <= self._slowdown_at:  # of the window that the ramp leads back to
            self.threshold = max(self.threshold * _LOSS_REDUCTION, least)
            return
        self.window = self.threshold = max(self.window * _LOSS_REDUCTION, least)
        if self._phase is _Phase.SLOW_START:
            self._end_slow_start(now)
        elif self._phase is _Phase.RAMP:
            self._end_ramp(now)

    def on_spurious_loss(self, lost_bytes: int, sent_at: float, now: float) -> None:
        """Nothing: background traffic may be slower than need be."""

    def on_persistent_congestion(self, now: float) -> None:
        self.window = float(_MIN_DATAGRAMS * self._datagram_bytes)
        self._recovery_from = -math.inf
        if self._phase is _Phase.SLOW_START:
            self._end_slow_start(now)


if TYPE_CHECKING:
    _fits: type[CongestionController] = LedbatPlusPlus
