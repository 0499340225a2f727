"""What a person can ask of the warehouse: models, handlers, and how a terminal shows the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from peerkit import PeerId, PluginContext
from peerkit.capabilities import ADDRESS_BOOK
from peerkit.errors import LimitExceeded, NotFound, StorageError, VerificationFailed
from peerkit.operation import Arg, Call, Column, LocalPathType, Model, Nothing, Operation, View

from .fetcher import Fetcher
from .importer import Importer
from .index import Item
from .link import Link, places
from .serving import Server
from .settings import WarehouseSettings
from .store import Store
from .upkeep import Upkeep


class ShareRequest(Model):
    """Offer files or folders to the network."""

    paths: Annotated[tuple[LocalPathType, ...], Arg(positional=True, metavar="PATH", help="file or folder")] = Field(
        min_length=1
    )
    copy_in: Annotated[bool, Arg(help="take a copy into the store")] = Field(False, alias="copy")
    unlisted: Annotated[bool, Arg(help="fetchable by link, not found by search")] = False


class LsRequest(Model):
    """List what is shared."""

    all: Annotated[bool, Arg(help="also what was fetched, and what changed")] = False


class IdRequest(Model):
    """Name one piece of content."""

    id: Annotated[str, Arg(positional=True, metavar="ID", help="content id or link")]


class GetRequest(Model):
    """Fetch a file or folder."""

    id: Annotated[str, Arg(positional=True, metavar="ID|LINK", help="content id or link")]
    output: Annotated[LocalPathType, Arg(short="-o", metavar="PATH", help="where to put it")] = Path(".")
    force: Annotated[bool, Arg(help="replace what is there")] = False
    store: Annotated[bool, Arg(help="keep it in the store only")] = False


class ProbeRequest(Model):
    """Measure a transfer from one peer."""

    peer: Annotated[str, Arg(positional=True, metavar="PEER", help="peer id")]
    id: Annotated[str, Arg(positional=True, metavar="ID", help="content id or link")]


class VerifyRequest(Model):
    """Read and hash what is here."""

    id: Annotated[str, Arg(positional=True, metavar="ID", help="only this")] = ""


class Shared(Model):
    content_id: str
    name: str
    size_bytes: int
    type: str
    link: str


class Got(Model):
    content_id: str
    path: str
    size_bytes: int
    seconds: float
    bytes_per_s: float
    sources: int


class Removed(Model):
    content_id: str
    name: str


class Probe(Model):
    peer_id: str
    content_id: str
    size_bytes: int
    seconds: float
    bytes_per_s: float
    rtt_s: float | None
    verified: bool


class Pinned(Model):
    content_id: str
    name: str
    pinned: bool


class Verified(Model):
    content_id: str
    name: str
    ok: bool
    problem: str


class Collected(Model):
    removed: int
    freed_bytes: int


class Stat(Model):
    shared: int
    shared_bytes: int
    fetched: int
    incomplete: int
    store_bytes: int
    quota_bytes: int
    uploads: int
    sent_bytes: int
    received_bytes: int


_LIST = View(
    "table",
    (
        Column("content_id", "ID", "text"),
        Column("name", "NAME"),
        Column("size_bytes", "SIZE", "bytes"),
        Column("type", "TYPE"),
    ),
    empty="nothing is shared: `peerkit share PATH` offers a file",
)
_GOT = View(
    "fields",
    (
        Column("path", "path"),
        Column("size_bytes", "size", "bytes"),
        Column("seconds", "time", "seconds"),
        Column("bytes_per_s", "speed", "rate"),
        Column("sources", "sources"),
    ),
)


class Operations:
    """The handlers."""

    def __init__(
        self,
        ctx: PluginContext[WarehouseSettings],
        store: Store,
        importer: Importer,
        fetcher: Fetcher,
        server: Server,
        upkeep: Upkeep,
    ) -> None:
        self._ctx = ctx
        self._store = store
        self._importer = importer
        self._fetcher = fetcher
        self._server = server
        self._upkeep = upkeep

    def all(self) -> Sequence[Operation[Any]]:
        return [
            Operation(
                "share",
                ShareRequest,
                Shared,
                self.share,
                effect="change",
                many=True,
                summary="Offer files or folders to the network",
                view=View("table", (*_LIST.columns, Column("link", "LINK"))),
                errors=(StorageError, LimitExceeded),
            ),
            Operation("ls", LsRequest, Shared, self.ls, many=True, summary="List what is shared", view=_LIST),
            Operation(
                "rm",
                IdRequest,
                Removed,
                self.rm,
                effect="change",
                summary="Share something no longer (your own file stays)",
                view=View("none", done="{name} is shared no longer"),
                errors=(NotFound,),
            ),
            Operation(
                "get",
                GetRequest,
                Got,
                self.get,
                effect="change",
                summary="Fetch a file or folder by content id or link",
                view=_GOT,
                one_shot=True,
                errors=(NotFound, VerificationFailed, StorageError, LimitExceeded),
            ),
            Operation(
                "probe",
                ProbeRequest,
                Probe,
                self.probe,
                summary="Measure the transfer of content from one peer, and verify it",
                view=View(
                    "fields",
                    (
                        Column("size_bytes", "size", "bytes"),
                        Column("seconds", "time", "seconds"),
                        Column("bytes_per_s", "speed", "rate"),
                        Column("rtt_s", "round trip", "seconds"),
                        Column("verified", "verified", "bool"),
                    ),
                ),
                errors=(NotFound, VerificationFailed),
            ),
            self._pin("pin", True, "Keep content in the store whatever the collector does"),
            self._pin("unpin", False, "Let the collector have content again"),
            Operation(
                "verify",
                VerifyRequest,
                Verified,
                self.verify,
                effect="change",
                many=True,
                summary="Read and hash what is here, and name what changed",
                view=View(
                    "table",
                    (Column("name", "NAME"), Column("ok", "WHOLE", "bool"), Column("problem", "PROBLEM")),
                    empty="nothing is here",
                ),
                errors=(NotFound,),
            ),
            Operation(
                "gc",
                Nothing,
                Collected,
                self.gc,
                effect="change",
                summary="Delete fetched content that is not pinned from the store",
                view=View("fields", (Column("removed", "removed"), Column("freed_bytes", "freed", "bytes"))),
            ),
            Operation("stat", Nothing, Stat, self.stat, summary="Show what the warehouse holds and does", view=_STAT),
        ]

    def _pin(self, name: str, pinned: bool, summary: str) -> Operation[IdRequest]:
        async def handler(request: IdRequest, _call: Call) -> Pinned:
            return await self.pin(request, pinned)

        return Operation(
            name,
            IdRequest,
            Pinned,
            handler,
            effect="change",
            summary=summary,
            view=View("none", done="{name} is " + ("pinned" if pinned else "no longer pinned")),
            errors=(NotFound,),
        )

    async def share(self, request: ShareRequest, call: Call) -> Sequence[Shared]:
        items = await self._importer.share(request.paths, request.copy_in, not request.unlisted, _bar(call, "hashing"))
        return [self._shared(item) for item in items]

    async def ls(self, request: LsRequest, call: Call) -> Sequence[Shared]:
        del call
        where = "origin IN (0, 1)" if request.all else "origin = 0 AND state = 1"
        return [self._shared(item) for item in await self._store.index.select(where)]

    async def rm(self, request: IdRequest, call: Call) -> Removed:
        del call
        item = await self._store.remove(Link.parse(request.id).content)
        return Removed(content_id=str(item.content), name=item.name)

    async def get(self, request: GetRequest, call: Call) -> Got:
        output = None if request.store else request.output
        got = await self._fetcher.get(Link.parse(request.id), output, request.force, _bar(call, "fetching"))
        return Got(
            content_id=str(got.content),
            path=str(got.path),
            size_bytes=got.size,
            seconds=round(got.seconds, 6),
            bytes_per_s=round(got.size / got.seconds, 1),
            sources=got.sources,
        )

    async def probe(self, request: ProbeRequest, call: Call) -> Probe:
        link = Link.parse(request.id)
        probed = await self._fetcher.probe(PeerId.parse(request.peer), link.content, _bar(call, "probing"))
        return Probe(
            peer_id=str(probed.peer_id),
            content_id=str(probed.content),
            size_bytes=probed.size,
            seconds=round(probed.seconds, 6),
            bytes_per_s=round(probed.size / probed.seconds, 1),
            rtt_s=None if probed.rtt_s != probed.rtt_s else round(probed.rtt_s, 6),
            verified=True,
        )

    async def pin(self, request: IdRequest, pinned: bool) -> Pinned:
        item = await self._store.pin(Link.parse(request.id).content, pinned)
        return Pinned(content_id=str(item.content), name=item.name, pinned=pinned)

    async def verify(self, request: VerifyRequest, call: Call) -> Sequence[Verified]:
        content = Link.parse(request.id).content if request.id else None
        return [
            Verified(content_id=str(v.item.content), name=v.item.name, ok=not v.problem, problem=v.problem)
            for v in await self._upkeep.verify(content, _bar(call, "verifying"))
        ]

    async def gc(self, request: Nothing, call: Call) -> Collected:
        del request, call
        removed, freed = await self._upkeep.collect()
        return Collected(removed=removed, freed_bytes=freed)

    async def stat(self, request: Nothing, call: Call) -> Stat:
        del request, call
        shared, shared_bytes, fetched, incomplete = await self._store.index.totals()
        return Stat(
            shared=shared,
            shared_bytes=shared_bytes,
            fetched=fetched,
            incomplete=incomplete,
            store_bytes=await self._store.index.store_bytes(),
            quota_bytes=self._ctx.settings.quota_bytes,
            uploads=self._server.active,
            sent_bytes=self._server.bytes_sent,
            received_bytes=self._fetcher.bytes_received,
        )

    def _shared(self, item: Item) -> Shared:
        return Shared(
            content_id=str(item.content),
            name=item.name,
            size_bytes=item.total,
            type=item.type,
            link=str(self.link(item)),
        )

    def link(self, item: Item) -> Link:
        """The link to pass on, with up to three of our addresses."""
        own = self._ctx.require(ADDRESS_BOOK).own()
        at = tuple(a.with_peer(self._ctx.peer_id) for a in places(own.addresses))
        return Link(item.content, item.name, item.total, at)


_STAT = View(
    "fields",
    (
        Column("shared", "shared"),
        Column("shared_bytes", "shared size", "bytes"),
        Column("fetched", "fetched"),
        Column("incomplete", "incomplete"),
        Column("store_bytes", "store", "bytes"),
        Column("quota_bytes", "quota", "bytes"),
        Column("uploads", "uploads"),
        Column("sent_bytes", "sent", "bytes"),
        Column("received_bytes", "received", "bytes"),
    ),
)


def _bar(call: Call, text: str) -> Callable[[int, int], None]:
    return lambda done, total: call.progress(done, total, "bytes", text)
