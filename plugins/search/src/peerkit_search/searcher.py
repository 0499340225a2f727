"""One search of a person: at once from here, then from the network, ranked at the end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from peerkit.capabilities import CONTENT_ROUTING
from peerkit.errors import PeerkitError, RemoteProtocolError, UsageError
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord
from peerkit.trust import Action, Question

from . import query as machine
from .codec import CountAnswer, QueryAnswer, QueryRequest, WordIds
from .index_peers import PROTOCOL, IndexPeers
from .index_store import IndexStore, type_matches
from .local_index import LocalIndex, StoredPosting
from .posting import Posting, own_posting, read_posting
from .query import Query, QueryCounters
from .ranking import Evidence, Ranked, rank
from .settings import SearchSettings
from .term_counts import TermCounts
from .terms import MAX_QUERY_WORDS, Analyzer, Word, term_id

SOURCES_TIMEOUT_S = 2.0  # counting sources is a courtesy; it must not hold up the answer
PARALLEL_SOURCES = 8
NO_PROVIDER = 0.7  # guess: rank of content that nobody is known to serve now


@dataclass(frozen=True, slots=True)
class Result:
    """A ranked content with the number of peers known to serve it."""

    ranked: Ranked
    sources: int


@dataclass(slots=True)
class _Gathered:
    """Evidence by publisher and content, the newest of each."""

    by_key: dict[bytes, Evidence] = field(default_factory=dict)
    roots: set[bytes] = field(default_factory=set)

    def add(self, evidence: Evidence) -> bool:
        """Whether the content is new."""
        posting = evidence.posting
        key = posting.publisher.raw + posting.content
        old = self.by_key.get(key)
        if old is not None and old.posting.sequence > posting.sequence:
            return False
        self.by_key[key] = evidence
        is_new = posting.root not in self.roots
        self.roots.add(posting.root)
        return is_new

    def withdraw(self, tombstone: Posting) -> None:
        key = tombstone.publisher.raw + tombstone.content
        if (old := self.by_key.get(key)) is not None and old.posting.sequence < tombstone.sequence:
            del self.by_key[key]


class Searcher:
    """Searches for one node; many searches may run at once."""

    def __init__(
        self,
        ctx: PluginContext[SearchSettings],
        analyzer: Analyzer,
        peers: IndexPeers,
        store: IndexStore,
        local: LocalIndex,
    ) -> None:
        self._ctx = ctx
        self._analyzer = analyzer
        self._peers = peers
        self._store = store
        self._local = local
        self._counts = TermCounts()
        self.last = QueryCounters()

    async def search(
        self, text: str, limit: int, type: str, local_only: bool, on_found: Callable[[Result], None]
    ) -> list[Result]:
        """Best first.

        Args:
            on_found: called with each content when its first posting comes; its score is then provisional.

        Raises:
            UsageError: `text` has no word that can be searched, or more than 12.
        """
        words = self._analyzer.query_words(text)
        if not words:
            raise UsageError(f"{text[:80]!r} has no word of at least two letters or digits to search for")
        if len(words) > MAX_QUERY_WORDS:
            raise UsageError(f"a search has at most {MAX_QUERY_WORDS} words, this one has {len(words)}")
        gathered = _Gathered()

        trusted: dict[PeerId, bool] = {}

        def take(evidence: Evidence) -> None:
            publisher = evidence.posting.publisher
            if publisher not in trusted:  # whom the owner blocked shall not be found either
                trusted[publisher] = self._ctx.check(Question(Action.STORE, publisher, protocol=PROTOCOL)).allow
            if trusted[publisher] and gathered.add(evidence):
                wall = self._ctx.clock.wall()
                (first,) = rank(words, [evidence], self._analyzer, self._counts.at(self._ctx.clock.now()), wall)
                on_found(Result(first, first.publishers))

        await self._search_here(words, type, take)
        if not local_only:
            await self._search_network(words, limit, type, gathered, take)
        return await self._rank(words, gathered, limit, count_sources=not local_only)

    async def _search_here(self, words: tuple[Word, ...], type: str, take: Callable[[Evidence], None]) -> None:
        ids: tuple[WordIds, ...] = tuple(
            tuple(frozenset(map(term_id, alternative)) for alternative in word.alternatives) for word in words
        )
        wall = self._ctx.clock.wall()
        for data, neighbourhood, is_own in await self._local.search(ids, wall):
            posting = own_posting(data) if is_own else self._checked(data, wall)
            if posting is not None and type_matches(type, posting.type):
                take(Evidence(posting, neighbourhood))
        # What we keep for others as an index peer counts as known here.
        for key in {max(alternative, key=len) for word in words for alternative in word.alternatives}:
            answer = self._store.match(QueryRequest(term_id(key), ids, machine.PER_PEER, type), self._ctx.clock.now())
            for hit in answer.hits:
                posting = self._checked(hit.posting, wall)
                if posting is not None and not posting.withdrawn:
                    take(Evidence(posting, hit.neighbourhood))

    @staticmethod
    def _checked(data: bytes, wall: float) -> Posting | None:
        """A posting whose signature was verified when it came here; `None` when it has expired."""
        try:
            return read_posting(data, wall).posting
        except RemoteProtocolError:
            return None

    async def _search_network(
        self, words: tuple[Word, ...], limit: int, type: str, gathered: _Gathered, take: Callable[[Evidence], None]
    ) -> None:
        ctx = self._ctx
        query = Query(words, limit, type, ctx.network_id, self._counts, ctx.settings.timeout_s)
        records: dict[PeerId, PeerRecord] = {}
        wake = asyncio.Event()
        new: list[Evidence] = []
        gone: list[Posting] = []

        async def locate(term: str, key: bytes) -> None:
            try:
                found = await self._peers.nearest_when_joined(key)
            except PeerkitError:
                found = ()
            records.update((record.peer_id, record) for record in found)
            query.receive_peers(term, [record.peer_id for record in found], ctx.clock.now())
            wake.set()

        async def ask(request: machine.Ask) -> None:
            answer = await self._peers.try_ask(records[request.peer], request.request)
            if isinstance(answer, QueryAnswer | CountAnswer):
                query.receive(request.peer, answer, ctx.clock.now(), ctx.clock.wall())
            else:
                query.failed(request.peer, ctx.clock.now())
            wake.set()

        query.start(ctx.clock.now())
        running: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    while (event := query.next_event()) is not None:
                        match event:
                            case machine.FindPeers(term, key):
                                running.add(group.create_task(locate(term, key)))
                            case machine.Ask():
                                running.add(group.create_task(ask(event)))
                            case machine.Found(evidence):
                                new.append(evidence)
                                take(evidence)
                            case machine.Withdrawn(posting):
                                gone.append(posting)
                                gathered.withdraw(posting)
                            case machine.Finished():
                                pass
                    if query.is_done:
                        break
                    wake.clear()
                    delay_s = query.next_timer() - ctx.clock.now()
                    try:
                        async with asyncio.timeout(max(delay_s, 0.001)):
                            await wake.wait()
                    except TimeoutError:
                        query.handle_timer(ctx.clock.now())
                for task in running:
                    task.cancel()
        finally:
            self.last = query.counters
        await self._remember(new, gone)

    async def _remember(self, new: list[Evidence], gone: list[Posting]) -> None:
        for tombstone in gone:
            await self._local.withdraw(tombstone.publisher.raw, tombstone.root, tombstone.sequence)
        rows = [
            StoredPosting(
                e.posting.publisher.raw,
                e.posting.root,
                e.posting.sequence,
                e.posting.expires_at,
                e.neighbourhood,
                False,
                e.posting.data,
                e.posting.terms,
            )
            for e in new
            if e.posting.publisher != self._ctx.peer_id
        ]
        if rows:
            await self._local.cache(rows, self._ctx.clock.wall())

    async def _rank(
        self, words: tuple[Word, ...], gathered: _Gathered, limit: int, count_sources: bool
    ) -> list[Result]:
        evidence = list(gathered.by_key.values())
        counts = self._counts.at(self._ctx.clock.now())
        wall = self._ctx.clock.wall()
        ranked = rank(words, evidence, self._analyzer, counts, wall)
        sources = await self._count_sources([row.posting for row in ranked[:limit]]) if count_sources else {}
        if sources:
            ranked = rank(
                words,
                evidence,
                self._analyzer,
                counts,
                wall,
                lambda root: NO_PROVIDER if sources.get(root) == 0 else 1.0,
            )
        return [Result(row, sources.get(row.posting.root) or row.publishers) for row in ranked[:limit]]

    async def _count_sources(self, postings: list[Posting]) -> dict[bytes, int]:
        """Root → providers that content routing finds in two seconds; contents it had no time for are left out."""
        routing = self._ctx.find(CONTENT_ROUTING)
        if routing is None:
            return {}
        found: dict[bytes, int] = {}
        todo = iter(postings)

        async def work() -> None:
            for posting in todo:
                own = int(posting.publisher == self._ctx.peer_id)
                try:
                    found[posting.root] = own + len([record async for record in routing.find_providers(posting.root)])
                except PeerkitError:
                    continue

        try:
            async with asyncio.timeout(SOURCES_TIMEOUT_S), asyncio.TaskGroup() as group:
                for _ in range(PARALLEL_SOURCES):
                    group.create_task(work())
        except TimeoutError:
            pass
        return found
