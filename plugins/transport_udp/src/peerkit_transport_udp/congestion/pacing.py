"""When the window's bytes leave: spread over the round trip, in quanta of a millisecond.  Source: RFC 9002 §7.7.

Input: the controller's window and the round trip.  Output: how many datagrams may leave as one batch now, or when.
It counts time, not tokens: every byte moves `due_at`, when the next one may leave, by 1 / rate.  A sender that comes
late (a timer of an asyncio loop is about a millisecond late, more under load) or was idle may catch up by a bounded
burst.  Where a round trip is shorter than that burst, as on loopback, the window alone limits.
"""

import math

from .controller import CongestionController
from .rtt import RttEstimator

QUANTUM_S = 0.001  # a batch is what the rate sends in this time
MAX_SEGMENTS = 44  # datagrams that one UDP_SEGMENT call takes; measured: 46 of 1,400 bytes fit
MAX_BATCH_BYTES = 65_507  # the largest UDP payload over IPv4, also of a batch

_SLOW_START_GAIN = 2.0  # the window doubles per round trip, so the rate must lead it
_GAIN = 1.25  # RFC 9002 §7.7
_EARLY_S = QUANTUM_S / 2  # what is due within half a quantum leaves now: no timer would be that exact
_CATCH_UP_S = 0.002  # guess: two timers' lateness
_BURST_BYTES = 14_720  # RFC 9002 §7.7: after idling not more at once than a first window


class Pacer:
    """Attributes:
    rate: bytes per second; infinite until `update`.
    due_at: when the next byte may leave.
    """

    __slots__ = ("due_at", "rate")

    def __init__(self) -> None:
        self.rate = math.inf
        self.due_at = -math.inf

    def update(self, controller: CongestionController, rtt: RttEstimator) -> None:
        """Take the rate from the window; called after each acknowledgement and loss."""
        gain, smoothed_s = _SLOW_START_GAIN if controller.is_slow_start else _GAIN, rtt.smoothed_s
        self.rate = gain * controller.window / smoothed_s if smoothed_s > 0 else math.inf

    def segments(self, datagram_bytes: int, now: float) -> int:
        """How many datagrams of this size may leave now as one batch; 0: none before `due_at`.

        Ask again after each batch: at high rates a quantum takes several.
        """
        if self.due_at > now + _EARLY_S:
            return 0
        most = MAX_BATCH_BYTES // datagram_bytes
        if most > MAX_SEGMENTS:
            most = MAX_SEGMENTS
        quantum = self.rate * QUANTUM_S
        if quantum >= most * datagram_bytes:
            return most
        return int(quantum / datagram_bytes) or 1

    def on_sent(self, sent_bytes: int, now: float) -> None:
        """A batch has left; `sent_bytes` as the controller counts them."""
        rate = self.rate
        burst_s = _BURST_BYTES / rate
        earliest = now - (burst_s if burst_s > _CATCH_UP_S else _CATCH_UP_S)
        self.due_at = (self.due_at if self.due_at > earliest else earliest) + sent_bytes / rate
