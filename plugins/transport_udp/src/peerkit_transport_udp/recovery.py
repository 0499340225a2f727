"""What follows from acknowledgements and from their absence: round trips, windows, losses, probes.

In: batches sent, acknowledgements, time.  Out: payloads to send again, how much may be sent, when to look again.
Source: RFC 9002 §5 to §7 and its appendices.
"""

import math
from collections import deque
from collections.abc import Callable

from peerkit.errors import RemoteProtocolError

from .congestion.path_mtu import MIN_DATAGRAM_BYTES
from .frames import Ack
from .packet_receiver import MAX_ACK_DELAY_S
from .paths import PathState
from .sent_log import CONTROL, MTU_PROBE, RELIABLE, SentBatch, SentLog

MAX_PROBE_TIMEOUT_S = 10.0  # guess: a peer that comes back after a pause is noticed so soon
_MAX_BACKOFF = 6
_PERSISTENT = 3  # RFC 9002 §7.6.1
_PROBES = 2  # RFC 9002 §6.2.4


class Recovery:
    """Attributes:
    lost: reliable payloads to send again, oldest first.
    lost_control: the same of the transport's own frames.
    probes: packets that shall leave now although the window is full, because nothing was heard for so long.
    packets_lost, timeouts: counted.
    """

    __slots__ = (
        "_last_acked_sent_at",
        "_last_sent_at",
        "_mtu_changed",
        "backoff",
        "log",
        "lost",
        "lost_control",
        "packets_lost",
        "probes",
        "timeouts",
    )

    def __init__(self, mtu_changed: Callable[[PathState], None]) -> None:
        self.log = SentLog()
        self.lost: deque[bytes] = deque()
        self.lost_control: deque[bytes] = deque()
        self.probes = 0
        self.backoff = 0
        self.packets_lost = 0
        self.timeouts = 0
        self._mtu_changed = mtu_changed
        self._last_sent_at = -math.inf
        self._last_acked_sent_at = -math.inf

    def sent(self, batch: SentBatch) -> None:
        """A batch that wants an acknowledgement leaves now."""
        path, nbytes, now = batch.path, batch.nbytes, batch.sent_at
        self.log.add(batch)
        self._last_sent_at = now
        path.in_flight += nbytes
        path.count_sent(batch.end - batch.first)
        path.controller.on_sent(nbytes, now)
        path.pacer.on_sent(nbytes, now)

    # -- acknowledgements ----------------------------------------------------------------------------------------

    def acknowledged(self, ack: Ack, next_counter: int, active: PathState, now: float) -> bool:
        """Take an acknowledgement.  Returns whether it told anything new.

        Raises:
            RemoteProtocolError: it covers what was never sent.
        """
        largest = ack.ranges[0][1] - 1
        if largest >= next_counter:
            raise RemoteProtocolError("the peer acknowledges packets that were never sent")
        acked = self.log.acknowledge(ack.ranges)
        if not acked:
            return False
        self.backoff = 0
        self.probes = 0
        newest = acked[-1]
        acked_bytes = largest_bytes = 0
        sent_at = -math.inf
        probe: SentBatch | None = None
        for batch in acked:
            path, nbytes = batch.path, batch.nbytes
            path.in_flight -= nbytes
            if batch.content is MTU_PROBE:
                probe = batch
            elif path is active:
                acked_bytes += nbytes
                if batch.datagram_bytes > largest_bytes:
                    largest_bytes = batch.datagram_bytes
                if batch.sent_at > sent_at:
                    sent_at = batch.sent_at
        if newest.end - 1 == largest and newest.path is active:
            delay_s = ack.delay_s
            active.rtt.update(now - newest.sent_at, delay_s if delay_s < MAX_ACK_DELAY_S else MAX_ACK_DELAY_S)
        if acked_bytes:
            active.mtu.on_acked(largest_bytes)
            active.controller.on_acked(acked_bytes, sent_at, active.rtt, now, active.is_app_limited)
        if probe is not None and probe.path.mtu.on_probe_acked(now):
            self._mtu_changed(probe.path)
        before = self._last_acked_sent_at
        if newest.sent_at > before:
            self._last_acked_sent_at = newest.sent_at
        if self.log.has_unacked_below:
            self.detect_losses(active, now, before)
        else:
            self.log.loss_at = math.inf
        active.pacer.update(active.controller, active.rtt)
        return True

    # -- losses --------------------------------------------------------------------------------------------------

    def detect_losses(self, active: PathState, now: float, acked_sent_at: float = math.inf) -> None:
        """Find out what is lost by now.

        Args:
            acked_sent_at: when the newest packet was sent that had been acknowledged before.
        """
        lost = self.log.take_lost(now, active.rtt.loss_delay_s())
        if not lost:
            return
        lost_bytes = largest_bytes = 0
        newest_at, oldest_at = -math.inf, math.inf
        for batch in lost:
            path, packets = batch.path, batch.end - batch.first
            path.in_flight -= batch.nbytes
            if batch.content is MTU_PROBE:
                path.mtu.on_probe_lost(now)
                continue
            self.packets_lost += packets
            path.lost_packets += packets
            self._keep(batch)
            if path is active:
                lost_bytes += batch.nbytes
                largest_bytes = max(largest_bytes, batch.datagram_bytes)
                newest_at = max(newest_at, batch.sent_at)
                if batch.sent_at > acked_sent_at:
                    oldest_at = min(oldest_at, batch.sent_at)
        if not lost_bytes:
            return
        active.controller.on_lost(lost_bytes, newest_at, now)
        if active.mtu.on_lost(largest_bytes, now):
            self._mtu_changed(active)
        if newest_at - oldest_at > _PERSISTENT * active.rtt.timeout_s(MAX_ACK_DELAY_S) and active.rtt.samples:
            active.controller.on_persistent_congestion(now)
            active.rtt.restart_minimum()
        active.pacer.update(active.controller, active.rtt)

    def _keep(self, batch: SentBatch) -> None:
        if batch.content is RELIABLE:
            self.lost.extend(batch.payloads)
        elif batch.content is CONTROL:
            self.lost_control.extend(batch.payloads)

    # -- silence -------------------------------------------------------------------------------------------------

    def probe_timeout_s(self, path: PathState) -> float:
        """RFC 9002 §6.2.1, with its back-off."""
        timeout_s = path.rtt.timeout_s(MAX_ACK_DELAY_S)
        if self.backoff:
            timeout_s *= 1 << min(self.backoff, _MAX_BACKOFF)
        return timeout_s if timeout_s < MAX_PROBE_TIMEOUT_S else MAX_PROBE_TIMEOUT_S

    def next_timer(self, active: PathState) -> float:
        log = self.log
        if log.loss_at != math.inf:
            return log.loss_at
        return self._last_sent_at + self.probe_timeout_s(active) if len(log) else math.inf

    def on_timer(self, active: PathState, now: float) -> None:
        """Declare losses, or ask for probes when nothing was heard for a probe timeout."""
        if now < self.next_timer(active):
            return
        if self.log.loss_at <= now:
            self.detect_losses(active, now)
            return
        for probe in self.log.take_mtu_probes():
            probe.path.in_flight -= probe.nbytes
            probe.path.mtu.on_probe_lost(now)
        if not len(self.log):
            return  # it was the only one under way: the path is as good as it was
        self.timeouts += 1
        self.backoff += 1
        self.probes = _PROBES
        self._last_sent_at = now
        newest = self.log.newest
        if newest is not None and newest.datagram_bytes > MIN_DATAGRAM_BYTES and active.mtu.on_timeout(now):
            self._mtu_changed(active)
        content, payloads = self.log.take_probes(_PROBES)
        (self.lost_control if content is CONTROL else self.lost).extendleft(reversed(payloads))

    def forget(self) -> None:
        """The connection is over: free everything."""
        for batch in self.log.forget():
            batch.path.in_flight -= batch.nbytes
        self.lost.clear()
        self.lost_control.clear()
