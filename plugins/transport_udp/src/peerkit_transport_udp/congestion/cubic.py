"""CUBIC with HyStart++: the default controller.  Source: RFC 9438, RFC 9406.

After a congestion event the window is 0.7 of what it was, W_max.  From there it follows C·(t − K)³ + W_max: steep, then
flat around W_max (concave), then steep again (convex), by the time t since the event and not by the round trip.  Where
Reno would have the larger window it follows that (the Reno-friendly region: short paths, or much loss).

Within the formulas a window counts in datagrams, as in the RFC; outside it counts in bytes.
"""

import math
from typing import TYPE_CHECKING

from .controller import CongestionController, initial_window
from .hystart import HyStart
from .rtt import RttEstimator

_C = 0.4  # RFC 9438 §5.1: datagrams / s³
_BETA = 0.7  # RFC 9438 §4.6
_ALPHA = 3 * (1 - _BETA) / (1 + _BETA)  # RFC 9438 §4.3
_MAX_STEP = 1.5  # RFC 9438 §4.2: the target of one round trip is at most so many windows
_MIN_DATAGRAMS = 2  # RFC 9002 §7.2


class Cubic:
    """Args:
    datagram_bytes: the size of a full datagram.
    """

    __slots__ = (
        "_datagram_bytes",
        "_epoch_at",
        "_events_before",
        "_hystart",
        "_k_s",
        "_max",
        "_prior",
        "_recovery_from",
        "_reno",
        "_samples",
        "_undo",
        "_undo_bytes",
        "_updated_at",
        "_was_limited",
        "threshold",
        "window",
    )
    name = "cubic"

    def __init__(self, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.on_new_path(0.0)

    @property
    def is_slow_start(self) -> bool:
        return self.window < self.threshold

    def on_new_path(self, now: float) -> None:
        self.window = initial_window(self._datagram_bytes)
        self.threshold = math.inf
        self._hystart = HyStart()
        self._samples = 0  # round-trip samples already used
        self._max = 0.0  # W_max in bytes: where the last event was (less with fast convergence)
        self._prior = 0.0  # cwnd_prior in bytes: the window right before the last event
        self._epoch_at = (
            math.inf
        )  # when this epoch of congestion avoidance began; infinite: it begins with the next ack
        self._k_s = 0.0  # K: when the curve is back at W_max
        self._reno = 0.0  # W_est in bytes: Reno's window in this epoch
        self._updated_at = 0.0  # when the window last grew
        self._was_limited = False
        self._recovery_from = -math.inf  # what was sent until then belongs to a congestion event already counted
        self._events_before = -math.inf  # what was sent until then belongs to an event before that
        self._undo_bytes = 0
        self._undo = (0.0, 0.0, 0.0, 0.0)

    def on_datagram_bytes(self, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.window = max(self.window, float(_MIN_DATAGRAMS * datagram_bytes))
        self._epoch_at = math.inf  # K counts in datagrams

    def on_sent(self, sent_bytes: int, now: float) -> None:
        pass

    def on_acked(self, acked_bytes: int, sent_at: float, rtt: RttEstimator, now: float, is_app_limited: bool) -> None:
        if sent_at <= self._recovery_from:
            return
        if is_app_limited:
            self._was_limited = True
            return
        if self.window < self.threshold:
            self._grow_in_slow_start(acked_bytes, sent_at, rtt, now)
        else:
            self._grow_in_avoidance(acked_bytes, rtt.smoothed_s, now)
        self._updated_at = now
        self._was_limited = False

    def _grow_in_slow_start(self, acked_bytes: int, sent_at: float, rtt: RttEstimator, now: float) -> None:
        if self.threshold < math.inf:  # after persistent congestion: the goal is known
            self.window = min(self.window + acked_bytes, self.threshold)
            return
        sample_s = rtt.adjusted_s if rtt.samples != self._samples else math.inf
        self._samples = rtt.samples
        self.window += self._hystart.growth(acked_bytes, sent_at, sample_s, now)
        if self._hystart.is_over:
            self.threshold = self.window

    def _grow_in_avoidance(self, acked_bytes: int, round_trip_s: float, now: float) -> None:
        window, size = self.window, self._datagram_bytes
        if self._epoch_at == math.inf:
            self._begin_epoch(now)
        elif self._was_limited:  # time in which the sender did not fill the window does not count: RFC 9438 §5.8
            self._epoch_at += now - self._updated_at
        since_s = now - self._epoch_at - self._k_s
        self._reno += (_ALPHA if self._reno < self._prior else 1.0) * size * acked_bytes / window
        scale = _C * size
        if self._max + scale * since_s**3 < self._reno:
            self.window = max(window, self._reno)
            return
        target = min(self._max + scale * (since_s + round_trip_s) ** 3, _MAX_STEP * window)
        if target > window:
            self.window = window + (target - window) * acked_bytes / window

    def _begin_epoch(self, now: float) -> None:
        self._epoch_at = now
        self._reno = self.window
        if self.window < self._max:
            self._k_s = math.cbrt((self._max - self.window) / (_C * self._datagram_bytes))
        else:
            self._max = self.window
            self._k_s = 0.0

    def on_lost(self, lost_bytes: int, sent_at: float, now: float) -> None:
        if sent_at <= self._recovery_from:
            self._undo_bytes += lost_bytes
            return
        window = self.window
        self._undo_bytes = lost_bytes
        self._undo = (window, self.threshold, self._max, self._prior)
        self._events_before = self._recovery_from
        self._recovery_from = now
        # Fast convergence, RFC 9438 §4.7: one that shrinks leaves room to a newcomer.
        self._max = window * (1 + _BETA) / 2 if window < self._max else window
        self._prior = window
        self.window = self.threshold = max(window * _BETA, float(_MIN_DATAGRAMS * self._datagram_bytes))
        self._epoch_at = math.inf

    def on_spurious_loss(self, lost_bytes: int, sent_at: float, now: float) -> None:
        if self._undo_bytes <= 0 or not self._events_before < sent_at <= self._recovery_from:
            return
        self._undo_bytes -= lost_bytes
        if self._undo_bytes <= 0:  # nothing of that event was lost: as if it had not been, RFC 9438 §4.9
            window, threshold, self._max, self._prior = self._undo
            self.window = max(self.window, window)
            self.threshold = max(self.threshold, threshold)
            self._recovery_from = self._events_before
            self._epoch_at = math.inf

    def on_persistent_congestion(self, now: float) -> None:
        self.window = float(_MIN_DATAGRAMS * self._datagram_bytes)
        self._max = 0.0  # the next epoch begins flat at its own window: RFC 9438 §4.8
        self._epoch_at = math.inf
        self._recovery_from = self._events_before = -math.inf
        self._undo_bytes = 0


if TYPE_CHECKING:
    _fits: type[CongestionController] = Cubic
