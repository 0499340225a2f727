"""The kernel's packet protection: AES-256-GCM or ChaCha20-Poly1305 under a key that changes by generation.

    key         = HKDF(secret, "peerkit v1 key " ‖ aead u8)        32 bytes
    next secret = HKDF(secret, "peerkit v1 next")                  32 bytes; the old one is forgotten
    nonce       = 0 u32 ‖ counter u64, big-endian                  one counter space per direction and key

In: a direction's secret from the handshake.  Out: sealed and opened packets.  Not here: counters, key phases, replay
(the record layer and the datagram transports keep those).

Source: the nonce as in RFC 9001 §5.3 without the mask, which needs no secrecy because each key has one sender.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .errors import VerificationFailed
from .identity import hkdf
from .security import Aead
from .transport import Buffer

SECRET_BYTES = 32
TAG_BYTES = 16
MAX_PACKETS = 1 << 23  # RFC 9001 §6.6; with records of 128 KiB 2^36 blocks, still an advantage of 2^-57 only
_pack_nonce = struct.Struct("!4xQ").pack
_CIPHERS: dict[Aead, type[AESGCM] | type[ChaCha20Poly1305]] = {
    Aead.AES_256_GCM: AESGCM,
    Aead.CHACHA20_POLY1305: ChaCha20Poly1305,
}


class AeadProtection:
    """One direction's key of one generation.

    Sealing two packets with one counter would give both away, so the caller counts from 0 and takes
    `next_generation()` after `max_packets`.

    Args:
        secret: 32 bytes.
        max_packets: packets that one key may seal; tests use fewer to see the key change.
    """

    __slots__ = (
        "_aead",
        "_decrypt",
        "_decrypt_into",
        "_encrypt",
        "_encrypt_into",
        "_secret",
        "max_packets",
        "overhead",
    )

    def __init__(self, secret: bytes, aead: Aead, max_packets: int = MAX_PACKETS) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a traffic secret has {SECRET_BYTES} bytes, not {len(secret)}")
        if not 0 < max_packets <= MAX_PACKETS:
            raise ValueError(f"max_packets must be in 1..{MAX_PACKETS}, not {max_packets}")
        self._secret = secret
        self._aead = aead
        self.max_packets = max_packets
        self.overhead = TAG_BYTES
        cipher = _CIPHERS[aead](hkdf(secret, b"peerkit v1 key " + bytes((aead,)), 32))
        self._encrypt = cipher.encrypt
        self._decrypt = cipher.decrypt
        # Older releases of `cryptography` only return new bytes.
        self._encrypt_into = cipher.encrypt_into if hasattr(cipher, "encrypt_into") else None
        self._decrypt_into = cipher.decrypt_into if hasattr(cipher, "decrypt_into") else None

    def __repr__(self) -> str:
        return f"<AeadProtection {self._aead.name}>"

    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return self._encrypt(_pack_nonce(counter), plaintext, header)

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        try:
            return self._decrypt(_pack_nonce(counter), sealed, header)
        except InvalidTag:
            raise VerificationFailed("a packet does not verify: it was changed on the way") from None

    # Batches without headers, for datagrams.  Measured, 44 packets of 1,400 bytes, AES-256-GCM: 0.58 µs each to seal
    # where `seal` takes 0.75.

    def seal_batch(self, first: int, plaintexts: Sequence[Buffer]) -> list[bytes]:
        """`seal` each under ascending counters from `first` on, with an empty header."""
        if len(plaintexts) == 1:
            return [self._encrypt(_pack_nonce(first), plaintexts[0], None)]
        return list(map(self._encrypt, _nonces(first, len(plaintexts)), plaintexts, repeat(None)))

    def open_batch(self, first: int, packets: Sequence[Buffer]) -> list[bytes]:
        """The other way round.  Raises `VerificationFailed` when one of them does not verify; none is given then."""
        try:
            if len(packets) == 1:
                return [self._decrypt(_pack_nonce(first), packets[0], None)]
            return list(map(self._decrypt, _nonces(first, len(packets)), packets, repeat(None)))
        except InvalidTag:
            raise VerificationFailed("a packet does not verify: it was changed on the way") from None

    # The next two save an allocation.  Measured, `cryptography` 50, one core, AES-256-GCM:
    # 64 KiB 5.9 -> 4.9 µs, 128 KiB 11.3 -> 9.2 µs (14.3 GB/s); no difference at 1,400 bytes, 4 % with ChaCha20.

    def seal_into(self, counter: int, header: Buffer, plaintext: Buffer, out: bytearray | memoryview) -> None:
        """`seal` into `out`, which has exactly `len(plaintext) + overhead` bytes and does not overlap `plaintext`."""
        if self._encrypt_into is None:
            out[:] = self._encrypt(_pack_nonce(counter), plaintext, header)
        else:
            self._encrypt_into(_pack_nonce(counter), plaintext, header, out)

    def open_into(self, counter: int, header: Buffer, sealed: Buffer, out: bytearray | memoryview) -> None:
        """`open` into `out`, which has exactly `len(sealed) - overhead` bytes and does not overlap `sealed`.  When this
        raises `VerificationFailed`, what `out` holds is worth nothing."""
        try:
            if self._decrypt_into is None:
                out[:] = self._decrypt(_pack_nonce(counter), sealed, header)
            else:
                self._decrypt_into(_pack_nonce(counter), sealed, header, out)
        except InvalidTag:
            raise VerificationFailed("a packet does not verify: it was changed on the way") from None

    def next_generation(self) -> "AeadProtection":
        return AeadProtection(hkdf(self._secret, b"peerkit v1 next", SECRET_BYTES), self._aead, self.max_packets)


@lru_cache(maxsize=128)
def _layout(n: int) -> tuple[struct.Struct, struct.Struct]:
    return struct.Struct("!" + "4xQ" * n), struct.Struct("12s" * n)


def _nonces(first: int, n: int) -> tuple[bytes, ...]:
    counters, nonces = _layout(n)
    return nonces.unpack(counters.pack(*range(first, first + n)))


if TYPE_CHECKING:
    from .security import PacketProtection

    _fits: type[PacketProtection] = AeadProtection
