"""What has been sent and not yet acknowledged, in batches; and which of it is lost.

One entry per batch, not per packet: an acknowledgement in order takes whole entries away, one with gaps cuts them.
In: batches, acknowledged ranges, time.  Out: the parts that were acknowledged or lost.  Not here: congestion control,
timers, what is sent again (`connection.py`).

Lost is a packet that was sent before an acknowledged one, by three counters or by 9/8 of a round trip.
Source: RFC 9002 §6.1.  Every entry is part of a window that we filled ourselves: the log grows with that, not with
what a peer says.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import inf
from typing import TYPE_CHECKING

from .frames import Range

if TYPE_CHECKING:
    from .paths import PathState

PACKET_THRESHOLD = 3  # RFC 9002 §6.1.1


class Content(Enum):
    """What a batch carries, and so what its loss means."""

    RELIABLE = auto()  # payloads of the session: they are sent again
    CONTROL = auto()  # frames of the transport: they are sent again
    ONCE = auto()  # nothing that is sent again
    MTU_PROBE = auto()  # its loss says that the path is too narrow, nothing about congestion


# Before Python 3.12 a member of an enum costs a search each time it is named (measured: 70 ns).
RELIABLE, CONTROL, ONCE, MTU_PROBE = Content.RELIABLE, Content.CONTROL, Content.ONCE, Content.MTU_PROBE


@dataclass(slots=True)
class SentBatch:
    """Packets with the counters `first..end-1`.

    Attributes:
        datagram_bytes: size of each on the wire; the last may be shorter.
        nbytes: of all together.
        payloads: what each carries, for sending it again; empty when it is not.
    """

    first: int
    end: int
    sent_at: float
    datagram_bytes: int
    nbytes: int
    path: "PathState"
    content: Content
    payloads: Sequence[bytes]

    def part(self, first: int, end: int) -> "SentBatch":
        """The packets `first..end-1` of it."""
        if first == self.first and end == self.end:
            return self
        missing = (self.end - self.first) * self.datagram_bytes - self.nbytes  # of the last to a whole one
        return SentBatch(
            first,
            end,
            self.sent_at,
            self.datagram_bytes,
            (end - first) * self.datagram_bytes - (missing if end == self.end else 0),
            self.path,
            self.content,
            self.payloads[first - self.first : end - self.first],
        )


class SentLog:
    """Attributes:
    largest_acked: -1 before the first acknowledgement.
    loss_at: when the oldest packet below `largest_acked` counts as lost by time; infinite when there is none.
    """

    __slots__ = ("_batches", "largest_acked", "loss_at")

    def __init__(self) -> None:
        self._batches: deque[SentBatch] = deque()
        self.largest_acked = -1
        self.loss_at = inf

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def oldest(self) -> SentBatch | None:
        return self._batches[0] if self._batches else None

    @property
    def newest(self) -> SentBatch | None:
        return self._batches[-1] if self._batches else None

    @property
    def has_unacked_below(self) -> bool:
        """Whether a packet that was sent before an acknowledged one is not acknowledged."""
        return bool(self._batches) and self._batches[0].first < self.largest_acked

    @property
    def holds_reliable(self) -> bool:
        """Whether something is under way that would be sent again."""
        return any(batch.payloads for batch in self._batches)

    def add(self, batch: SentBatch) -> None:
        self._batches.append(batch)

    def acknowledge(self, ranges: Sequence[Range]) -> list[SentBatch]:
        """Take out what these descending ranges cover; returns it, oldest first."""
        end_of_all = ranges[0][1]
        if end_of_all > self.largest_acked:
            self.largest_acked = end_of_all - 1
        batches, acked = self._batches, []
        if len(ranges) == 1:  # the ordinary case: everything so far has come
            start = ranges[0][0]
            while batches and start <= batches[0].first and batches[0].end <= end_of_all:
                acked.append(batches.popleft())
            if not batches or batches[0].first >= end_of_all:
                return acked
        kept = []
        at = len(ranges) - 1
        while batches and batches[0].first < end_of_all:
            batch = batches.popleft()
            position = batch.first
            while at >= 0 and ranges[at][1] <= position:
                at -= 1
            while at >= 0 and ranges[at][0] < batch.end:
                start, stop = max(ranges[at][0], position), min(ranges[at][1], batch.end)
                if start > position:
                    kept.append(batch.part(position, start))
                acked.append(batch.part(start, stop))
                position = stop
                if ranges[at][1] > batch.end:
                    break  # it goes on in the next batch
                at -= 1
            if position < batch.end:
                kept.append(batch.part(position, batch.end))
        batches.extendleft(reversed(kept))
        return acked

    def take_lost(self, now: float, loss_delay_s: float) -> list[SentBatch]:
        """Take out what counts as lost now; sets `loss_at`."""
        batches, lost, kept = self._batches, [], []
        self.loss_at = inf
        below = self.largest_acked - PACKET_THRESHOLD + 1
        while batches and batches[0].first < self.largest_acked:
            batch = batches.popleft()
            if batch.sent_at + loss_delay_s <= now or batch.end <= below:
                lost.append(batch)
                continue
            if batch.first < below:
                lost.append(batch.part(batch.first, below))
                batch = batch.part(below, batch.end)
            kept.append(batch)
            self.loss_at = min(self.loss_at, batch.sent_at + loss_delay_s)
        batches.extendleft(reversed(kept))
        return lost

    def take_mtu_probes(self) -> list[SentBatch]:
        """Take out the probes for larger datagrams: nothing was heard for so long that they count as lost."""
        probes = [batch for batch in self._batches if batch.content is Content.MTU_PROBE]
        for probe in probes:
            self._batches.remove(probe)
        return probes

    def take_probes(self, count: int) -> tuple[Content, Sequence[bytes]]:
        """The oldest `count` payloads that would be sent again, to be sent again now, though their packets are not
        lost: those stay in the log without content."""
        for at, batch in enumerate(self._batches):
            if batch.payloads:
                middle = min(batch.first + count, batch.end)
                probed = batch.part(batch.first, middle)
                if middle < batch.end:
                    self._batches.insert(at + 1, batch.part(middle, batch.end))
                content, payloads = batch.content, probed.payloads
                self._batches[at] = replace(probed, content=Content.ONCE, payloads=())
                return content, payloads
        return Content.ONCE, ()

    def forget(self) -> list[SentBatch]:
        """Take everything out: the connection is over."""
        batches = list(self._batches)
        self._batches.clear()
        self.loss_at = inf
        return batches
