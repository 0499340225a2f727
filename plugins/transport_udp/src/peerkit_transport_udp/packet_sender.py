"""Seals payloads into batches of packets."""

from collections.abc import Sequence
from typing import NamedTuple

from peerkit.security import PlaintextWrapper
from peerkit.transport import Buffer

from .frames import PADDING
from .header_protection import HEADER_BYTES, SAMPLED_BYTES, HeaderCipher, mask
from .keys import SendKeys
from .packet_receiver import SEALED
from .paths import Route

TAG_BYTES = 16
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
MIN_PLAINTEXT_BYTES = SAMPLED_BYTES - OVERHEAD_BYTES  # so that there is a sample for the mask
_PADDING = bytes((PADDING,))


class Batch(NamedTuple):
    """Datagrams for one `DatagramEndpoint.send_batch`: the buffers together hold segments of `segment_bytes`, the last
    may be shorter."""

    route: Route
    segment_bytes: int
    buffers: Sequence[Buffer]
    nbytes: int


class PacketSender:
    """Args:
        node: masks the connection id; the peer's node key, or the public one before it is known.
        wrappers: applied in order to each plaintext before it is sealed.

    Attributes:
        overhead_bytes: how much longer than its payload a packet may be.
    """

    __slots__ = ("_flow", "_wrappers", "keys", "node", "overhead_bytes")

    def __init__(
        self, keys: SendKeys, flow: HeaderCipher, node: HeaderCipher, wrappers: Sequence[PlaintextWrapper] = ()
    ) -> None:
        self.keys = keys
        self.node = node
        self.overhead_bytes = OVERHEAD_BYTES + sum(wrapper.overhead for wrapper in wrappers)
        self._flow = flow
        self._wrappers = wrappers

    @property
    def room(self) -> int:
        """Packets that one batch may have now: what the key has left, and no wrap of the counter on the wire."""
        keys = self.keys
        if self._wrappers:
            return min(keys.left, 1)  # they may change lengths, and a batch has equal segments
        left, unwrapped = keys.left, (1 << 32) - (keys.counter & 0xFFFF_FFFF)
        return left if left < unwrapped else unwrapped

    @property
    def room_for_data(self) -> int:
        """The same for packets that need not leave now."""
        left = self.keys.left_for_data
        if left <= 0:
            return 0
        room = self.room
        return room if room < left else left

    def seal(self, route: Route, peer_id: int, payloads: Sequence[bytes]) -> Batch:
        """One batch of payloads that are equally long, but for the last, which may be shorter; at most `room`."""
        keys = self.keys
        first = keys.counter
        if len(payloads[-1]) < MIN_PLAINTEXT_BYTES:
            payloads = [pad(payload) for payload in payloads]
        for wrapper in self._wrappers:
            payloads = [wrapper.wrap(payload) for payload in payloads]
        size = len(payloads[0]) + OVERHEAD_BYTES
        sealed = keys.seal(payloads)
        headers = mask(self._flow, self.node, SEALED | keys.phase, peer_id, first, sealed)
        if len(sealed) == 1:
            return Batch(route, size, (headers[0], sealed[0]), size)
        buffers: list[Buffer] = [b""] * (2 * len(sealed))
        buffers[::2] = headers
        buffers[1::2] = sealed
        return Batch(route, size, buffers, (len(sealed) - 1) * size + len(payloads[-1]) + OVERHEAD_BYTES)


def pad(payload: bytes, size: int = MIN_PLAINTEXT_BYTES) -> bytes:
    """At least `size` bytes, by padding in front."""
    return _PADDING * (size - len(payload)) + payload
