"""How long the way to a peer and back takes, from the session's own pings, or before the first from its handshake."""

import math


class RoundTrip:
    """Attributes:
    rtt_s: smoothed, `nan` before the first answer.
    """

    __slots__ = ("_asked_at", "_nonce", "rtt_s")

    def __init__(self) -> None:
        self.rtt_s = math.nan
        self._nonce: bytes | None = None
        self._asked_at = 0.0

    def measured(self, sample: float) -> None:
        """The way took `sample` seconds, and whoever answered some more."""
        self.rtt_s = sample

    def asked(self, nonce: bytes, now: float) -> None:
        """A ping is on its way; an earlier one without an answer is forgotten."""
        self._nonce, self._asked_at = nonce, now

    def answered(self, nonce: bytes, now: float) -> bool:
        """An answer came; one that was not asked for counts for nothing: `False`."""
        if nonce != self._nonce:
            return False
        self._nonce = None
        sample = now - self._asked_at
        self.rtt_s = sample if math.isnan(self.rtt_s) else 0.875 * self.rtt_s + 0.125 * sample  # RFC 6298 §2.3
        return True
