"""Which datagram size the path carries.  Source: RFC 8899 (DPLPMTUD).

One datagram alone, padded to the size in question, is sent as a probe; its acknowledgement proves the size, three lost
probes refute it.  Sizes are bytes of UDP payload.

    BASE 1,200 ─▶ SEARCHING ─nothing left to try─▶ COMPLETE ─10 min─▶ SEARCHING
                     ▲                                │
                     └──── black hole: size = BASE ◀──┘   (also from SEARCHING)

The search tries what networks have (`CANDIDATES`), from Ethernet upwards, and halves the rest.  A *black hole* is a
path that has come to swallow big datagrams and says nothing: several losses of them while not one comes through.

Loss of a probe says nothing about congestion.  An acknowledgement cannot be forged, and an ICMP message is not listened
to; so a stranger can only make us small by dropping what is big, which he could drop anyhow.
"""

import math

MIN_DATAGRAM_BYTES = 1_200  # RFC 9000 §14.1: what every path of the internet carries
MAX_DATAGRAM_BYTES = 65_507  # 65,535 - 20 (IPv4) - 8 (UDP); loopback carries it

# Ascending.  Tunnels and IPv6's minimum; PPPoE and VPNs; Ethernet over IPv6 and IPv4; jumbo frames as clouds and LANs
# set them, less 48 and 28; loopback over IPv6 (65,536 - 48) and IPv4.
CANDIDATES = (1_232, 1_280, 1_400, 1_452, 1_472, 8_900, 8_952, 8_972, 16_384, 65_488, 65_507)
_FIRST = 1_452  # the likeliest of all

_MAX_PROBES = 3  # RFC 8899 §5.1.2
_RETRY_S = 0.5  # guess: after a lost probe; a loss is rarely alone, and nothing hurries
_RAISE_S = 600.0  # RFC 8899 §5.1.1
_BLACK_HOLE_LOSSES = 3  # as MAX_PROBES
_MIN_STEP_BYTES = 20  # a search that ends 20 bytes too low costs 1.5 % of overhead at most
_STEP_SHARE = 32  # and above, 3 %


