"""What ties a Noise static key to a `PeerId`, and a node's own static keys, one per epoch of 30 days.

    certificate = peer id(32) ‖ not_after u64 (unix seconds) ‖ signature(64)                             104 bytes
    signature   = Ed25519 over purpose "noise-static": static key(32) ‖ not_after u64

The static key itself is not repeated: Noise has just proved who holds it.  A key is certified until 48 h after its
epoch, and accepted as long, so that records of the old epoch (≤ 24 h) still lead to us.  A `not_after` far ahead is
taken: a machine without a battery clock must be able to join, and only the identity itself can sign one.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.identity import PEER_ID_BYTES, SIGNATURE_BYTES, PeerId, verify
from peerkit.record import Signed

from .x25519 import KEY_BYTES, KeyPair, key_pair

EPOCH_S = 30 * 86_400
OVERLAP_S = 48 * 3_600
CLOCK_TOLERANCE_S = 600  # the same as for records
PURPOSE = "noise-static"
_CERTIFICATE = struct.Struct(f"!{PEER_ID_BYTES}sQ{SIGNATURE_BYTES}s")
_BODY = struct.Struct(f"!{KEY_BYTES}sQ")
CERTIFICATE_BYTES = _CERTIFICATE.size


class StaticKey(NamedTuple):
    """One epoch's key with its certificate."""

    pair: KeyPair
    certificate: bytes


class StaticKeys:
    """A node's own static keys.

    Args:
        derive_secret, sign: of the node's identity.
    """

    def __init__(
        self, peer_id: PeerId, derive_secret: Callable[[bytes], bytes], sign: Callable[[str, bytes], Signed]
    ) -> None:
        self._peer_id = peer_id
        self._derive_secret = derive_secret
        self._sign = sign
        self._epochs: dict[int, StaticKey] = {}

    def current(self, now_wall: float) -> StaticKey:
        return self._of_epoch(_epoch(now_wall))

    def accepted(self, now_wall: float) -> tuple[StaticKey, ...]:
        """The keys that others may still know: the current one, and for 48 h the previous one."""
        epoch = _epoch(now_wall)
        if epoch == 0 or now_wall - epoch * EPOCH_S >= OVERLAP_S:
            return (self._of_epoch(epoch),)
        return self._of_epoch(epoch), self._of_epoch(epoch - 1)

    def _of_epoch(self, epoch: int) -> StaticKey:
        key = self._epochs.get(epoch)
        if key is None:
            pair = key_pair(self._derive_secret(b"noise static" + struct.pack("!I", epoch)))
            not_after = (epoch + 1) * EPOCH_S + OVERLAP_S
            signature = self._sign(PURPOSE, _BODY.pack(pair.public, not_after)).signature
            key = StaticKey(pair, _CERTIFICATE.pack(self._peer_id.raw, not_after, signature))
            # Old secrets leave the memory; the clock may step between two epochs, so two are kept.
            self._epochs = {e: k for e, k in self._epochs.items() if abs(e - epoch) == 1}
            self._epochs[epoch] = key
        return key


def verify_certificate(network_id: bytes, static_public: bytes, certificate: bytes) -> tuple[PeerId, int]:
    """The peer that certified this static key, and until when (unix seconds).

    Raises:
        RemoteProtocolError: not 104 bytes, or not signed by that peer for this key and network.
    """
    if len(certificate) != CERTIFICATE_BYTES:
        raise RemoteProtocolError("a handshake without an identity certificate")
    raw, not_after, signature = _CERTIFICATE.unpack(certificate)
    peer_id = PeerId(raw)
    try:
        verify(peer_id, PURPOSE, network_id, _BODY.pack(static_public, not_after), signature)
    except VerificationFailed:
        raise RemoteProtocolError(f"the static key is not certified by {peer_id.short}") from None
    return peer_id, not_after


def _epoch(now_wall: float) -> int:
    return max(0, int(now_wall // EPOCH_S))
