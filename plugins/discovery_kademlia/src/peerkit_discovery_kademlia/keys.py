"""The key space: 256-bit keys, a peer's key is a hash of its id, nearness is XOR.

Keys are plain `int`s inside the plugin (one `^` and a comparison, no objects) and 32 bytes on the wire.
Source: P. Maymounkov, D. Mazières, "Kademlia", IPTPS 2002.
"""

import hashlib
from functools import lru_cache

from peerkit.clock import Rng

KEY_BYTES = 32
KEY_BITS = 256
BUCKETS = 32  # by common-prefix length; the last holds all that is nearer: nothing is lost below 2^31 honest peers


@lru_cache(16_384)  # the same few hundred peers come in every answer
def key_of_peer(peer_id: bytes) -> int:
    """Where a peer stands: BLAKE2b-256 of its id.  A peer can choose its place only by trying many identities."""
    return int.from_bytes(hashlib.blake2b(peer_id, digest_size=KEY_BYTES).digest(), "big")


def to_int(key: bytes) -> int:
    return int.from_bytes(key, "big")


def to_bytes(key: int) -> bytes:
    return key.to_bytes(KEY_BYTES, "big")


def bucket_of(own: int, key: int) -> int:
    """0 for the far half of the space, up to 31 for all that share at least 31 bits with us."""
    return min(BUCKETS - 1, KEY_BITS - (own ^ key).bit_length())


def random_key_in(own: int, bucket: int, rng: Rng) -> int:
    """A random key that falls into `bucket` (0 to 30; for 31 any key that shares 31 bits)."""
    shared = KEY_BITS - bucket
    noise = to_int(rng.randbytes(KEY_BYTES))
    flipped = own ^ (1 << (shared - 1)) if bucket < BUCKETS - 1 else own
    low = (1 << (shared - 1)) - 1
    return (flipped & ~low) | (noise & low)
