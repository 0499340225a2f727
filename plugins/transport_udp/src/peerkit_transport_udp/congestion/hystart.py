"""HyStart++: leave slow start when the round trip grows, before the queue overflows.  Source: RFC 9406.

    SLOW START ──round's least RTT ≥ last round's + threshold──▶ CONSERVATIVE ──5 rounds──▶ over
         ▲                                                            │
         └────────── round's least RTT < the one that raised the alarm ┘

Input: what was acknowledged and its round-trip sample.  Output: by how much the window grows, and whether slow start is
over.  A round is told by times: it ends with the first acknowledgement of something sent after it began.  The increase
per acknowledgement has no limit (L = infinity), for our sender is always paced: RFC 9406 §4.3.
"""

import math

_MIN_THRESHOLD_S = 0.004  # RFC 9406 §4.3, as all below
_MAX_THRESHOLD_S = 0.016
_THRESHOLD_DIVISOR = 8
_MIN_SAMPLES = 8
_CONSERVATIVE_DIVISOR = 4
_CONSERVATIVE_ROUNDS = 5


class HyStart:
    """One initial slow start.

    Attributes:
        is_over: slow start has ended; nothing is to be asked any more.
        is_conservative: the alarm has been raised, growth is a quarter until it is confirmed.
    """

    __slots__ = (
        "_alarm_s",
        "_last_s",
        "_round_at",
        "_rounds_left",
        "_samples",
        "_this_s",
        "is_conservative",
        "is_over",
    )

    def __init__(self) -> None:
        self.is_over = False
        self.is_conservative = False
        self._alarm_s = math.inf  # the least RTT of the round that raised the alarm
        self._rounds_left = _CONSERVATIVE_ROUNDS
        self._round_at = -math.inf
        self._last_s = self._this_s = math.inf  # the least RTT of the last and of this round
        self._samples = 0

    def growth(self, acked_bytes: int, sent_at: float, sample_s: float, now: float) -> float:
        """Bytes by which the window grows.

        Args:
            acked_bytes: newly acknowledged, all but those of a time when the sender did not fill the window.
            sent_at: when the newest of them was sent.
            sample_s: the round-trip time; infinite if this acknowledgement gives none.
        """
        if sent_at >= self._round_at:
            self._begin_round(now)
            if self.is_over:
                return 0.0
        if sample_s < self._this_s:
            self._this_s = sample_s
        if sample_s < math.inf:
            self._samples += 1
        if self._samples >= _MIN_SAMPLES:
            self._judge()
        return acked_bytes / _CONSERVATIVE_DIVISOR if self.is_conservative else float(acked_bytes)

    def _begin_round(self, now: float) -> None:
        self._round_at = now
        if self.is_conservative:
            self._rounds_left -= 1
            self.is_over = self._rounds_left <= 0
        self._last_s, self._this_s = self._this_s, math.inf
        self._samples = 0

    def _judge(self) -> None:
        if self.is_conservative:
            if self._this_s < self._alarm_s:  # the alarm was jitter
                self.is_conservative = False
                self._alarm_s = math.inf
        elif self._last_s < math.inf:
            threshold_s = min(max(self._last_s / _THRESHOLD_DIVISOR, _MIN_THRESHOLD_S), _MAX_THRESHOLD_S)
            if self._this_s >= self._last_s + threshold_s:
                self.is_conservative = True
                self._alarm_s = self._this_s
                self._rounds_left = _CONSERVATIVE_ROUNDS
