"""The plugin object: one routing table, and everything that stands on it.

It starts the lookups, answers peers, repeats what must be repeated; the decisions are in the pure modules beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from peerkit import protocol
from peerkit.capabilities import ADDRESS_BOOK, CONTENT_ROUTING, PEER_ROUTING, RECORD_STORE, Lookup, MutableRecord
from peerkit.errors import LimitExceeded, NotFound, PeerkitError, TrustDenied, UsageError
from peerkit.identity import PeerId
from peerkit.operation import Call, Nothing
from peerkit.plugin import PluginContext, hookimpl
from peerkit.protocol import ProtocolSpec
from peerkit.record import PeerRecord
from peerkit.routine import Routine
from peerkit.session import Peer
from peerkit.trust import Action, Question

from .codec import MAX_SALT_BYTES, Answer, FindNode, GetProviders, GetValue, Ping, decode_answer, encode_request
from .diversity import neighbourhood
from .goals import BucketGoal, PeerGoal, ProviderGoal, ValueGoal
from .io.asking import ACCEPTS, PROTOCOL, VERSION, Asking
from .io.keeper import Keeper
from .io.pinging import Pinging
from .io.publishing import Publishing
from .joining import THIN, Joining
from .keys import KEY_BITS, KEY_BYTES, key_of_peer, to_bytes, to_int
from .liveness import Liveness
from .namespaces import MAX_IMMUTABLE_BYTES, MAX_MUTABLE_BYTES, Namespace, mutable_key, read_mutable
from .operations import (
    AnyOperation,
    LookupAnswer,
    LookupRequest,
    NearPeer,
    TableRow,
    TraceStep,
    key_of_target,
    lookup_operation,
    table_operation,
)
from .provider_store import ProviderStore
from .routing_table import Entry, K, RoutingTable
from .rpc import Asker, Server
from .settings import KademliaSettings
from .value_store import ValueStore

FEW = 2  # requests in flight where the peers that answer matter, not the time: more would dial more than are needed
SOME = 4  # for our own neighbourhood: ten at once would dial ten that turn out not to be in it
PINGS = 16  # of one turn of the liveness routine
_PING = encode_request(Ping())


class KademliaPlugin:
    """One node's part of the hash table.  Promises `PeerRouting`, `ContentRouting`, `RecordStore` and `Discovery`."""

    name = "kademlia"

    def __init__(self, ctx: PluginContext[KademliaSettings]) -> None:
        settings = ctx.settings
        self._ctx = ctx
        self._book = ctx.require(ADDRESS_BOOK)
        self.table = RoutingTable(ctx.peer_id.raw)
        self._asking = Asking(ctx, self.table)
        self._pinging = Pinging(ctx)
        self._publishing = Publishing(ctx, self._asking)
        self._providers = ProviderStore(settings.max_provider_records, settings.max_provided_keys_per_peer)
        self._values = ValueStore(settings.max_stored_bytes)
        self._server = Server(
            self.table,
            self._providers,
            self._values,
            ctx.network_id,
            ctx.rng,
            self._allow,
            self._publishing.own_provider,
            self._pinging.grant,
        )
        self._liveness = Liveness(self.table, settings.liveness_interval_s, ctx.rng)
        self._joining = Joining(self.table, settings.refresh_interval_s, ctx.rng)
        self._newcomer = asyncio.Event()
        self._saved: list[PeerRecord] = []
        self._keeper: Keeper | None = None
        ctx.provide(PEER_ROUTING, self)
        ctx.provide(CONTENT_ROUTING, self)
        ctx.provide(RECORD_STORE, self)

    # -- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [ProtocolSpec(PROTOCOL, VERSION, ACCEPTS, on_peer=self._on_peer, on_request=self._answer)]

    @hookimpl
    def peerkit_register_discoveries(self) -> "Sequence[KademliaPlugin]":
        return [self]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        settings = self._ctx.settings
        turn_s = min(10.0, settings.liveness_interval_s / 3)
        return [
            Routine("kademlia.liveness", self._check_liveness, interval_s=turn_s, jitter=0.3),
            Routine("kademlia.refresh", self._refresh, interval_s=min(60.0, settings.refresh_interval_s), jitter=0.3),
            Routine("kademlia.republish", self._publishing.republish, interval_s=15.0, jitter=0.3),
            Routine("kademlia.expire", self._expire, interval_s=60.0),
            Routine("kademlia.save", self._save, interval_s=60.0),
        ]

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[AnyOperation]:
        return [lookup_operation(self._show_lookup), table_operation(self._show_table)]

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._keeper = await Keeper.open(self._ctx)
        saved = await self._keeper.load(self._ctx.clock.wall())
        self._publishing.restore(self._keeper, saved)
        self._saved = saved.nodes

    async def run(self) -> None:
        """Join as soon as there is somebody to ask, and again while the table is small and somebody new comes."""
        if self._saved:
            await self._join()
        while True:
            await self._newcomer.wait()
            self._newcomer.clear()
            wait_s = self._joining.wait_s(self._ctx.clock.now())
            if wait_s is not None:
                await asyncio.sleep(wait_s)
                await self._join()

    async def close(self) -> None:
        await self._save()

    async def _join(self) -> None:
        own = to_bytes(self.table.own_key)
        seeds = self._saved or self._book.records()[-K:]  # a full bootstrap peer is no member, but its record is there
        finished = await self._asking.lookup(self.table.own_key, FindNode(own), alpha=SOME, seeds=seeds)
        now = self._ctx.clock.now()
        was_joined = self._joining.is_joined
        self._joining.joined(now, finished.closest)
        self._ctx.log.info("joined", answered=len(finished.closest), asked=finished.queried, table=len(self.table))
        if not was_joined and self._joining.is_joined:
            self._saved = []
            await self._fill_thin_buckets()
            await self._publishing.republish()

    async def _fill_thin_buckets(self) -> None:
        """A few peers of each will do, whichever: the lookups are narrow, and end when they are there."""
        for index in self._joining.thin_buckets():
            key = self._joining.key_in(index, self._ctx.clock.now())
            goal = BucketGoal(self.table, index, THIN)
            await self._asking.lookup(key, FindNode(to_bytes(key)), goal, k=THIN, alpha=FEW)

    async def _look_into(self, keys: Sequence[int]) -> None:
        """Fill buckets; eight peers near a random key of each are enough."""
        for key in keys:
            await self._asking.lookup(key, FindNode(to_bytes(key)), k=8)

    async def _on_peer(self, peer: Peer) -> None:
        """A member that speaks our protocol: its answer proves that it does, and that its record is here."""
        for _ in range(2):  # the first session may lose against one that the peer opened at the same time
            try:
                answer = decode_answer(await peer.request(PROTOCOL, _PING, self._ctx.settings.request_timeout_s))
            except PeerkitError as exc:
                self._ctx.log.debug("no pong", peer=peer.id.short, reason=str(exc))
                continue
            self._pinging.learn(peer.id, answer.grant)
            is_new = self.table.get(peer.id.raw) is None
            self._asking.observe(peer.session)
            if is_new or not self._joining.is_joined:
                self._newcomer.set()
            return

    # -- again and again -----------------------------------------------------------------------------------------

    async def _check_liveness(self) -> None:
        """Ping who was silent for long; then probe strangers for buckets that have room.  Try again to join."""
        if not self._joining.is_joined and self._book.records():
            self._newcomer.set()
        due = self._liveness.due(self._ctx.clock.now(), PINGS)
        strangers = [
            r for index, _, waiting in self.table.sizes() if waiting and (r := self.table.replacement_for(index))
        ]
        async with asyncio.TaskGroup() as group:
            for record in [entry.record for entry in due] + strangers:
                group.create_task(self._ping(record))

    async def _ping(self, record: PeerRecord) -> None:
        entry = self.table.get(record.peer_id.raw)
        # Of a peer that came to us a pong proves little: its router may let in only whom it called.
        if entry is not None and entry.is_dialled and await self._pinging.ping(record):
            self.table.reached(record, entry.where, self._ctx.clock.now(), is_dialled=True)
            return
        try:
            answer = await self._asking.ask(record, Ping())
            self._pinging.learn(record.peer_id, answer.grant)
        except PeerkitError as exc:
            self._ctx.log.debug("no pong", peer=record.peer_id.short, reason=str(exc))

    async def _refresh(self) -> None:
        if not self._joining.is_joined:
            return
        keys = self._joining.stale_keys(self._ctx.clock.now())
        if self.table.own_key in keys:
            await self._join()
        await self._look_into([key for key in keys if key != self.table.own_key])

    async def _expire(self) -> None:
        now = self._ctx.clock.now()
        self._providers.expire(now)
        self._values.expire(now)
        self.table.forget_expired(self._ctx.clock.wall())

    async def _save(self) -> None:
        if self._keeper is not None:
            await self._keeper.save_table(self.table)

    # -- answering -----------------------------------------------------------------------------------------------

    def _answer(self, request: protocol.Request) -> bytes:
        session = request.session
        remote = session.remote
        record = session.record
        asker = Asker(session.peer_id, record.to_bytes() if record is not None else b"", remote, neighbourhood(remote))
        clock = self._ctx.clock
        answer = self._server.answer(request.payload, asker, clock.now(), clock.wall())
        self._asking.observe(session)
        return answer

    def _allow(self, action: Action, asker: Asker) -> None:
        decision = self._ctx.check(Question(action, asker.peer_id, asker.address, PROTOCOL))
        if not decision.allow:
            raise TrustDenied(action.value, decision.policy, decision.reason)

    # -- Discovery -----------------------------------------------------------------------------------------------

    async def find_peers(self, count: int) -> Sequence[PeerRecord]:
        """Random entries of the table that are no members yet."""
        entries = [e.record for e in self.table if not e.misses and self._ctx.pool.get(e.record.peer_id) is None]
        return self._ctx.rng.sample(entries, min(count, len(entries)))

    # -- PeerRouting ---------------------------------------------------------------------------------------------

    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        if peer_id == self._ctx.peer_id:
            return self._book.own()
        entry = self.table.get(peer_id.raw)
        if entry is not None and not entry.misses:
            return entry.record
        key = to_bytes(key_of_peer(peer_id.raw))
        goal = PeerGoal(peer_id, self._asking.records(), self._ctx.network_id, self._ctx.clock.wall())
        await self._asking.lookup(to_int(key), GetValue(Namespace.PEER, key), goal)
        return goal.found or self._book.get(peer_id)

    async def closest_peers(self, key: bytes, count: int = K) -> Lookup:
        _check_key(key)
        finished = await self._asking.lookup(to_int(key), FindNode(key), k=max(count, K))
        return Lookup(finished.closest[:count], finished.hops, finished.queried, finished.exact)

    # -- ContentRouting ------------------------------------------------------------------------------------------

    async def provide(self, key: bytes) -> int:
        _check_key(key)
        return await self._publishing.provide(key)

    async def unprovide(self, key: bytes) -> None:
        await self._publishing.unprovide(key)

    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        _check_key(key)
        found: asyncio.Queue[PeerRecord | None] = asyncio.Queue()  # at most `limit` and the end
        wall = self._ctx.clock.wall()
        goal = ProviderGoal(
            key, self._ctx.peer_id, self._asking.records(), self._ctx.network_id, wall, limit, found.put_nowait
        )

        async def look() -> None:
            try:
                if not goal.take(self._ctx.peer_id, self._server.own_answer(key)):
                    await self._asking.lookup(to_int(key), GetProviders(key), goal)
            finally:
                found.put_nowait(None)

        cancel = self._ctx.spawn(look(), "find providers")
        try:
            while (record := await found.get()) is not None:
                yield record
        finally:
            cancel()

    # -- RecordStore ---------------------------------------------------------------------------------------------

    async def put_immutable(self, value: bytes) -> bytes:
        if len(value) > MAX_IMMUTABLE_BYTES:
            raise LimitExceeded(f"an immutable value has at most {MAX_IMMUTABLE_BYTES} bytes, not {len(value)}")
        return await self._publishing.put_immutable(value)

    async def get_immutable(self, key: bytes) -> bytes:
        return await self._get(Namespace.IMMUTABLE, key)

    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None = None) -> int:
        if len(value) > MAX_MUTABLE_BYTES or len(salt) > MAX_SALT_BYTES:
            raise LimitExceeded(f"a mutable value has at most {MAX_MUTABLE_BYTES} bytes, its salt {MAX_SALT_BYTES}")
        return await self._publishing.put_mutable(salt, value, sequence)

    async def get_mutable(self, author: PeerId, salt: bytes) -> MutableRecord:
        value = await self._get(Namespace.MUTABLE, mutable_key(author, salt))
        return read_mutable(value, self._ctx.network_id)

    async def _get(self, namespace: Namespace, key: bytes) -> bytes:
        _check_key(key)
        goal = ValueGoal(namespace, key, self._ctx.network_id, self._ctx.clock.wall())
        own = self._publishing.own_value(namespace, key) or self._values.get(namespace, key)
        if not (goal.take(self._ctx.peer_id, Answer(value=own)) if own else False):
            await self._asking.lookup(to_int(key), GetValue(namespace, key), goal)
        if not goal.value:
            raise NotFound(f"nobody who could be reached keeps a value under {key.hex()[:16]}…")
        return goal.value

    # -- operations ----------------------------------------------------------------------------------------------

    async def _show_lookup(self, request: LookupRequest, call: Call) -> LookupAnswer:
        key = key_of_target(request.target)
        clock = self._ctx.clock
        began_at = clock.now()
        trace: list[TraceStep] = []

        def watch(event: str, record: PeerRecord, nodes: int) -> None:
            step = TraceStep(
                at_s=round(clock.now() - began_at, 4), event=event, peer_id=str(record.peer_id), nodes=nodes
            )
            trace.append(step)
            call.progress(sum(s.event == "answered" for s in trace), text=f"{event} {record.peer_id.short}")

        finished = await self._asking.lookup(to_int(key), FindNode(key), watch=watch)
        return LookupAnswer(
            key=key.hex(),
            hops=finished.hops,
            queried=finished.queried,
            exact=finished.exact,
            seconds=round(clock.now() - began_at, 4),
            found=len(finished.closest),
            closest=tuple(_near(record, to_int(key)) for record in finished.closest),
            trace=tuple(trace),
        )

    async def _show_table(self, request: Nothing, call: Call) -> Sequence[TableRow]:
        now = self._ctx.clock.now()
        rows = []
        for index, _, _ in self.table.sizes():
            rows += [_row(index, entry, now) for entry in self.table.bucket(index)]
        return rows


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise UsageError(f"a key has {KEY_BYTES} bytes, not {len(key)}")


def _near(record: PeerRecord, target: int) -> NearPeer:
    shared = KEY_BITS - (key_of_peer(record.peer_id.raw) ^ target).bit_length()
    return NearPeer(peer_id=str(record.peer_id), addresses=tuple(str(a) for a in record.addresses), shared_bits=shared)


def _row(index: int, entry: Entry, now: float) -> TableRow:
    return TableRow(
        bucket=index,
        peer_id=str(entry.record.peer_id),
        address=str(next(iter(entry.record.addresses), "")),
        age_s=round(now - entry.joined_at, 1),
        silent_s=round(now - entry.reached_at, 1),
        misses=entry.misses,
        dialled=entry.is_dialled,
    )
