"""`SymmetricState` of Noise (§5.2) with BLAKE2s (§12.6): the chaining key and the hash of everything said so far."""

import hashlib

from .cipher_state import CipherState

HASH_BYTES = 32
_blake2s = hashlib.blake2s
_INNER = bytes(byte ^ 0x36 for byte in range(256))  # RFC 2104
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def _hmac(key: bytes, data: bytes) -> bytes:
    """HMAC-BLAKE2s with a key of at most one block; `hmac.digest` takes twice as long (measured: 1.8 to 0.9 µs)."""
    block = key.ljust(64, b"\0")
    return _blake2s(block.translate(_OUTER) + _blake2s(block.translate(_INNER) + data).digest()).digest()


def _hkdf(chaining_key: bytes, material: bytes, outputs: int) -> tuple[bytes, ...]:
    """Two or three outputs (§4.3)."""
    key = _hmac(chaining_key, material)
    first = _hmac(key, b"\1")
    second = _hmac(key, first + b"\2")
    return (first, second) if outputs == 2 else (first, second, _hmac(key, second + b"\3"))


class SymmetricState:
    """Cheap to copy, because a message is always read on a copy."""

    __slots__ = ("chaining_key", "cipher", "hash")

    def __init__(self, protocol_name: bytes) -> None:
        fits = len(protocol_name) <= HASH_BYTES
        self.hash = protocol_name.ljust(HASH_BYTES, b"\0") if fits else _blake2s(protocol_name).digest()
        self.chaining_key = self.hash
        self.cipher = CipherState()

    def copy(self) -> "SymmetricState":
        twin = SymmetricState.__new__(SymmetricState)
        twin.hash, twin.chaining_key, twin.cipher = self.hash, self.chaining_key, self.cipher.copy()
        return twin

    def mix_key(self, material: bytes) -> None:
        self.chaining_key, key = _hkdf(self.chaining_key, material, 2)
        self.cipher = CipherState(key)

    def mix_hash(self, data: bytes) -> None:
        self.hash = _blake2s(self.hash + data).digest()

    def mix_key_and_hash(self, material: bytes) -> None:
        self.chaining_key, extra, key = _hkdf(self.chaining_key, material, 3)
        self.mix_hash(extra)
        self.cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        sealed = self.cipher.encrypt_with_ad(self.hash, plaintext)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        """Raises `RemoteProtocolError` when it does not verify."""
        plaintext = self.cipher.decrypt_with_ad(self.hash, sealed)
        self.mix_hash(sealed)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The keys of the two directions, the initiator's first."""
        first, second = _hkdf(self.chaining_key, b"", 2)
        return first, second
