"""What may be stored under a key: one validator for each namespace.  An unknown namespace is refused.

| namespace | key | value |
|---|---|---|
| 1 immutable | BLAKE2b-256("peerkit-dht-immutable\\0" ‖ value) | ≤ 8 KiB, anything |
| 2 mutable | BLAKE2b-256("peerkit-dht-mutable\\0" ‖ author ‖ salt) | ≤ 1 KiB, signed by its author, with a sequence |
| 3 peer | BLAKE2b-256(peer id) | the peer's own record: how clients, which are in no table, are found |

A higher sequence replaces a lower one, never the other way round (rollback).  Pure.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from peerkit.capabilities import MutableRecord
from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.identity import PeerId, verify
from peerkit.record import MAX_RECORD_BYTES, PeerRecord, Signed

from . import codec
from .codec import MutableFields
from .keys import KEY_BYTES, key_of_peer, to_bytes

MUTABLE_PURPOSE = "dht-mutable"
MAX_IMMUTABLE_BYTES = 8192
MAX_MUTABLE_BYTES = 1024
MAX_LIFE_S = 24 * 3600.0


class Namespace(IntEnum):
    IMMUTABLE = 1
    MUTABLE = 2
    PEER = 3


@dataclass(frozen=True, slots=True)
class Checked:
    """A value that its validator accepted.

    Attributes:
        sequence: a higher one replaces a lower one; 0 where there is only one value.
        expires_at: unix seconds.
        author: who signed it, where somebody did.
    """

    sequence: int
    expires_at: float
    author: PeerId | None = None


class Validator(Protocol):
    def __call__(self, key: bytes, value: bytes, network_id: bytes, now_wall: float) -> Checked:
        """Raises `RemoteProtocolError` when this value may not stand under this key."""
        ...


def immutable_key(value: bytes) -> bytes:
    return hashlib.blake2b(b"peerkit-dht-immutable\0" + value, digest_size=KEY_BYTES).digest()


def mutable_key(author: PeerId, salt: bytes) -> bytes:
    return hashlib.blake2b(b"peerkit-dht-mutable\0" + author.raw + salt, digest_size=KEY_BYTES).digest()


def check_immutable(key: bytes, value: bytes, network_id: bytes, now_wall: float) -> Checked:  # noqa: ARG001
    if len(value) > MAX_IMMUTABLE_BYTES:
        raise RemoteProtocolError(f"an immutable value of {len(value)} bytes is longer than {MAX_IMMUTABLE_BYTES}")
    if immutable_key(value) != key:
        raise RemoteProtocolError("an immutable value does not have the hash that it is stored under")
    return Checked(0, now_wall + MAX_LIFE_S)


def read_mutable(value: bytes, network_id: bytes) -> MutableRecord:
    """Raises `RemoteProtocolError`: too long, malformed, or not signed by its author."""
    signed = Signed.from_bytes(value, MAX_MUTABLE_BYTES + codec.MAX_SALT_BYTES + 64)
    fields = codec.decode_mutable(signed.body)
    if len(fields.value) > MAX_MUTABLE_BYTES:
        raise RemoteProtocolError(f"a mutable value of {len(fields.value)} bytes is longer than {MAX_MUTABLE_BYTES}")
    author = PeerId(fields.author)
    try:
        verify(author, MUTABLE_PURPOSE, network_id, signed.body, signed.signature)
    except VerificationFailed as exc:
        raise RemoteProtocolError(f"a mutable value is not signed by its author: {exc}") from exc
    return MutableRecord(author, fields.salt, fields.sequence, fields.value)


def check_mutable(key: bytes, value: bytes, network_id: bytes, now_wall: float) -> Checked:
    record = read_mutable(value, network_id)
    if mutable_key(record.author, record.salt) != key:
        raise RemoteProtocolError("a mutable value is stored under another author's or salt's key")
    return Checked(record.sequence, now_wall + MAX_LIFE_S, record.author)


def check_peer(key: bytes, value: bytes, network_id: bytes, now_wall: float) -> Checked:
    if len(value) > MAX_RECORD_BYTES + 128:
        raise RemoteProtocolError(f"a peer record of {len(value)} bytes is too long")
    record = PeerRecord.from_bytes(value, network_id, now_wall)
    if to_bytes(key_of_peer(record.peer_id.raw)) != key:
        raise RemoteProtocolError("a peer record is stored under another peer's key")
    return Checked(record.sequence, record.expires_at, record.peer_id)


VALIDATORS: Mapping[int, Validator] = {
    Namespace.IMMUTABLE: check_immutable,
    Namespace.MUTABLE: check_mutable,
    Namespace.PEER: check_peer,
}


def check_value(namespace: int, key: bytes, value: bytes, network_id: bytes, now_wall: float) -> Checked:
    """Raises `RemoteProtocolError`: unknown namespace, or its validator refused."""
    validator = VALIDATORS.get(namespace)
    if validator is None:
        raise RemoteProtocolError(f"values of the namespace {namespace} are not kept here")
    return validator(key, value, network_id, now_wall)


def mutable_body(author: PeerId, salt: bytes, sequence: int, value: bytes) -> bytes:
    """What to sign for `MUTABLE_PURPOSE`."""
    return codec.encode_mutable(MutableFields(author.raw, salt, sequence, value))
