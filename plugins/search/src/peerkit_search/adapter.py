"""The plugin object: protocol, operation, routines, and the loop that follows what the node shares."""

import asyncio
from collections.abc import Sequence

from peerkit import protocol, text_form
from peerkit.capabilities import BLOB_STORE
from peerkit.errors import TrustDenied
from peerkit.event import ContentShared, ContentUnshared, PeerConnected
from peerkit.operation import Call, Operation
from peerkit.plugin import PluginContext, hookimpl
from peerkit.protocol import ProtocolSpec
from peerkit.routine import Routine
from peerkit.trust import Action, Question

from . import codec
from .catalogue import SharedContent
from .codec import CountAnswer, CountRequest, Outcome, QueryRequest, StoreAnswer, StoreRequest
from .index_peers import ACCEPTS, PROTOCOL, VERSION, IndexPeers
from .index_store import IndexStore, Source
from .local_index import MIGRATIONS, LocalIndex
from .operations import SearchHit, SearchRequest, search_operation
from .publisher import Publisher
from .searcher import Result, Searcher
from .settings import SearchSettings
from .terms import Analyzer

QUIET_S = 0.2  # changes are gathered until so long nothing changed …
LONGEST_GATHERING_S = 1.0  # … but no longer than this
RETRY_S = 5.0  # how often undelivered and waiting postings are looked after, while there are any
_YIELD_EVERY = 16  # stored items between two turns of the loop, some 2 ms of signature checks


class SearchPlugin:
    """One node's search: index peer, publisher and asker."""

    def __init__(self, ctx: PluginContext[SearchSettings]) -> None:
        self._ctx = ctx
        self._analyzer = Analyzer(ctx.settings.languages)
        self._store = IndexStore(ctx.network_id, ctx.rng.randbytes(32), ctx.settings.capacity)
        self._peers = IndexPeers(ctx)
        self._events: dict[bytes, SharedContent] = {}  # what events told, for a node without a blob store
        self._changed = asyncio.Event()
        self._searcher: Searcher | None = None
        self._publisher: Publisher | None = None

    # -- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [ProtocolSpec(PROTOCOL, VERSION, ACCEPTS, on_request=self._answer, max_concurrent=16)]

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[Operation[SearchRequest]]:
        return [search_operation(self._search)]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return [
            Routine("search.expire", self._expire, interval_s=60),
            Routine("search.republish", self._notice, interval_s=300),
        ]

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        local = LocalIndex(await self._ctx.open_database("search", MIGRATIONS))
        self._searcher = Searcher(self._ctx, self._analyzer, self._peers, self._store, local)
        documents = await local.own()
        self._publisher = Publisher(self._ctx, self._analyzer, self._peers, self._store, local, documents)

    async def run(self) -> None:
        assert self._publisher is not None, "start comes first"
        self._changed.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_shared())
            group.create_task(self._follow_unshared())
            group.create_task(self._follow_peers())
            group.create_task(self._publish(self._publisher))

    async def _follow_shared(self) -> None:
        async for event in self._ctx.subscribe(ContentShared, replay=True):
            root = text_form.decode(text_form.Kind.CONTENT, event.content_id)
            if event.listed:
                self._events[root] = SharedContent(root, event.name, event.size_bytes, event.type)
            else:
                self._events.pop(root, None)
            self._changed.set()

    async def _follow_unshared(self) -> None:
        async for event in self._ctx.subscribe(ContentUnshared, replay=True):
            self._events.pop(text_form.decode(text_form.Kind.CONTENT, event.content_id), None)
            self._changed.set()

    async def _follow_peers(self) -> None:
        async for _ in self._ctx.subscribe(PeerConnected):
            self._peers.peer_came()
            self._changed.set()  # what reached nobody may reach somebody now

    async def _publish(self, publisher: Publisher) -> None:
        """Bring the network up to date after every change of what we share or whom we know."""
        while True:
            try:
                async with asyncio.timeout(RETRY_S if publisher.has_pending else None):
                    await self._changed.wait()
            except TimeoutError:
                pass
            else:
                await self._gather()
            if self._ctx.settings.publish:
                await publisher.update(self._shared())
                await publisher.serve_newcomers()
                await publisher.bring_waiting()

    async def _gather(self) -> None:
        """A shared folder comes as a burst of events: wait for its end, to publish it in one go."""
        until = self._ctx.clock.now() + LONGEST_GATHERING_S
        while self._changed.is_set() and self._ctx.clock.now() < until:
            self._changed.clear()
            await asyncio.sleep(QUIET_S)
        self._changed.clear()

    def _shared(self) -> list[SharedContent]:
        store = self._ctx.find(BLOB_STORE)
        if store is None:
            return list(self._events.values())
        return [
            SharedContent(
                text_form.decode(text_form.Kind.CONTENT, blob.content_id), blob.name, blob.size_bytes, blob.type
            )
            for blob in store.listing()
            if blob.listed and blob.complete
        ]

    async def _expire(self) -> None:
        self._store.expire(self._ctx.clock.now())

    async def _notice(self) -> None:
        self._changed.set()

    # -- serving -------------------------------------------------------------------------------------------------

    async def _answer(self, request: protocol.Request) -> bytes:
        """As an index peer.  Raises `TrustDenied`, `RemoteProtocolError`; both go to the asker."""
        message = codec.decode_request(request.payload)
        session = request.session
        action = Action.STORE if isinstance(message, StoreRequest) else Action.LOOKUP
        decision = self._ctx.check(Question(action, session.peer_id, session.remote, PROTOCOL))
        if not decision.allow:
            raise TrustDenied(action.value, decision.policy, decision.reason)
        match message:
            case StoreRequest(items):
                source = Source(session.peer_id.raw, "" if session.remote.is_local else session.remote.prefix)
                return codec.encode_answer(StoreAnswer(tuple(await self._keep(items, source))))
            case QueryRequest():
                return codec.encode_answer(self._store.match(message, self._ctx.clock.now()))
            case CountRequest(terms):
                return codec.encode_answer(CountAnswer(self._store.count(terms)))

    async def _keep(self, items: Sequence[codec.StoreItem], source: Source) -> list[Outcome]:
        clock = self._ctx.clock
        outcomes: list[Outcome] = []
        for i, item in enumerate(items):
            if i % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            outcomes.append(self._store.offer(item, source, clock.now(), clock.wall()))
        return outcomes

    # -- asking --------------------------------------------------------------------------------------------------

    async def _search(self, request: SearchRequest, call: Call) -> Sequence[SearchHit]:
        assert self._searcher is not None, "start comes first"
        results = await self._searcher.search(
            " ".join(request.words), request.limit, request.type, request.local, lambda result: call.item(_hit(result))
        )
        return [_hit(result) for result in results]


def _hit(result: Result) -> SearchHit:
    posting = result.ranked.posting
    return SearchHit(
        content_id=text_form.encode(text_form.Kind.CONTENT, posting.root),
        name=posting.title,
        size_bytes=posting.size_bytes,
        type=posting.type,
        publisher=str(posting.publisher),
        score=round(result.ranked.score, 4),
        sources=result.sources,
    )
