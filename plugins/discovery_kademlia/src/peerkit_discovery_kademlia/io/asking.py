"""Requests to peers, and lookup machines that run: the asking side of the plugin.

Dull on purpose: it feeds machines, sends what they want, and tells the routing table who answered.  Not here: what a
lookup does (`lookup.py`), what an answer means (`goals.py`).
"""

import asyncio
from collections.abc import Callable, Sequence

from peerkit.capabilities import ADDRESS_BOOK, DIALER
from peerkit.errors import EndpointClosed, LimitExceeded, PeerkitError, TrustDenied
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord
from peerkit.session import Code, RemoteFailure, Session

from .. import codec
from ..codec import Answer, Request
from ..disjoint import DisjointLookup
from ..diversity import neighbourhood
from ..lookup import Finished, Goal, Lookup, LookupOptions, SendRequest
from ..record_cache import RecordCache
from ..round_trips import RoundTrips
from ..routing_table import K, RoutingTable
from ..settings import KademliaSettings

PROTOCOL = "peerkit/kad"
VERSION = "1.0.0"
ACCEPTS = ">=1.0,<2"
MAX_LOOKUPS = 8  # at once; the others wait: 8 × α requests fit the node's 128 transient slots

Watch = Callable[[str, PeerRecord, int], None]
"""Told (event, peer, nodes named) of each step of a lookup."""


class RecordsNow:
    """The record cache at this moment's wall time."""

    def __init__(self, cache: RecordCache, now_wall: float) -> None:
        self._cache = cache
        self._now_wall = now_wall

    def read(self, wire: bytes) -> PeerRecord | None:
        return self._cache.read(wire, self._now_wall)

    def verify(self, record: PeerRecord) -> bool:
        return self._cache.verify(record)


class Asking:
    """Args:
    table: told of every peer that answers or fails.
    """

    def __init__(self, ctx: PluginContext[KademliaSettings], table: RoutingTable) -> None:
        self._ctx = ctx
        self._table = table
        self._dialer = ctx.require(DIALER)
        self._book = ctx.require(ADDRESS_BOOK)
        self._cache = RecordCache(ctx.network_id)
        self._round_trips = RoundTrips()
        self._turns = asyncio.Semaphore(MAX_LOOKUPS)
        self.lookups = 0

    def records(self) -> RecordsNow:
        return RecordsNow(self._cache, self._ctx.clock.wall())

    # -- one peer ------------------------------------------------------------------------------------------------

    async def ask(self, record: PeerRecord, request: Request) -> Answer:
        """Raises `PeerkitError` when there is no usable answer."""
        return codec.decode_answer(await self.request(record, codec.encode_request(request)))

    async def request(self, record: PeerRecord, payload: bytes) -> bytes:
        """The answer's bytes; the table learns how it went."""
        timeout_s = self._ctx.settings.request_timeout_s
        try:
            try:
                return await self._request(record, payload, timeout_s)
            except EndpointClosed as exc:
                if exc.reason_code == Code.LIMIT:
                    raise LimitExceeded(f"{record.peer_id.short} has no place for us: {exc.reason}") from exc
                # A session that others used before us may end under our feet; a new one tells.
                return await self._request(record, payload, timeout_s)
        except (TrustDenied, LimitExceeded, RemoteFailure):
            raise  # a gate or slots, or its considered answer: says nothing about its life
        except PeerkitError:
            self._table.missed(record.peer_id.raw, self._ctx.clock.now())
            raise

    async def _request(self, record: PeerRecord, payload: bytes, timeout_s: float) -> bytes:
        # Each has its own deadline; one more timer around both would only cost.
        async with self._dialer.transient(record, timeout_s) as session:
            answer = await session.request(PROTOCOL, payload, timeout_s)
        self.observe(session)
        return answer

    def observe(self, session: Session) -> None:
        """A peer proved itself on this session: perhaps it belongs into the table.

        A peer that came to us counts as reached when it came from a host that its record names, so that its address is
        proved too; others are only met (a node behind a router cannot be dialled where it seems to be)."""
        record = session.record or self._book.get(session.peer_id)
        if record is None:
            return
        now, remote = self._ctx.clock.now(), session.remote
        entry = self._table.get(session.peer_id.raw)
        if PROTOCOL not in record.protocols:
            return
        if session.is_dialer or entry is not None or any(a.ip == remote.ip for a in record.addresses):
            self._table.reached(record, neighbourhood(remote), now, session.is_dialer)
            if entry is None:
                self._cache.add(record)
        else:
            self._table.met(record)

    # -- lookups -------------------------------------------------------------------------------------------------

    async def lookup(
        self,
        target: int,
        request: Request,
        goal: Goal | None = None,
        *,
        k: int = K,
        alpha: int = 0,
        seeds: Sequence[PeerRecord] = (),
        watch: Watch | None = None,
    ) -> Finished:
        """Run one lookup to its end.  Cancelling the caller ends it; requests under way go on to their deadline, and
        the table learns from them.

        Args:
            alpha: requests in flight, where that is not the setting's.
            seeds: where to begin beside our table.
        """
        async with self._turns:
            known = [entry.record for entry in self._table.closest(target, max(k, K))]
            options = LookupOptions(k, alpha or self._ctx.settings.alpha, PROTOCOL)
            arguments = (self._table.own_id, target, [*known, *seeds], self.records(), self._round_trips, options, goal)
            paths = self._ctx.settings.paths
            machine = Lookup(*arguments) if paths == 1 else DisjointLookup(*arguments, paths)
            self.lookups += 1
            return await _Run(self, self._ctx, machine, codec.encode_request(request), watch).result()


