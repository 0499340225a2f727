"""Search plugins of many nodes wired in one process: real plugin objects, databases and virtual time; only the
sessions and the routing between them are short-circuited (a request takes 20 ms; routing knows everybody)."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from peerkit_search.adapter import SearchPlugin
from peerkit_search.index_peers import PROTOCOL
from peerkit_search.operations import SearchHit, SearchRequest
from peerkit_search.placement import position
from peerkit_search.plugin import plugin as spec
from peerkit_search.settings import SearchSettings
from pydantic import BaseModel

from peerkit import text_form
from peerkit.address import Address
from peerkit.capabilities import BLOB_STORE, CONTENT_ROUTING, DIALER, PEER_ROUTING, BlobInfo, Lookup
from peerkit.errors import ConnectFailed, PeerkitError
from peerkit.event import ContentShared, ContentUnshared
from peerkit.identity import Identity, PeerId
from peerkit.protocol import Request
from peerkit.record import PeerRecord
from peerkit.session import DialTarget, RemoteFailure, Session
from peerkit.testing import FakePluginContext, SimNetwork

REQUEST_S = 0.02


@dataclass
class FakeSession:
    """The part of a session that search uses, seen from the asked node."""

    peer_id: PeerId
    remote: Address


@dataclass
class FakeBlobs:
    """A blob store that holds only names."""

    blobs: dict[str, BlobInfo] = field(default_factory=dict)

    def listing(self) -> Sequence[BlobInfo]:
        return list(reversed(self.blobs.values()))

    def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        raise NotImplementedError


class CollectingCall:
    """The caller's side of an operation."""

    def __init__(self) -> None:
        self.items: list[SearchHit] = []

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None: ...

    def item(self, value: BaseModel) -> None:
        self.items.append(cast(SearchHit, value))


class Member:
    """One node of the swarm."""

    def __init__(self, swarm: "Swarm", number: int, settings: SearchSettings) -> None:
        self.swarm = swarm
        platform = swarm.net.platform()
        identity = Identity(number.to_bytes(32, "big"))
        self.address = Address("tcp", swarm.host(number), 4000)
        self.ctx = FakePluginContext(settings, platform, name="search", spec=spec, identity=identity)
        self.blobs = FakeBlobs()
        self.ctx.supply(PEER_ROUTING, _Routing(self))
        self.ctx.supply(DIALER, _Dialer(self))
        self.ctx.supply(BLOB_STORE, self.blobs)
        self.ctx.supply(CONTENT_ROUTING, _Providers(self))
        self.plugin = cast(SearchPlugin, spec.factory(self.ctx))
        (self.protocol,) = self.plugin.peerkit_register_protocols()
        self.record = PeerRecord.make(
            identity, self.ctx.network_id, 1, platform.clock.wall(), (self.address,), protocols={PROTOCOL: "1.0.0"}
        )
        self.ctx.started()
        self.position = int.from_bytes(position(self.ctx.peer_id), "big")
        self.is_up = False
        self.requests = 0
        self._stop = self.start()

    def start(self) -> "asyncio.Task[None]":
        self.is_up = True
        return asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        await self.plugin.start()
        await self.plugin.run()

    async def stop(self) -> None:
        self.is_up = False
        self._stop.cancel()
        await asyncio.wait([self._stop])
        if not self._stop.cancelled() and (error := self._stop.exception()) is not None:
            raise error

    def share(self, name: str, size_bytes: int = 1000, type: str = "text/plain", root: bytes | None = None) -> str:
        root = root or self.swarm.net.rng.randbytes(32)
        content_id = text_form.encode(text_form.Kind.CONTENT, root)
        self.blobs.blobs[content_id] = BlobInfo(content_id, name, size_bytes, type, listed=True, complete=True)
        self.ctx.emit(ContentShared(content_id, name, size_bytes, type, listed=True))
        return content_id

    def unshare(self, content_id: str) -> None:
        blob = self.blobs.blobs.pop(content_id)
        self.ctx.emit(ContentUnshared(content_id, blob.name))

    async def search(
        self, *words: str, limit: int = 20, type: str = "", local: bool = False, call: CollectingCall | None = None
    ) -> list[SearchHit]:
        (operation,) = self.plugin.peerkit_register_operations()
        request = SearchRequest(words=words, limit=limit, type=type, local=local)
        return cast(
            list[SearchHit], list(cast(Sequence[SearchHit], await operation.handler(request, call or CollectingCall())))
        )

    async def names(self, *words: str, local: bool = False) -> list[str]:
        return [hit.name for hit in await self.search(*words, local=local)]


