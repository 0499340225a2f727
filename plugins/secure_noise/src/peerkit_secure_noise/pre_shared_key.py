"""The pre-shared key of a private network.

    psk = HKDF(key, "peerkit v1 psk" ‖ network id)       key: 32 random bytes, or Argon2id of a passphrase

So one key used for two networks gives each its own, and nothing is learnt about the one from the other.
"""

import nacl.pwhash.argon2id

from peerkit.identity import hkdf

PSK_BYTES = 32
# RFC 9106 §4, second choice: a recorded first message lets anyone try passphrases at home, so each try must be dear.
OPERATIONS = 3
MEMORY_BYTES = 64 * 1024 * 1024  # takes 0.1 s (measured)


def from_key(key: bytes, network_id: bytes) -> bytes:
    """From 32 random bytes."""
    return hkdf(key, b"peerkit v1 psk" + network_id, PSK_BYTES)


def from_passphrase(passphrase: str, network_id: bytes) -> bytes:
    """From a passphrase; the salt is the network's, since all members must come to the same key."""
    salt = hkdf(network_id, b"peerkit v1 psk salt", nacl.pwhash.argon2id.SALTBYTES)
    key = nacl.pwhash.argon2id.kdf(PSK_BYTES, passphrase.encode("utf-8"), salt, OPERATIONS, MEMORY_BYTES)
    return from_key(key, network_id)
