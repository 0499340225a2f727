"""The datagrams of a punch: a question and its answer, 29 bytes each.

    probe:   0x94 ‖ punch(8) ‖ number u32 ‖ tag(16)
    answer:  0x95 ‖ punch(8) ‖ number u32 ‖ tag(16)

`punch` is a hash of both sides' nonces and finds the punch that is meant; the tag is keyed BLAKE2b under a key that is
exported from the session between the two.  So nobody off that session forges a success, an answer is never longer than
its question, and a probe that comes back to its sender is not the other side's.
"""

import hmac
import struct
from dataclasses import dataclass
from hashlib import blake2b

from peerkit.transport import Buffer

PROBE, ANSWER = 0x94, 0x95
LABEL = b"holepunch "  # with both nonces, the asker's first, what the key is exported for
_HEAD = struct.Struct("!B8sI")
_TAG_BYTES = 16
PROBE_BYTES = _HEAD.size + _TAG_BYTES


def punch_id(asker_nonce: bytes, target_nonce: bytes) -> bytes:
    return blake2b(asker_nonce + target_nonce, digest_size=8, person=b"peerkit punch").digest()


def id_of(packet: Buffer) -> bytes | None:
    """The punch that a datagram claims to belong to; `None` if it is none of ours."""
    if len(packet) != PROBE_BYTES or packet[0] not in (PROBE, ANSWER):
        return None
    return bytes(packet[1:9])


@dataclass(frozen=True, slots=True)
class Probe:
    """One that verified."""

    is_answer: bool
    number: int


class ProbeKey:
    """Args:
    key: 32 bytes, exported from the session.
    is_asker: whether our offer began the punch.
    """

    def __init__(self, key: bytes, asker_nonce: bytes, target_nonce: bytes, is_asker: bool) -> None:
        self.id = punch_id(asker_nonce, target_nonce)
        self._key = key
        self._ours, self._theirs = (b"peerkit asker", b"peerkit target")[:: 1 if is_asker else -1]

    def probe(self, number: int) -> bytes:
        return self._seal(PROBE, number)

    def answer(self, number: int) -> bytes:
        return self._seal(ANSWER, number)

    def read(self, packet: Buffer) -> Probe | None:
        """What the other side sent; `None`: it did not."""
        data = bytes(packet)
        if len(data) != PROBE_BYTES or data[0] not in (PROBE, ANSWER):
            return None
        head, tag = data[: _HEAD.size], data[_HEAD.size :]
        kind, name, number = _HEAD.unpack(head)
        if name != self.id or not hmac.compare_digest(tag, self._tag(head, self._theirs)):
            return None
        return Probe(kind == ANSWER, number)

    def _seal(self, kind: int, number: int) -> bytes:
        head = _HEAD.pack(kind, self.id, number)
        return head + self._tag(head, self._ours)

    def _tag(self, head: bytes, side: bytes) -> bytes:
        return blake2b(head, key=self._key, digest_size=_TAG_BYTES, person=side).digest()
