"""NewReno: the reference controller.  Source: RFC 9002 §7, appendix B.

Slow start doubles the window every round trip; from the threshold on it grows by one datagram per round trip; a
congestion event halves it, at most once per round trip.  A window that the sender did not fill does not grow.
"""

import math
from typing import TYPE_CHECKING

from .controller import CongestionController, initial_window
from .rtt import RttEstimator

_REDUCTION = 0.5  # RFC 9002 §7.3.2
_MIN_DATAGRAMS = 2  # RFC 9002 §7.2


class NewReno:
    """Args:
    datagram_bytes: the size of a full datagram.
    """

    __slots__ = (
        "_datagram_bytes",
        "_events_before",
        "_recovery_from",
        "_undo_bytes",
        "_undo_threshold",
        "_undo_window",
        "threshold",
        "window",
    )
    name = "newreno"

    def __init__(self, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.on_new_path(0.0)

    @property
    def is_slow_start(self) -> bool:
        return self.window < self.threshold

    def on_new_path(self, now: float) -> None:
        self.window = initial_window(self._datagram_bytes)
        self.threshold = math.inf
        self._recovery_from = -math.inf  # what was sent until then belongs to a congestion event already counted
        self._events_before = -math.inf  # what was sent until then belongs to an event before that
        self._undo_bytes = 0
        self._undo_window = self._undo_threshold = 0.0

    def on_datagram_bytes(self, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.window = max(self.window, float(_MIN_DATAGRAMS * datagram_bytes))

    def on_sent(self, sent_bytes: int, now: float) -> None:
        pass

    def on_acked(self, acked_bytes: int, sent_at: float, rtt: RttEstimator, now: float, is_app_limited: bool) -> None:
        if is_app_limited or sent_at <= self._recovery_from:
            return
        if self.window < self.threshold:
            self.window += acked_bytes
        else:
            self.window += self._datagram_bytes * acked_bytes / self.window

    def on_lost(self, lost_bytes: int, sent_at: float, now: float) -> None:
        if sent_at <= self._recovery_from:
            self._undo_bytes += lost_bytes
            return
        self._undo_bytes = lost_bytes
        self._undo_window, self._undo_threshold = self.window, self.threshold
        self._events_before = self._recovery_from
        self._recovery_from = now
        self.window = self.threshold = max(self.window * _REDUCTION, float(_MIN_DATAGRAMS * self._datagram_bytes))

    def on_spurious_loss(self, lost_bytes: int, sent_at: float, now: float) -> None:
        if self._undo_bytes <= 0 or not self._events_before < sent_at <= self._recovery_from:
            return
        self._undo_bytes -= lost_bytes
        if self._undo_bytes <= 0:  # nothing of that event was lost: as if it had not been
            self.window = max(self.window, self._undo_window)
            self.threshold = max(self.threshold, self._undo_threshold)
            self._recovery_from = self._events_before

    def on_persistent_congestion(self, now: float) -> None:
        self.window = float(_MIN_DATAGRAMS * self._datagram_bytes)
        self._recovery_from = self._events_before = -math.inf
        self._undo_bytes = 0


if TYPE_CHECKING:
    _fits: type[CongestionController] = NewReno
