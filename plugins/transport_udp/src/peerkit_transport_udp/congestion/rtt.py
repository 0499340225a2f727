"""How long a round trip takes, from the samples of acknowledgements.  Source: RFC 9002 §5, §6.2.

It learns from `update`, once per acknowledgement whose largest datagram is newly acknowledged, and answers with plain
attributes.  It neither sends nor keeps what was sent.
"""

INITIAL_RTT_S = 0.333  # RFC 9002 §6.2.2
GRANULARITY_S = 0.005  # RFC 9002 §6.1.2 names 1 ms; an asyncio loop under load is later than that


class RttEstimator:
    """Round-trip times of one path.

    Attributes:
        latest_s: the last sample as measured, with the peer's delay in it; 0 before the first.
        adjusted_s: the last sample without the delay that the peer reported, where that is plausible.
        smoothed_s: the moving average; `initial_s` before the first sample.
        variation_s: the mean deviation.
        min_s: the smallest sample; 0 before the first.
        samples: how many came.
    """

    __slots__ = ("adjusted_s", "initial_s", "latest_s", "min_s", "samples", "smoothed_s", "variation_s")

    def __init__(self, initial_s: float = INITIAL_RTT_S) -> None:
        self.initial_s = initial_s
        self.reset()

    def reset(self) -> None:
        """Forget everything: the path is another one."""
        self.latest_s = 0.0
        self.adjusted_s = 0.0
        self.smoothed_s = self.initial_s
        self.variation_s = self.initial_s / 2
        self.min_s = 0.0
        self.samples = 0

    def update(self, sample_s: float, ack_delay_s: float = 0.0) -> None:
        """Take a sample.

        Args:
            sample_s: from the sending of the largest newly acknowledged datagram until now; below 0 counts as 0.
            ack_delay_s: how long the peer says it kept the acknowledgement back, already cut to its maximum.  A lie
                cannot push the result below `min_s`.
        """
        if sample_s < 0.0:
            sample_s = 0.0
        self.latest_s = sample_s
        self.samples += 1
        if self.samples == 1:
            self.min_s = self.adjusted_s = self.smoothed_s = sample_s
            self.variation_s = sample_s / 2
            return
        if sample_s < self.min_s:
            self.min_s = sample_s
        if 0.0 < ack_delay_s <= sample_s - self.min_s:
            sample_s -= ack_delay_s
        self.adjusted_s = sample_s
        self.variation_s += (abs(self.smoothed_s - sample_s) - self.variation_s) / 4
        self.smoothed_s += (sample_s - self.smoothed_s) / 8

    def restart_minimum(self) -> None:
        """Let the next sample set `min_s` anew: after persistent congestion the old one may be of another route."""
        self.min_s = self.latest_s

    def timeout_s(self, max_ack_delay_s: float) -> float:
        """The probe timeout (PTO) without back-off: RFC 9002 §6.2.1."""
        deviation_s = 4 * self.variation_s
        return self.smoothed_s + (deviation_s if deviation_s > GRANULARITY_S else GRANULARITY_S) + max_ack_delay_s

    def loss_delay_s(self) -> float:
        """How much later than a datagram a newer one must have been acknowledged to call it lost: RFC 9002 §6.1.2."""
        return max(1.125 * max(self.smoothed_s, self.latest_s), GRANULARITY_S)