class PathMtu:
    """Finds the datagram size of one path.

    Args:
        max_datagram_bytes: the setting; 1,200 switches the search off.
        min_datagram_bytes: what the path carries for certain; less than 1,200 on a relay circuit that says so.

    Attributes:
        datagram_bytes: the size in use.
    """

    __slots__ = (
        "_failed_bytes",
        "_failures",
        "_losses",
        "_max_bytes",
        "_min_bytes",
        "_next_at",
        "_probe_bytes",
        "_target_bytes",
        "datagram_bytes",
    )

    def __init__(self, max_datagram_bytes: int, min_datagram_bytes: int = MIN_DATAGRAM_BYTES) -> None:
        self._max_bytes = min(max_datagram_bytes, MAX_DATAGRAM_BYTES)
        self._min_bytes = min(min_datagram_bytes, self._max_bytes)
        self.on_new_path()

    def on_new_path(self) -> None:
        """Begin anew: another path, or this one has changed."""
        self.datagram_bytes = self._min_bytes
        self._failed_bytes = self._max_bytes + 1  # the least size known not to pass
        self._target_bytes = 0  # the size to probe next; 0: search complete
        self._failures = 0  # lost probes of that size
        self._probe_bytes = 0  # the size of the probe in flight, 0: none
        self._next_at = -math.inf  # no probe before
        self._losses = 0  # losses of big datagrams since one was acknowledged
        self._choose()

    @property
    def is_searching(self) -> bool:
        """Whether a larger size is still being looked for."""
        return self._target_bytes > 0

    def next_timer(self) -> float:
        """When `probe_bytes` may have another answer by time alone; infinite while a probe is in flight."""
        return math.inf if self._probe_bytes or self.datagram_bytes >= self._max_bytes else self._next_at

    def probe_bytes(self, now: float) -> int:
        """The size of the probe to send now, 0 for none.  Tell `on_probe_sent` when it has left."""
        if self._probe_bytes or now < self._next_at:
            return 0
        if not self._target_bytes and self.datagram_bytes < self._max_bytes:
            self._failed_bytes = self._max_bytes + 1  # the raise timer: what failed once may pass today
            self._choose()
        return self._target_bytes

    def on_probe_sent(self, now: float) -> None:
        self._probe_bytes = self._target_bytes

    def on_probe_acked(self, now: float) -> bool:
        """The probe came through; returns whether `datagram_bytes` changed."""
        proved, self._probe_bytes = self._probe_bytes, 0
        if proved <= self.datagram_bytes:
            return False
        self.datagram_bytes = proved
        self._failed_bytes = max(self._failed_bytes, proved + 1)
        self._losses = 0
        self._choose(now)
        return True

    def on_probe_lost(self, now: float) -> None:
        """The probe is lost, by loss detection or by a probe timeout."""
        lost, self._probe_bytes = self._probe_bytes, 0
        if not lost or lost != self._target_bytes:
            return  # of a search given up meanwhile
        self._failures += 1
        if self._failures >= _MAX_PROBES:
            self._failed_bytes = lost
            self._choose(now)
        if self._target_bytes:
            self._next_at = now + _RETRY_S

    def on_too_big(self, datagram_bytes: int, now: float) -> bool:
        """The own system refused a datagram of this size (EMSGSIZE); returns whether `datagram_bytes` changed."""
        if datagram_bytes <= self._min_bytes:
            return False  # nothing smaller to go to
        self._failed_bytes = min(self._failed_bytes, datagram_bytes)
        if self._probe_bytes >= datagram_bytes:
            self._probe_bytes = 0
        is_changed = self.datagram_bytes >= datagram_bytes
        if is_changed:
            self.datagram_bytes = self._min_bytes
        self._choose(now)
        return is_changed

    def on_acked(self, largest_bytes: int) -> None:
        """An acknowledgement came; `largest_bytes` is the largest datagram that it newly acknowledges."""
        if largest_bytes > self._min_bytes:
            self._losses = 0

    def on_lost(self, largest_bytes: int, now: float) -> bool:
        """Datagrams were declared lost, the largest of this size, in one call of the loss detection.

        Call it after `on_acked` of the same acknowledgement.  Returns whether it is a black hole, and `datagram_bytes`
        therefore smaller now.
        """
        return largest_bytes > self._min_bytes and self._count_loss(now)

    def on_timeout(self, now: float) -> bool:
        """A probe timeout (PTO) expired with big datagrams in flight; returns as `on_lost` does."""
        return self._count_loss(now)

    def _count_loss(self, now: float) -> bool:
        self._losses += 1
        if self._losses < _BLACK_HOLE_LOSSES or self.datagram_bytes == self._min_bytes:
            return False
        # All sizes are open again: a false alarm, such as a radio silent for seconds, costs some round trips only.
        probe = self._probe_bytes
        self.on_new_path()
        self._probe_bytes = probe
        self._next_at = now + _RETRY_S
        return True

    def _choose(self, now: float = -math.inf) -> None:
        """Set the size to probe next, or end the search."""
        low, high = self.datagram_bytes, self._failed_bytes
        self._failures = 0
        self._target_bytes = _between(low, high, self._max_bytes)
        self._next_at = now if self._target_bytes else now + _RAISE_S


def _between(low: int, high: int, maximum: int) -> int:
    """The size to try when `low` passes and `high` does not; 0 when they are near enough."""
    open_sizes = [size for size in (*CANDIDATES, maximum) if low < size < high]
    upwards = [size for size in open_sizes if size >= _FIRST]
    if upwards:
        return min(upwards)
    if open_sizes:
        return max(open_sizes)
    if high - low <= max(_MIN_STEP_BYTES, low // _STEP_SHARE):
        return 0
    return (low + high) // 2
