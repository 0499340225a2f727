"""Capabilities in memory, for tests of plugins that require them; they pass the checks of their kind.

    world = MemoryWorld(ctx.network_id, ctx.clock)
    ctx.supply(PEER_ROUTING, world.node(identity))

What several of one world's nodes do meets: one provides, another finds.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..address import Address
from ..capabilities import (
    BlobInfo,
    BlobStore,
    ContentRouting,
    Diagnosis,
    Finding,
    Lookup,
    MutableRecord,
    NatFiltering,
    NatMapping,
    NetworkKey,
    PeerRouting,
    PortMapper,
    PortMapping,
    Reachability,
    RecordStore,
)
from ..clock import Clock
from ..errors import LimitExceeded, NotFound, UsageError
from ..identity import Identity, PeerId
from ..record import PeerRecord

KEY_BYTES = 32
MAX_IMMUTABLE_BYTES = 8_192
MAX_MUTABLE_BYTES = 1_024
PIECE_BYTES = 65_536


class MemoryWorld:
    """What all its nodes know together."""

    def __init__(self, network_id: bytes, clock: Clock) -> None:
        self.network_id = network_id
        self.clock = clock
        self.records: dict[PeerId, PeerRecord] = {}
        self.providers: dict[bytes, dict[PeerId, None]] = {}
        self.values: dict[bytes, bytes] = {}
        self.mutables: dict[tuple[PeerId, bytes], MutableRecord] = {}

    def node(self, identity: Identity) -> "MemoryRouting":
        """A node that takes part; its address is made up."""
        number = len(self.records) + 1
        address = Address("tcp", f"192.0.2.{number % 250 + 1}", 4_433)
        wall = self.clock.wall()
        self.records[identity.peer_id] = PeerRecord.make(identity, self.network_id, 1, wall, (address,))
        return MemoryRouting(self, identity.peer_id)


class MemoryRouting:
    """`PeerRouting`, `ContentRouting` and `RecordStore` of one node."""

    def __init__(self, world: MemoryWorld, own: PeerId) -> None:
        self.world = world
        self.own = own

    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        await asyncio.sleep(0.01)
        return self.world.records.get(peer_id)

    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        _check_key(key)
        await asyncio.sleep(0.01)
        others = [record for peer, record in self.world.records.items() if peer != self.own]
        target = int.from_bytes(key, "big")
        nearest = sorted(others, key=lambda r: place_of(r.peer_id) ^ target)
        return Lookup(tuple(nearest[:count]), 1, len(others), exact=True)

    async def provide(self, key: bytes) -> int:
        _check_key(key)
        await asyncio.sleep(0.01)
        self.world.providers.setdefault(key, {})[self.own] = None
        return len(self.world.records) - 1

    async def unprovide(self, key: bytes) -> None:
        _check_key(key)
        await asyncio.sleep(0.01)
        self.world.providers.get(key, {}).pop(self.own, None)

    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        _check_key(key)
        found = [peer for peer in self.world.providers.get(key, ()) if peer != self.own]
        for peer in found[:limit]:
            await asyncio.sleep(0.01)
            yield self.world.records[peer]

    async def put_immutable(self, value: bytes) -> bytes:
        if len(value) > MAX_IMMUTABLE_BYTES:
            raise LimitExceeded(f"an immutable value has at most {MAX_IMMUTABLE_BYTES} bytes, not {len(value)}")
        await asyncio.sleep(0.01)
        key = hashlib.blake2b(value, digest_size=KEY_BYTES).digest()
        self.world.values[key] = value
        return key

    async def get_immutable(self, key: bytes) -> bytes:
        _check_key(key)
        await asyncio.sleep(0.01)
        if key not in self.world.values:
            raise NotFound(f"nobody keeps a value under {key.hex()[:16]}…")
        return self.world.values[key]

    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None = None) -> int:
        if len(value) > MAX_MUTABLE_BYTES:
            raise LimitExceeded(f"a mutable value has at most {MAX_MUTABLE_BYTES} bytes, not {len(value)}")
        await asyncio.sleep(0.01)
        known = self.world.mutables.get((self.own, salt))
        number = sequence if sequence is not None else known.sequence + 1 if known else 1
        if known is None or number > known.sequence:
            self.world.mutables[self.own, salt] = MutableRecord(self.own, salt, number, value)
        return number

    async def get_mutable(self, author: PeerId, salt: bytes) -> MutableRecord:
        await asyncio.sleep(0.01)
        if (author, salt) not in self.world.mutables:
            raise NotFound(f"{author.short} keeps nothing under this salt")
        return self.world.mutables[author, salt]


class MemoryBlobs:
    """`BlobStore`."""

    def __init__(self) -> None:
        self._blobs: dict[str, tuple[BlobInfo, bytes]] = {}

    def add(self, content_id: str, name: str, data: bytes, type: str = "application/octet-stream") -> None:
        info = BlobInfo(content_id, name, len(data), type, listed=True, complete=True)
        self._blobs.pop(content_id, None)
        self._blobs[content_id] = (info, data)

    def listing(self) -> Sequence[BlobInfo]:
        return [info for info, _ in reversed(self._blobs.values())]

    async def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        if content_id not in self._blobs:
            raise NotFound(f"there is no content {content_id[:80]!r} here")
        _, data = self._blobs[content_id]
        for at in range(offset, min(offset + length, len(data)), PIECE_BYTES):
            await asyncio.sleep(0)
            yield data[at : min(at + PIECE_BYTES, offset + length)]


@dataclass(eq=False, slots=True)
class FixedReachability:
    """`Reachability` as the test sets it."""

    addresses: Sequence[Address] = ()
    mapping: NatMapping = NatMapping.UNKNOWN
    filtering: NatFiltering = NatFiltering.UNKNOWN
    port_step: int = 0
    is_public: bool | None = None

    def observed(self, scheme: str) -> Sequence[Address]:
        return [address for address in self.addresses if address.scheme == scheme]


@dataclass(eq=False, slots=True)
class FixedMappings:
    """`PortMapper` with the mappings that the test sets."""

    found: list[PortMapping] = field(default_factory=list)

    def mappings(self) -> Sequence[PortMapping]:
        return list(self.found)


@dataclass(eq=False, slots=True)
class FixedDiagnosis:
    """`Diagnosis` with the findings that the test sets."""

    findings: Sequence[Finding] = ()

    async def diagnose(self) -> Sequence[Finding]:
        return list(self.findings)


@dataclass(frozen=True, slots=True)
class MemoryNetworkKey:
    """`NetworkKey` of whoever has the same secret."""

    secret: bytes = b"test"

    def derive(self, label: bytes, length: int = 32) -> bytes:
        return hashlib.shake_256(len(self.secret).to_bytes(4, "big") + self.secret + label).digest(length)


def place_of(peer_id: PeerId) -> int:
    """Where a peer stands among keys; see `PeerRouting.closest_peers`."""
    return int.from_bytes(hashlib.blake2b(peer_id.raw, digest_size=KEY_BYTES).digest(), "big")


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise UsageError(f"a key has {KEY_BYTES} bytes, not {len(key)}")


if TYPE_CHECKING:
    _routes: type[PeerRouting] = MemoryRouting
    _provides: type[ContentRouting] = MemoryRouting
    _stores: type[RecordStore] = MemoryRouting
    _blobs: type[BlobStore] = MemoryBlobs
    _is_reached: type[Reachability] = FixedReachability
    _maps: type[PortMapper] = FixedMappings
    _diagnoses: type[Diagnosis] = FixedDiagnosis
    _keeps: type[NetworkKey] = MemoryNetworkKey
