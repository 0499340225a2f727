"""How long peers take to answer, so that a lookup knows when a request has become slow.

One estimate for a whole node: the 90th percentile of the last requests, dialling included.  Pure.
"""

from collections import deque

SAMPLES = 128
RECOUNT_EVERY = 8  # sorting 128 floats costs 6 µs
FIRST_GUESS_S = 0.4  # guess: dial, handshake and request at 130 ms each
MIN_S, MAX_S = 0.02, 2.0
GIVE_UP = 2.5  # guess, times the 90th percentile: later answers are welcome, but nobody waits for them


class RoundTrips:
    """Attributes:
    hedge_s: after this a request no longer counts as in flight, and the next candidate is asked beside it.
    give_up_s: after this a lookup may finish without the answer.
    """

    __slots__ = ("_count", "_samples", "give_up_s", "hedge_s")

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._count = 0
        self.hedge_s = FIRST_GUESS_S
        self.give_up_s = FIRST_GUESS_S * GIVE_UP

    def add(self, seconds: float) -> None:
        """A request was answered after so long."""
        self._samples.append(seconds)
        self._count += 1
        if self._count % RECOUNT_EVERY == 0:
            ordered = sorted(self._samples)
            p90 = ordered[len(ordered) * 9 // 10]
            self.hedge_s = min(MAX_S, max(MIN_S, p90))
            self.give_up_s = max(0.1, self.hedge_s * GIVE_UP)
