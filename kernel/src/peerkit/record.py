"""Signed statements: the general `Signed`, and the `PeerRecord`, what a peer says about itself.

The signature covers the bytes as received; they are kept and passed on unchanged (protobuf is not canonical).
Checks run in order of cost: length, type, signature, body.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from . import codec
from .address import Address
from .errors import RemoteProtocolError, UsageError, VerificationFailed
from .identity import SIGNATURE_BYTES, Identity, PeerId, verify

MAX_RECORD_BYTES = 1024  # a provider answer of 20 fits one control message; stops memory exhaustion by fat records
MAX_ADDRESSES = 16
MAX_RELAY_ADDRESSES = 3
MAX_PREFIXES = 4  # distinct /24 or /56: a record must not make us probe the whole internet
MAX_PROTOCOLS = 32
MAX_LIFE_S = 24 * 3600.0
MAX_AHEAD_S = 600.0  # ±10 min, as Spacemesh's timestamp window
PURPOSE = "peer-record"


def network_id(name: str) -> bytes:
    """The 32 bytes that separate networks: everything signed, and every handshake, is bound to them."""
    return hashlib.blake2b(b"peerkit-network\0" + name.encode("utf-8"), digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class Signed:
    """A body and its Ed25519 signature, both as they came."""

    body: bytes
    signature: bytes
    _wire: bytes = field(default=b"", repr=False, compare=False)

    def to_bytes(self) -> bytes:
        return self._wire or codec.encode_signed(self.body, self.signature)

    @classmethod
    def from_bytes(cls, data: bytes, max_body_bytes: int) -> "Signed":
        """Raises `RemoteProtocolError` when it is longer than allowed or not a signed message."""
        if len(data) > max_body_bytes + 128:
            raise RemoteProtocolError(f"a signed message of {len(data)} bytes is longer than allowed")
        body, signature = codec.decode_signed(data)
        if len(body) > max_body_bytes or len(signature) != SIGNATURE_BYTES:
            raise RemoteProtocolError("a signed message has a wrong length")
        return cls(body, signature, data)


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A peer's own, signed description.

    Attributes:
        peer_id: who speaks; the signature proves it.
        sequence: higher replaces lower.
        issued_at, expires_at: unix seconds.
        addresses: at most 16, at most 3 of them relays, numeric hosts only.
        static_key: the security handshake's long-term public key (32 bytes, or empty).
        protocols: id → version of what it speaks.
        is_client: it asks and stores but serves no lookups, since nobody verified an address of it.
        signed: the bytes to pass on.
    """

    peer_id: PeerId
    network_id: bytes
    sequence: int
    issued_at: float
    expires_at: float
    addresses: tuple[Address, ...]
    static_key: bytes
    protocols: Mapping[str, str]
    is_client: bool
    signed: Signed = field(repr=False)

    def to_bytes(self) -> bytes:
        return self.signed.to_bytes()

    @classmethod
    def make(
        cls,
        identity: Identity,
        network_id: bytes,
        sequence: int,
        now_wall: float,
        addresses: tuple[Address, ...],
        static_key: bytes = b"",
        protocols: Mapping[str, str] | None = None,
        life_s: float = MAX_LIFE_S,
        is_client: bool = False,
    ) -> "PeerRecord":
        """Sign our own record.  Addresses beyond the bounds are left out, the first ones kept."""
        kept = _bounded(addresses)
        spoken = dict(sorted((protocols or {}).items())[:MAX_PROTOCOLS])
        while True:
            body = codec.encode_peer_record(
                identity.peer_id.raw,
                sequence,
                int(now_wall * 1000),
                int((now_wall + life_s) * 1000),
                network_id,
                [str(a) for a in kept],
                static_key,
                spoken,
                is_client,
            )
            if len(body) <= MAX_RECORD_BYTES - 80:
                break
            if len(kept) > 4:
                kept = kept[:-1]
            else:
                spoken.popitem()
        signature = identity.sign(PURPOSE, network_id, body)
        return _from_body(Signed(body, signature, codec.encode_signed(body, signature)), body)

    @classmethod
    def from_bytes(cls, data: bytes, network_id: bytes, now_wall: float, check_signature: bool = True) -> "PeerRecord":
        """Check and read a record from outside.

        Args:
            check_signature: `False` only for bytes that this process verified before (an address book's own cache).

        Raises:
            RemoteProtocolError: wrong length, malformed, of another network, expired, issued in the future, or not
                signed by its subject.
        """
        record = _read(bytes(data))
        signed = record.signed
        if record.network_id != network_id:
            raise RemoteProtocolError("a peer record is of another network")
        if record.issued_at > now_wall + MAX_AHEAD_S:
            raise RemoteProtocolError("a peer record was issued more than 10 minutes ahead of our clock")
        if record.expires_at <= now_wall or record.expires_at - record.issued_at > MAX_LIFE_S + 1:
            raise RemoteProtocolError("a peer record has expired or claims to live for more than 24 h")
        if check_signature:
            try:
                verify(record.peer_id, PURPOSE, network_id, signed.body, signed.signature)
            except VerificationFailed as exc:
                raise RemoteProtocolError(f"a peer record is not signed by its subject: {exc}") from exc
        return record

    @classmethod
    def from_disk(cls, data: bytes) -> "PeerRecord":
        """A record that this node verified before it wrote it; it may have expired since.  Raises `RemoteProtocolError`
        when the bytes are damaged."""
        return _read(bytes(data))


@lru_cache(4096)  # the same few hundred records come with every answer and session: 40 µs and 3 KB each, read once
def _read(data: bytes) -> PeerRecord:
    """What the bytes say; neither signature nor dates are checked.  Raises `RemoteProtocolError`."""
    signed = Signed.from_bytes(data, MAX_RECORD_BYTES)
    return _from_body(signed, signed.body)


def _bounded(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    kept: list[Address] = []
    prefixes: set[str] = set()
    for address in addresses:
        if address.ip is None or len(kept) == MAX_ADDRESSES:
            continue
        if address.via and sum(a.via is not None for a in kept) == MAX_RELAY_ADDRESSES:
            continue
        if address.prefix not in prefixes and len(prefixes) == MAX_PREFIXES:
            continue
        prefixes.add(address.prefix)
        kept.append(address.without_peer())
    return tuple(kept)


def _from_body(signed: Signed, body: bytes) -> PeerRecord:
    fields = codec.decode_peer_record(body)
    if len(fields.key) != 32 or len(fields.network_id) != 32 or len(fields.static_key) not in (0, 32):
        raise RemoteProtocolError("a peer record has a key of a wrong length")
    if len(fields.addresses) > MAX_ADDRESSES or len(fields.protocols) > MAX_PROTOCOLS:
        raise RemoteProtocolError("a peer record names too many addresses or protocols")
    try:
        addresses = tuple(Address.parse(text) for text in fields.addresses)
    except UsageError as exc:
        raise RemoteProtocolError(f"a peer record holds a bad address: {exc}") from exc
    if _bounded(addresses) != addresses:
        raise RemoteProtocolError("a peer record holds addresses that records may not hold")
    return PeerRecord(
        PeerId(fields.key),
        fields.network_id,
        fields.sequence,
        fields.issued_ms / 1000,
        fields.expires_ms / 1000,
        addresses,
        fields.static_key,
        fields.protocols,
        fields.client,
        signed,
    )