class Swarm:
    """Args:
    size: nodes at the start.
    local: all on loopback (no prefix limits), else each in its own /24.
    """

    def __init__(self, size: int, local: bool = True, **settings: object) -> None:
        self.net = SimNetwork()
        self.local = local
        self.lookups = 0
        self.settings = SearchSettings.model_validate(settings)
        self.members: dict[PeerId, Member] = {}
        for _ in range(size):
            self.add()

    def host(self, number: int) -> str:
        return f"127.0.0.{number % 250 + 1}" if self.local else f"8.{number // 250}.{number % 250}.7"

    def add(self, **settings: object) -> Member:
        chosen = SearchSettings.model_validate(settings) if settings else self.settings
        member = Member(self, len(self.members) + 1, chosen)
        self.members[member.ctx.peer_id] = member
        return member

    def __getitem__(self, number: int) -> Member:
        return list(self.members.values())[number]

    async def close(self) -> None:
        for member in self.members.values():
            await member.stop()


class _Routing:
    def __init__(self, member: Member) -> None:
        self._member = member

    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        return self._member.swarm.members[peer_id].record

    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        self._member.swarm.lookups += 1
        await asyncio.sleep(3 * REQUEST_S)
        target = int.from_bytes(key, "big")
        others = [m for m in self._member.swarm.members.values() if m is not self._member and m.is_up]
        nearest = sorted(others, key=lambda m: m.position ^ target)[:count]
        return Lookup(tuple(m.record for m in nearest), 3, len(nearest), exact=True)


class _RequestSession:
    """A session seen from the asker."""

    def __init__(self, asker: Member, asked: Member) -> None:
        self._asker = asker
        self._asked = asked

    async def request(self, protocol: str, payload: bytes, timeout_s: float = 30.0) -> bytes:
        await asyncio.sleep(REQUEST_S)
        handler = self._asked.protocol.on_request
        assert handler is not None and protocol == self._asked.protocol.id
        assert len(payload) <= self._asked.protocol.max_request_bytes
        self._asked.requests += 1
        seen = cast(Session, FakeSession(self._asker.ctx.peer_id, self._asker.address))
        try:
            answer = handler(Request(seen, protocol, payload))
            return await answer if inspect.isawaitable(answer) else answer
        except PeerkitError as exc:
            raise RemoteFailure(protocol, exc.code, str(exc)) from exc


class _Dialer:
    def __init__(self, member: Member) -> None:
        self._member = member

    def transient(self, target: DialTarget, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Session]:
        assert isinstance(target, PeerRecord)
        return self._open(target, timeout_s)

    def probe(self, address: Address, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Session]:
        raise AssertionError("a search probes no address")

    @asynccontextmanager
    async def _open(self, target: PeerRecord, timeout_s: float) -> AsyncIterator[Session]:
        asked = self._member.swarm.members[target.peer_id]
        await asyncio.sleep(REQUEST_S)
        if not asked.is_up:
            await asyncio.sleep(timeout_s - REQUEST_S)
            raise ConnectFailed(str(asked.address), "nobody answers")
        yield cast(Session, _RequestSession(self._member, asked))


class _Providers:
    """Content routing that knows who shares what."""

    def __init__(self, member: Member) -> None:
        self._member = member

    async def provide(self, key: bytes) -> int:
        raise NotImplementedError

    async def unprovide(self, key: bytes) -> None:
        raise NotImplementedError

    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        content_id = text_form.encode(text_form.Kind.CONTENT, key)
        await asyncio.sleep(REQUEST_S)
        holders = [m for m in self._member.swarm.members.values() if content_id in m.blobs.blobs and m.is_up]
        for holder in [m for m in holders if m is not self._member][:limit]:
            yield holder.record
