"""With which hosts we had to do lately: what comes from one of them proves nothing, as a router lets in for minutes
who was written to.  The gate knows: it is asked about every dial, probe and session."""

from collections import OrderedDict

from peerkit.clock import Clock
from peerkit.trust import Question

REMEMBERED_S = 300.0  # the longest that RFC 4787 §4.3 recommends; Linux forgets after 2 min of silence
MAX_HOSTS = 4_096  # strangers come from many: the oldest goes


class Contacts:
    """A `peerkit.trust.TrustPolicy` that always abstains."""

    name = "public_address"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: OrderedDict[str, float] = OrderedDict()

    def decide(self, question: Question) -> None:
        if question.address is not None:
            host = question.address.host
            self._last[host] = self._clock.now()
            self._last.move_to_end(host)
            if len(self._last) > MAX_HOSTS:
                self._last.popitem(last=False)

    def forget(self) -> None:
        """We are elsewhere: what opened our old router opens no other."""
        self._last.clear()

    def had_with(self, host: str) -> bool:
        """Whether a packet of ours may have opened our router for that host."""
        return self._clock.now() - self._last.get(host, -REMEMBERED_S) < REMEMBERED_S
