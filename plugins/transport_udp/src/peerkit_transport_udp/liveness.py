"""Whether the peer is still there: when to ask, and when to give up.  Source: RFC 9000 §10.1.

Whoever only receives has nothing under way that could time out: when its NAT forgets it in the middle of a transfer,
the peer's packets go nowhere, and only a packet of its own mends that.  So the end of a run of packets with data is
asked about soon, once.

In: when packets came, time.  Out: deadlines.  Not here: the question itself (a PING), what ends with the connection.
"""

RUN_PACKETS = 16  # with data: the questions are at most a sixteenth more
RUN_OVER_S = 1.0  # guess: longer than a busy sender pauses


class Liveness:
    """Args:
        idle_s: after so long without a packet the connection is over.
        keep_alive_s: after so long we ask.

    Attributes:
        received_at: when a packet of the peer came last.
        run: packets with data that came since we asked about the last run of them.
    """

    __slots__ = ("_idle_s", "_keep_alive_s", "_looked_at", "received_at", "run")

    def __init__(self, idle_s: float, keep_alive_s: float, now: float) -> None:
        self.received_at = now
        self.run = 0
        self._idle_s = idle_s
        self._keep_alive_s = keep_alive_s
        self._looked_at = now  # when we asked, or found that there was no need

    def next_timer(self) -> float:
        lost_at, ask_at = self.received_at + self._idle_s, self._looked_at + self._keep_alive_s
        if self.run >= RUN_PACKETS and (over_at := self.received_at + RUN_OVER_S) < ask_at:
            ask_at = over_at
        return ask_at if ask_at < lost_at else lost_at

    def is_lost(self, now: float) -> bool:
        return now >= self.received_at + self._idle_s

    def wants_to_ask(self, now: float) -> bool:
        """Whether to send a PING now, which counts as sent."""
        if self.run >= RUN_PACKETS and now >= self.received_at + RUN_OVER_S:
            self.run = 0
            self._looked_at = now
            return True
        if now < self._looked_at + self._keep_alive_s:
            return False
        self._looked_at = max(self.received_at, self._looked_at)
        if now < self._looked_at + self._keep_alive_s:
            return False
        self._looked_at = now
        return True
