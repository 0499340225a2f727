"""The controllers once more, short, straight from the text of their documents: what the real ones are held against.

They count in packets, do one acknowledgement at a time, and leave out what does not show on the traces they are used
with: HyStart++, application limits, undoing.  `name` and the like only make them fit where a controller is wanted.
"""

import math
from typing import TYPE_CHECKING

from peerkit_transport_udp.congestion import CongestionController, RttEstimator


class Model:
    """What the models share: the window in packets, and one congestion event per round trip."""

    name = "model"
    initial_packets = 10.0

    def __init__(self, packet_bytes: int) -> None:
        self.packet_bytes = packet_bytes
        self.cwnd = self.initial_packets
        self.ssthresh = math.inf
        self.recovery_start_time = -math.inf
        self.now = 0.0

    @property
    def window(self) -> float:
        return self.cwnd * self.packet_bytes

    @property
    def threshold(self) -> float:
        return self.ssthresh * self.packet_bytes

    @property
    def is_slow_start(self) -> bool:
        return self.cwnd < self.ssthresh

    def on_acked(self, acked_bytes: int, sent_at: float, rtt: RttEstimator, now: float, is_app_limited: bool) -> None:
        self.now = now
        self.see(rtt, now)
        if sent_at > self.recovery_start_time:
            for _ in range(acked_bytes // self.packet_bytes):
                self.grow(rtt.smoothed_s)

    def on_lost(self, lost_bytes: int, sent_at: float, now: float) -> None:
        self.now = now
        if sent_at > self.recovery_start_time:
            self.recovery_start_time = now
            self.shrink()

    def see(self, rtt: RttEstimator, now: float) -> None: ...
    def grow(self, srtt: float) -> None: ...
    def shrink(self) -> None: ...
    def on_sent(self, sent_bytes: int, now: float) -> None: ...
    def on_spurious_loss(self, lost_bytes: int, sent_at: float, now: float) -> None: ...
    def on_persistent_congestion(self, now: float) -> None: ...
    def on_new_path(self, now: float) -> None: ...
    def on_datagram_bytes(self, datagram_bytes: int) -> None: ...


class NewRenoModel(Model):
    """RFC 9002, appendix B.5 and B.6."""

    def grow(self, srtt: float) -> None:
        if self.cwnd < self.ssthresh:
            self.cwnd += 1
        else:
            self.cwnd += 1 / self.cwnd

    def shrink(self) -> None:
        self.ssthresh = self.cwnd * 0.5
        self.cwnd = max(self.ssthresh, 2)


class CubicModel(Model):
    """RFC 9438, figures 1 to 6 and sections 4.2 to 4.7."""

    def __init__(self, packet_bytes: int) -> None:
        super().__init__(packet_bytes)
        self.w_max = 0.0
        self.cwnd_prior = 0.0
        self.t_epoch: float | None = None
        self.cwnd_epoch = self.w_est = self.k = 0.0

    def w_cubic(self, t: float) -> float:
        return 0.4 * (t - self.k) ** 3 + self.w_max

    def grow(self, srtt: float) -> None:
        if self.cwnd < self.ssthresh:
            self.cwnd += 1
            return
        if self.t_epoch is None:
            self.t_epoch = self.now
            self.cwnd_epoch = self.w_est = self.cwnd
            self.k = ((self.w_max - self.cwnd_epoch) / 0.4) ** (1 / 3)
        t = self.now - self.t_epoch
        alpha = 1.0 if self.w_est >= self.cwnd_prior else 3 * (1 - 0.7) / (1 + 0.7)
        self.w_est += alpha / self.cwnd
        if self.w_cubic(t) < self.w_est:
            self.cwnd = self.w_est
        else:
            target = min(max(self.w_cubic(t + srtt), self.cwnd), 1.5 * self.cwnd)
            self.cwnd += (target - self.cwnd) / self.cwnd

    def shrink(self) -> None:
        self.cwnd_prior = self.cwnd
        self.w_max = self.cwnd * (1 + 0.7) / 2 if self.cwnd < self.w_max else self.cwnd
        self.ssthresh = self.cwnd = max(self.cwnd * 0.7, 2)
        self.t_epoch = None


class LedbatPlusPlusModel(Model):
    """draft-irtf-iccrg-ledbat-plus-plus-01, section 4; one change of the window per round trip, as it is written."""

    initial_packets = 2.0

    def __init__(self, packet_bytes: int) -> None:
        super().__init__(packet_bytes)
        self.samples: list[tuple[float, float]] = []
        self.base = self.delay = self.srtt = 0.0
        self.round_end = 0.0
        self.acked = 0  # packets in this round, sent after the last loss
        self.state = "initial slow start"
        self.slowdown_start = self.freeze_end = 0.0
        self.next_slowdown = math.inf

    @property
    def gain(self) -> float:
        return 1 / min(16, math.ceil(2 * 0.060 / self.base))

    def see(self, rtt: RttEstimator, now: float) -> None:
        self.srtt = rtt.smoothed_s
        self.samples.append((now, rtt.adjusted_s))
        self.base = min([self.base or math.inf, rtt.adjusted_s])  # no trace lasts ten minutes
        self.delay = min(sample for _, sample in self.samples[-4:]) - self.base
        if self.state == "initial slow start" and self.delay > 0.75 * 0.060:
            self.leave_slow_start()
        elif self.state == "congestion avoidance" and now >= self.next_slowdown:
            self.state = "frozen"
            self.ssthresh, self.cwnd = self.cwnd, 2
            self.slowdown_start, self.freeze_end = now, now + 2 * self.srtt
        elif self.state == "frozen" and now >= self.freeze_end:
            self.state = "ramp"
            self.round_end = now + self.srtt
        if now >= self.round_end:
            self.round_end = now + self.srtt
            self.end_of_round()
            self.acked = 0

    def grow(self, srtt: float) -> None:
        self.acked += 1

    def end_of_round(self) -> None:
        if self.state == "congestion avoidance":
            if self.delay < 0.060:
                self.cwnd += self.gain * min(self.acked / self.cwnd, 1)  # a window holds whole packets only
            else:
                self.cwnd += max(self.gain - 1.0 * self.cwnd * (self.delay / 0.060 - 1), -self.cwnd / 2)
                self.cwnd = max(self.cwnd, 2)
        elif self.state in ("initial slow start", "ramp"):
            self.cwnd = min(self.cwnd + self.gain * self.acked, self.ssthresh)
            if self.cwnd == self.ssthresh:
                self.leave_ramp()

    def leave_slow_start(self) -> None:
        self.state = "congestion avoidance"
        self.ssthresh = self.cwnd
        self.next_slowdown = self.now + 2 * self.srtt

    def leave_ramp(self) -> None:
        self.state = "congestion avoidance"
        self.next_slowdown = self.now + 9 * (self.now - self.slowdown_start)

    def shrink(self) -> None:
        if self.state == "frozen":
            self.ssthresh = max(self.ssthresh / 2, 2)
            return
        self.ssthresh = self.cwnd = max(self.cwnd / 2, 2)
        if self.state == "initial slow start":
            self.leave_slow_start()
        elif self.state == "ramp":
            self.leave_ramp()


if TYPE_CHECKING:
    _fits: tuple[type[CongestionController], ...] = (NewRenoModel, CubicModel, LedbatPlusPlusModel)
