"""`NoiseSecurity`: what the kernel gets of this plugin."""

from functools import lru_cache, partial
from typing import TYPE_CHECKING

from peerkit.clock import Rng
from peerkit.identity import PeerId
from peerkit.security import Aead, HandshakeParameters, PacketProtection

from .handshake import NoiseHandshake
from .identity_certificate import StaticKeys, verify_certificate

KNOWN_CERTIFICATES = (
    1024  # peers whose certificate need not be verified again (44 µs each); 0.3 MiB, least recent go first
)


class NoiseSecurity:
    """One per node.

    Args:
        psk: 32 bytes that all members of a private network share, or `None`.
    """

    def __init__(
        self, peer_id: PeerId, network_id: bytes, keys: StaticKeys, rng: Rng, psk: bytes | None = None
    ) -> None:
        self._peer_id = peer_id
        self._keys = keys
        self._rng = rng
        self._psk = psk
        self._verify = lru_cache(KNOWN_CERTIFICATES)(partial(verify_certificate, network_id))

    @property
    def name(self) -> str:
        return "noise"

    def static_key(self, now_wall: float) -> bytes:
        return self._keys.current(now_wall).pair.public

    def handshake(self, parameters: HandshakeParameters) -> NoiseHandshake:
        """Raises `LimitExceeded` when our own Hello is longer than 7,991 bytes."""
        return NoiseHandshake(parameters, self._peer_id, self._keys, self._verify, self._make_secret, self._psk)

    def protection(self, secret: bytes, aead: Aead) -> PacketProtection | None:
        return None

    def _make_secret(self) -> bytes:
        return self._rng.randbytes(32)


if TYPE_CHECKING:
    from peerkit.security import Security, SecurityHandshake

    _fits: type[Security] = NoiseSecurity
    _handshake_fits: type[SecurityHandshake] = NoiseHandshake