class _Run:
    """One machine under way."""

    def __init__(
        self,
        asking: Asking,
        ctx: PluginContext[KademliaSettings],
        machine: Lookup | DisjointLookup,
        payload: bytes,
        watch: Watch | None,
    ) -> None:
        self._asking = asking
        self._ctx = ctx
        self._machine = machine
        self._payload = payload
        self._watch = watch
        self._done: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()
        self._cancel_timer: Callable[[], None] | None = None
        self._timer_at = 0.0

    async def result(self) -> Finished:
        self._machine.start(self._ctx.clock.now())
        self._drain()
        try:
            return await self._done
        finally:
            if self._cancel_timer is not None:
                self._cancel_timer()

    def _drain(self) -> None:
        if self._done.done():  # over, or nobody waits any more
            return
        while (event := self._machine.next_event()) is not None:
            match event:
                case SendRequest(record):
                    self._tell("asked", record, 0)
                    self._ctx.spawn(self._ask(record), "request")
                case Finished():
                    if not self._done.done():
                        self._done.set_result(event)
        self._arm()

    def _arm(self) -> None:
        """One timer; an earlier one that is still running comes first and arms the next."""
        due = self._machine.next_timer()
        if due is None or self._done.done() or (self._cancel_timer is not None and self._timer_at <= due):
            return
        if self._cancel_timer is not None:
            self._cancel_timer()
        self._timer_at = due
        self._cancel_timer = self._ctx.call_later(max(0.0, due - self._ctx.clock.now()), self._on_timer)

    def _on_timer(self) -> None:
        self._cancel_timer = None
        self._machine.handle_timer(self._ctx.clock.now())
        self._drain()

    async def _ask(self, record: PeerRecord) -> None:
        raw = record.peer_id.raw
        try:
            answer = codec.decode_answer(await self._asking.request(record, self._payload))
        except PeerkitError as exc:
            self._ctx.log.debug("lookup request failed", peer=record.peer_id.short, reason=str(exc))
            self._tell("failed", record, 0)
            self._machine.failed(raw, self._ctx.clock.now())
        else:
            self._tell("answered", record, len(answer.nodes))
            self._machine.receive(raw, answer, self._ctx.clock.now())
        self._drain()

    def _tell(self, event: str, record: PeerRecord, nodes: int) -> None:
        if self._watch is not None:
            self._watch(event, record, nodes)
