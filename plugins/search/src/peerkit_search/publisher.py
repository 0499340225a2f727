"""Brings our postings to their index peers and takes them back: signed once, sorted by peer, at a bounded rate."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord

from . import codec
from .catalogue import SharedContent, compare, next_sequence
from .codec import OutcomeCode, StoreAnswer, StoreItem, StoreRequest
from .delivery import Parcel, Publication, sort_by_peer, term_keys
from .index_peers import IndexPeers
from .index_store import IndexStore
from .local_index import LocalIndex, OwnDocument, StoredPosting
from .posting import LIFE_S, make_posting
from .settings import SearchSettings
from .terms import Analyzer

PARALLEL_LOOKUPS = 4
PARALLEL_PEERS = 8
ROUND_DOCUMENTS = 500  # signed and sent at a time: bounds memory, and the first of many are found early
MAX_WAITING = 10_000  # items that index peers asked us to bring later; more are left to the republication
MAX_RETRIES = 3  # of an index peer that does not answer
RETRY_S = 2.5  # before the first of them; doubled each time
_SPARE_S = 1.0  # come back so long after the time a ticket names
_YIELD_EVERY = 32  # documents signed between two turns of the loop, some 5 ms


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: PeerRecord
    item: StoreItem
    ready_at: float


@dataclass(slots=True)
class PublisherCounters:
    """What happened so far, over all index peers."""

    stored: int = 0
    waiting: int = 0
    refused: int = 0
    failed_peers: int = 0


class Publisher:
    """Args:
    documents: what was published before, from the local index.
    """

    def __init__(
        self,
        ctx: PluginContext[SearchSettings],
        analyzer: Analyzer,
        peers: IndexPeers,
        store: IndexStore,
        local: LocalIndex,
        documents: Sequence[OwnDocument],
    ) -> None:
        self._ctx = ctx
        self._analyzer = analyzer
        self._peers = peers
        self._store = store
        self._local = local
        self._documents = {document.root: document for document in documents}
        self._undelivered: set[bytes] = set(self._documents)  # after a restart everything is brought again
        self._served: set[PeerId] = set()  # in a network of fewer than k peers: who has all our postings
        self._waiting: list[_Waiting] = []
        self._failures: dict[PeerId, int] = {}
        self._send_at = 0.0
        self.counters = PublisherCounters()

    @property
    def has_pending(self) -> bool:
        """Whether postings wait for their first index peer or for a ticket's time."""
        return bool(self._waiting or any(root in self._documents for root in self._undelivered))

    async def update(self, shared: Sequence[SharedContent]) -> None:
        """Publish what is new or due, withdraw what is gone, and retry what reached nobody."""
        wall = self._ctx.clock.wall()
        settings = self._ctx.settings
        renew_before = wall + LIFE_S - settings.republish_s
        changes = compare(self._documents, shared, wall, renew_before)
        if changes.forget:
            await self._local.forget_own(changes.forget)
            for root in changes.forget:
                self._documents.pop(root, None)
                self._undelivered.discard(root)
        await self._publish([replace(document, withdrawn=True) for document in changes.withdraw])
        await self._publish(list(changes.publish))
        again = [self._documents[root] for root in self._undelivered if root in self._documents]
        if again and await self._anyone():
            await self._publish(again)

    async def serve_newcomers(self) -> None:
        """In a small network every peer indexes every word: bring a peer that came later all that the others have."""
        everyone = await self._peers.everyone()
        if everyone is None:
            self._served.clear()
            return
        new = frozenset(record.peer_id for record in everyone) - self._served
        if new and self._documents and not self._undelivered:
            await self._publish(list(self._documents.values()), only=new)

    async def bring_waiting(self) -> None:
        """Return to the index peers that asked us to wait."""
        now = self._ctx.clock.now()
        due = [waiting for waiting in self._waiting if waiting.ready_at <= now]
        if not due:
            return
        self._waiting = [waiting for waiting in self._waiting if waiting.ready_at > now]
        parcels: dict[PeerId, Parcel] = {}
        for waiting in due:
            parcels.setdefault(waiting.record.peer_id, Parcel(waiting.record)).items.append(waiting.item)
        await self._deliver(list(parcels.values()))

    async def _anyone(self) -> bool:
        return bool(await self._peers.nearest(bytes(32)))

    async def _publish(self, documents: Sequence[OwnDocument], only: frozenset[PeerId] | None = None) -> None:
        reached: frozenset[PeerId] | None = None
        for start in range(0, len(documents), ROUND_DOCUMENTS):
            done = await self._publish_round(documents[start : start + ROUND_DOCUMENTS], only)
            reached = done if reached is None else reached & done
        live = sum(not document.withdrawn for document in self._documents.values())
        if reached is not None and len(documents) >= live:
            self._served |= reached  # they were brought everything

    async def _publish_round(
        self, documents: Sequence[OwnDocument], only: frozenset[PeerId] | None
    ) -> frozenset[PeerId]:
        """Returns the peers that took all that was meant for them."""
        publications = await self._sign(documents)
        await self._locate(publications)
        parcels = sort_by_peer(publications, self._peers.known, self._ctx.settings.replicas, only)
        reached = await self._deliver(parcels)
        if only is None:
            if reached:
                self._undelivered.difference_update(publication.posting.root for publication in publications)
            self._served.difference_update({parcel.record.peer_id for parcel in parcels} - reached)
        return reached

    async def _sign(self, documents: Sequence[OwnDocument]) -> list[Publication]:
        """Make the postings, index them here and save them.  A posting that still lives long is made again as it was:
        peers that have it take that without looking at the signature."""
        clock, own = self._ctx.clock, self._ctx.peer_id
        publications: list[Publication] = []
        saved: list[OwnDocument] = []
        rows: list[StoredPosting] = []
        for i, document in enumerate(documents):
            if i % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            terms = self._analyzer.document_terms(document.name)
            if not terms:
                continue
            wall = clock.wall()
            before = self._documents.get(document.root)
            same = before is not None and (before.name, before.withdrawn) == (document.name, document.withdrawn)
            keeps = same and document.sequence > 0 and document.expires > wall + LIFE_S - self._ctx.settings.republish_s
            sequence = document.sequence if keeps else next_sequence(document.sequence, wall)
            life_s = document.expires - wall if keeps else LIFE_S
            posting = make_posting(
                self._ctx.sign,
                own,
                document.root,
                document.name,
                document.size_bytes,
                document.type,
                terms,
                sequence,
                wall,
                document.withdrawn,
                life_s,
            )
            self._store.keep_own(posting, clock.now(), wall)
            publications.append(Publication(posting, terms))
            if not keeps:
                saved.append(replace(document, sequence=sequence, expires=posting.expires_at))
                if not document.withdrawn:
                    rows.append(
                        StoredPosting(
                            own.raw, document.root, sequence, posting.expires_at, 0, True, posting.data, posting.terms
                        )
                    )
        if saved:
            await self._local.save(saved, rows)
            for document in saved:
                self._documents[document.root] = document
                self._undelivered.add(document.root)
        return publications

    async def _locate(self, publications: Sequence[Publication]) -> None:
        """Learn the index peers of every term; keys in order, so that a lookup serves its neighbours."""
        keys = iter(term_keys(publications))

        async def work() -> None:
            for key in keys:
                await self._peers.nearest(key)

        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_LOOKUPS):
                group.create_task(work())

    async def _deliver(self, parcels: Sequence[Parcel]) -> frozenset[PeerId]:
        """Returns the peers that answered every request."""
        reached: set[PeerId] = set()
        todo = iter(parcels)

        async def work() -> None:
            for parcel in todo:
                chunks = codec.chunked(parcel.items)
                for i, items in enumerate(chunks):
                    await self._pace(sum(len(item.posting) + 16 for item in items))
                    answer = await self._peers.try_ask(parcel.record, StoreRequest(items))
                    if not isinstance(answer, StoreAnswer) or len(answer.outcomes) != len(items):
                        self._retry_later(parcel.record, [item for chunk in chunks[i:] for item in chunk])
                        break
                    self._read(parcel.record, items, answer)
                else:
                    reached.add(parcel.record.peer_id)
                    self._failures.pop(parcel.record.peer_id, None)

        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_PEERS):
                group.create_task(work())
        return frozenset(reached)

    def _retry_later(self, record: PeerRecord, items: Sequence[StoreItem]) -> None:
        """A peer gave no usable answer: it may be busy, so try a few times, ever later; it may be gone, so no more."""
        self.counters.failed_peers += 1
        failures = self._failures[record.peer_id] = self._failures.get(record.peer_id, 0) + 1
        if failures > MAX_RETRIES:
            del self._failures[record.peer_id]
            return
        ready_at = self._ctx.clock.now() + RETRY_S * 2**failures
        room = MAX_WAITING - len(self._waiting)
        self._waiting += [_Waiting(record, item, ready_at) for item in items[:room]]

    def _read(self, record: PeerRecord, items: Sequence[StoreItem], answer: StoreAnswer) -> None:
        now = self._ctx.clock.now()
        for item, outcome in zip(items, answer.outcomes, strict=True):
            match outcome.code:
                case OutcomeCode.STORED:
                    self.counters.stored += 1
                case OutcomeCode.WAIT:
                    self.counters.waiting += 1
                    if len(self._waiting) < MAX_WAITING:
                        later = replace(item, ticket=outcome.ticket)
                        self._waiting.append(_Waiting(record, later, now + outcome.wait_s + _SPARE_S))
                case OutcomeCode.REFUSED:
                    self.counters.refused += 1

    async def _pace(self, size: int) -> None:
        now = self._ctx.clock.now()
        wait_s = self._send_at - now
        self._send_at = max(self._send_at, now) + size / self._ctx.settings.publish_bytes_per_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
