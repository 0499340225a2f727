"""`CipherState` of Noise (§5.1) with ChaChaPoly (§12.3): one key and its count of messages.

Only the handshake's payloads go through it; what follows is sealed by the kernel's `PacketProtection`.
"""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from peerkit.errors import RemoteProtocolError

TAG_BYTES = 16
_NONCE = struct.Struct("<4xQ")  # §12.3: little-endian


class CipherState:
    """Without a key, encryption is the identity (§5.1)."""

    __slots__ = ("_key", "_n")

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        self._n = 0

    @property
    def has_key(self) -> bool:
        return self._key is not None

    @property
    def overhead(self) -> int:
        return 0 if self._key is None else TAG_BYTES

    def copy(self) -> "CipherState":
        twin = CipherState(self._key)
        twin._n = self._n
        return twin

    def encrypt_with_ad(self, ad: bytes, plaintext: bytes) -> bytes:
        if self._key is None:
            return plaintext
        sealed = ChaCha20Poly1305(self._key).encrypt(_NONCE.pack(self._n), plaintext, ad)
        self._n += 1
        return sealed

    def decrypt_with_ad(self, ad: bytes, sealed: bytes) -> bytes:
        """Raises `RemoteProtocolError` when it does not verify; the count stays then."""
        if self._key is None:
            return sealed
        try:
            plaintext = ChaCha20Poly1305(self._key).decrypt(_NONCE.pack(self._n), sealed, ad)
        except InvalidTag:
            raise RemoteProtocolError("a handshake message does not verify") from None
        self._n += 1
        return plaintext
