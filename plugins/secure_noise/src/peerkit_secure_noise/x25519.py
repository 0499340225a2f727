"""X25519 (RFC 7748) from PyNaCl, with the points refused that would make a shared secret known to everyone."""

from typing import NamedTuple

import nacl.bindings
import nacl.exceptions

from peerkit.errors import RemoteProtocolError

KEY_BYTES = 32
_P = 2**255 - 19
# All values below 2^255 of a point whose order divides 8 (RFC 7748 §7): every secret gives zero with them.
LOW_ORDER_POINTS = frozenset(
    point.to_bytes(KEY_BYTES, "little")
    for point in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _P - 1,
        _P,
        _P + 1,
    )
)


class KeyPair(NamedTuple):
    secret: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"<KeyPair {self.public.hex()[:8]}>"


def key_pair(secret: bytes) -> KeyPair:
    """From 32 random bytes."""
    return KeyPair(secret, nacl.bindings.crypto_scalarmult_base(secret))


def is_usable(public: bytes) -> bool:
    """Whether these are 32 bytes of a point that can give a secret; like X25519 it ignores the highest bit."""
    return len(public) == KEY_BYTES and public[:31] + bytes((public[31] & 0x7F,)) not in LOW_ORDER_POINTS


def shared_secret(secret: bytes, public: bytes) -> bytes:
    """Raises `RemoteProtocolError` when the result would be zero."""
    try:
        return nacl.bindings.crypto_scalarmult(secret, public)
    except nacl.exceptions.RuntimeError:
        raise RemoteProtocolError("the peer's key is a point of low order") from None
