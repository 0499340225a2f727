"""Opens batches of sealed packets and decides when to acknowledge them.

A batch in order costs one comparison, one call of the cipher per packet and one change of a range; anything else goes
packet by packet.  What does not verify, or came before, is counted and dropped: a stranger can make us do no more than
one failed decryption per packet.
"""

import math
from collections.abc import Sequence

from peerkit.errors import VerificationFailed
from peerkit.security import PlaintextWrapper

from .congestion import RttEstimator
from .frames import MAX_ACK_RANGES, ack
from .header_protection import HEADER_BYTES, HeaderCipher, flow_fields
from .keys import PHASE, ReceiveKeys
from .received_ranges import ReceivedRanges

SEALED = 0x40  # the first byte but for the phase
MAX_ACK_DELAY_S = 0.025  # RFC 9000 §18.2
_ACK_EVERY = 2  # RFC 9000 §13.2.2


class PacketReceiver:
    """Args:
        wrappers: undone, the last first, on what was opened.

    Attributes:
    packets: opened so far.
    duplicates, failures: packets dropped because they had come before, or did not verify.
    is_newest: whether the last batch held a counter above all before it.
    ack_at: when an acknowledgement is due; infinite when none is.
    """

    __slots__ = (
        "_flow",
        "_largest_at",
        "_waiting",
        "_wrappers",
        "ack_at",
        "duplicates",
        "failures",
        "is_newest",
        "keys",
        "packets",
        "ranges",
    )

    def __init__(self, keys: ReceiveKeys, flow: HeaderCipher, wrappers: Sequence[PlaintextWrapper] = ()) -> None:
        self.keys = keys
        self._wrappers = tuple(reversed(wrappers))
        self.ranges = ReceivedRanges()
        self.packets = 0
        self.duplicates = 0
        self.failures = 0
        self.is_newest = False
        self.ack_at = math.inf
        self._flow = flow
        self._largest_at = 0.0
        self._waiting = 0  # packets that want an acknowledgement and have none

    def open(self, batch: memoryview, segment_bytes: int, heads: bytes, rtt: RttEstimator, now: float) -> list[bytes]:
        """The plaintexts of those packets that verify and are new.

        Args:
            heads: `gather` of the batch.

        Raises:
            RemoteProtocolError: a wrapper does not understand what the peer sealed.
        """
        fields = flow_fields(self._flow, heads)
        ranges, keys = self.ranges, self.keys
        count, low = len(fields) // 2, fields[1]
        first = ranges.expand(low)
        if (
            first >= ranges.next
            and (count == 1 or fields[1::2] == tuple(range(low, low + count)))
            and (fields[::2].count(SEALED | keys.phase) == count)
        ):
            sealed_bytes = segment_bytes - HEADER_BYTES
            starts = range(HEADER_BYTES, count * segment_bytes, segment_bytes)
            try:
                opened = keys.open_batch(first, [batch[at : at + sealed_bytes] for at in starts])
            except VerificationFailed:
                pass  # one of them is forged: find out which
            else:
                self.is_newest = True
                if not ranges.add(first, first + count):
                    self.ack_at = now  # a gap: tell at once
                self._largest_at = now
                self.packets += count
                return self._unwrapped(opened) if self._wrappers else opened
        return self._open_singly(batch, segment_bytes, fields, rtt, now)

    def _open_singly(
        self, batch: memoryview, segment_bytes: int, fields: tuple[int, ...], rtt: RttEstimator, now: float
    ) -> list[bytes]:
        opened = []
        timeout_s = rtt.timeout_s(MAX_ACK_DELAY_S)
        self.is_newest = False
        ranges = self.ranges
        for at in range(len(fields) // 2):
            first_byte, counter = fields[2 * at], ranges.expand(fields[2 * at + 1])
            if first_byte & ~PHASE != SEALED:
                self.failures += 1
                continue
            if ranges.contains(counter):
                self.duplicates += 1
                continue
            start = at * segment_bytes
            sealed = batch[start + HEADER_BYTES : start + segment_bytes]
            try:
                plaintext = self.keys.open(first_byte & PHASE, counter, sealed, timeout_s, now)
            except VerificationFailed:
                self.failures += 1
                continue
            opened.append(plaintext)
            if counter >= ranges.next:
                self.is_newest = True
                self._largest_at = now
            if not ranges.add(counter, counter + 1):
                self.ack_at = now
        self.packets += len(opened)
        return self._unwrapped(opened) if self._wrappers else opened

    def _unwrapped(self, plaintexts: list[bytes]) -> list[bytes]:
        for wrapper in self._wrappers:
            plaintexts = [wrapper.unwrap(plaintext) for plaintext in plaintexts]
        return [plaintext for plaintext in plaintexts if plaintext]

    # -- acknowledgements ----------------------------------------------------------------------------------------

    def wants_ack(self, packets: int, now: float) -> None:
        """So many of the packets just opened want an acknowledgement."""
        self._waiting += packets
        if self._waiting >= _ACK_EVERY:
            self.ack_at = now
        elif self.ack_at == math.inf:
            self.ack_at = now + MAX_ACK_DELAY_S

    @property
    def has_unacked(self) -> bool:
        return self._waiting > 0

    def ack_frame(self, now: float) -> bytes:
        """The acknowledgement; none is due afterwards."""
        self._waiting = 0
        self.ack_at = math.inf
        delay_s = now - self._largest_at
        return ack(self.ranges.latest(MAX_ACK_RANGES), delay_s if delay_s > 0.0 else 0.0)
