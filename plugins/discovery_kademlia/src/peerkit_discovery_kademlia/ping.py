"""Liveness by datagrams: one small question, one smaller answer, and nothing kept about who asks.

    grant, in the answer to a Ping over a session:   ticket(44) ‖ key(16)
    ticket:  salt(8) ‖ expires u32 ‖ asker's peer id(32), masked
    ping:    0x90 ‖ ticket ‖ nonce(8) ‖ tag(16)      69 bytes
    pong:    0x91 ‖ nonce(8) ‖ tag(16)               25 bytes

Mask and key are keyed BLAKE2b of the ticket under the answerer's own secret, so that a ping shows it who asks without a
table of askers; the tags are keyed BLAKE2b under the grant's key, which only these two have.  A ticket is good for 24 h
and says nothing to others than that two pings are of one asker.  Expiry is unix time in seconds.
"""

import hmac
import struct
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from peerkit.identity import PeerId
from peerkit.transport import Buffer

PING, PONG = 0x90, 0x91
SALT_BYTES = NONCE_BYTES = 8
TAG_BYTES = KEY_BYTES = 16
_HEAD = struct.Struct("!8sI")
TICKET_BYTES = _HEAD.size + 32
GRANT_BYTES = TICKET_BYTES + KEY_BYTES
PING_BYTES = 1 + TICKET_BYTES + NONCE_BYTES + TAG_BYTES
PONG_BYTES = 1 + NONCE_BYTES + TAG_BYTES
LIFE_S = 86_400
RENEW_S = LIFE_S / 2  # then a session brings the next one
MAX_GRANTS = 8_192  # more than a table holds; the oldest goes


@dataclass(frozen=True, slots=True)
class Asked:
    """A ping that is true, and the answer to it."""

    asker: PeerId
    pong: bytes


class Tickets:
    """The answering side.

    Args:
        secret: 32 bytes that nobody else knows.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def grant(self, asker: PeerId, salt: bytes, now_wall: float) -> bytes:
        """What lets `asker` ping us; for its eyes only."""
        head = _HEAD.pack(salt, int(now_wall) + LIFE_S)
        return head + _xor(asker.raw, self._mask(head)) + self._key(head, asker.raw)

    def answer(self, packet: Buffer, now_wall: float) -> Asked | None:
        """`None`: no ping, or none of ours, or too old."""
        data = bytes(packet)
        if len(data) != PING_BYTES or data[0] != PING:
            return None
        head = data[1 : 1 + _HEAD.size]
        expires = _HEAD.unpack(head)[1]
        if not now_wall < expires <= now_wall + LIFE_S + 1:
            return None
        asker = _xor(data[1 + _HEAD.size : 1 + TICKET_BYTES], self._mask(head))
        key = self._key(head, asker)
        if not hmac.compare_digest(data[-TAG_BYTES:], _tag(key, data[:-TAG_BYTES])):
            return None
        pong = bytes([PONG]) + data[1 + TICKET_BYTES : -TAG_BYTES]
        return Asked(PeerId(asker), pong + _tag(key, pong))

    def _mask(self, head: bytes) -> bytes:
        return blake2b(head, key=self._secret, digest_size=32, person=b"peerkit mask").digest()

    def _key(self, head: bytes, asker: bytes) -> bytes:
        return blake2b(head + asker, key=self._secret, digest_size=KEY_BYTES, person=b"peerkit ping").digest()


class Pings:
    """The asking side: what was granted to us, and what is under way."""

    def __init__(self) -> None:
        self._grants: OrderedDict[PeerId, tuple[bytes, float]] = OrderedDict()
        self._under_way: dict[bytes, bytes] = {}  # nonce → key

    def learn(self, peer: PeerId, grant: bytes, now: float) -> None:
        """Keep a peer's grant of `GRANT_BYTES`; an empty one says that it takes no pings."""
        self._grants.pop(peer, None)
        if grant:
            self._grants[peer] = grant, now + RENEW_S
            if len(self._grants) > MAX_GRANTS:
                self._grants.popitem(last=False)

    def ask(self, peer: PeerId, nonce: bytes, now: float) -> bytes | None:
        """The ping; `None` without a fresh grant.  `forget` it afterwards."""
        grant, until = self._grants.get(peer, (b"", now))
        if now >= until:
            return None
        key = self._under_way[nonce] = grant[TICKET_BYTES:]
        packet = bytes([PING]) + grant[:TICKET_BYTES] + nonce
        return packet + _tag(key, packet)

    def answered(self, packet: Buffer) -> bytes | None:
        """The nonce of the ping that this is the true answer to."""
        data = bytes(packet)
        if len(data) != PONG_BYTES or data[0] != PONG:
            return None
        key = self._under_way.get(data[1:-TAG_BYTES])
        if key is None or not hmac.compare_digest(data[-TAG_BYTES:], _tag(key, data[:-TAG_BYTES])):
            return None
        return data[1:-TAG_BYTES]

    def forget(self, nonce: bytes) -> None:
        self._under_way.pop(nonce, None)


def _tag(key: bytes, packet: bytes) -> bytes:
    return blake2b(packet, key=key, digest_size=TAG_BYTES).digest()


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
