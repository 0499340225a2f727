"""What this node tells others to keep: the keys it provides and its signed values; told again until withdrawn."""

import asyncio
from collections.abc import Sequence

from peerkit.capabilities import ADDRESS_BOOK
from peerkit.errors import PeerkitError, Unavailable
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord

from ..announcement import PURPOSE, announcement_body
from ..codec import FindNode, Provider, PutValue, Request
from ..keys import key_of_peer, to_bytes, to_int
from ..namespaces import MUTABLE_PURPOSE, Namespace, immutable_key, mutable_body, mutable_key, read_mutable
from ..settings import KademliaSettings
from .announcing import MAX_ROUND, Announcing
from .asking import Asking
from .keeper import Keeper, Published, Saved

RETRY_S = 30.0  # for what reached nobody
TURN_VALUES = 64  # of one turn of the republish routine


class Publishing:
    """Args:
    keeper: set once the database is open; before that nothing can be published.
    """

    def __init__(self, ctx: PluginContext[KademliaSettings], asking: Asking) -> None:
        self._ctx = ctx
        self._asking = asking
        self._announcing = Announcing(ctx, asking, self._announcement)
        self._book = ctx.require(ADDRESS_BOOK)
        self._keeper: Keeper | None = None
        self._provided: dict[bytes, float] = {}  # key → due, Clock.now
        self._signed: dict[bytes, tuple[bytes, float]] = {}  # key → our announcement, signed at
        self._published: dict[tuple[int, bytes], tuple[Published, float]] = {}  # with due
        self._told_record: tuple[int, float] = (0, 0.0)  # sequence, due

    def restore(self, keeper: Keeper, saved: Saved) -> None:
        self._keeper = keeper
        interval_s = self._ctx.settings.republish_interval_s
        now, now_wall = self._ctx.clock.now(), self._ctx.clock.wall()

        def due(told_at: float) -> float:
            return now + max(0.0, min(interval_s, told_at + interval_s - now_wall))

        self._provided = {key: due(told_at) for key, told_at in saved.provided.items()}
        self._published = {(p.namespace, p.key): (p, due(p.told_at)) for p in saved.published}

    @property
    def provided(self) -> Sequence[bytes]:
        return tuple(self._provided)

    def own_provider(self, key: bytes) -> Provider | None:
        """Our announcement for one who asks us directly."""
        if key not in self._provided:
            return None
        return Provider(self._announcement(key), self._book.own().to_bytes())

    # -- providing -----------------------------------------------------------------------------------------------

    async def provide(self, key: bytes) -> int:
        keeper = self._open()
        self._provided.setdefault(key, self._ctx.clock.now() + RETRY_S)
        await keeper.save_provided([key], 0.0)
        kept = await self._announcing.announce(key)
        await self._announced([(key, kept)])
        return kept

    async def unprovide(self, key: bytes) -> None:
        """What others keep runs out within 24 h; until then askers find us and are told that we no longer have it."""
        self._provided.pop(key, None)
        self._signed.pop(key, None)
        await self._open().forget_provided(key)

    async def _announced(self, results: Sequence[tuple[bytes, int]]) -> None:
        """Note when to tell again."""
        told = []
        for key, kept in results:
            if key in self._provided:  # else it was withdrawn meanwhile
                self._provided[key] = self._due(kept)
                if kept:
                    told.append(key)
        if told:
            await self._open().save_provided(told, self._ctx.clock.wall())

    def _announcement(self, key: bytes) -> bytes:
        now = self._ctx.clock.now()
        wire, signed_at = self._signed.get(key, (b"", 0.0))
        if not wire or now - signed_at > self._ctx.settings.republish_interval_s / 2:
            body = announcement_body(self._ctx.peer_id, key, self._ctx.clock.wall())
            wire = self._ctx.sign(PURPOSE, body).to_bytes()
            self._signed[key] = (wire, now)
        return wire

    # -- values --------------------------------------------------------------------------------------------------

    async def put_immutable(self, value: bytes) -> bytes:
        key = immutable_key(value)
        await self._publish(Published(Namespace.IMMUTABLE, key, value, 0.0))
        return key

    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None) -> int:
        key = mutable_key(self._ctx.peer_id, salt)
        if sequence is None:
            sequence = int(self._ctx.clock.wall() * 1000)
            before = self._published.get((Namespace.MUTABLE, key))
            if before is not None:
                sequence = max(sequence, read_mutable(before[0].value, self._ctx.network_id).sequence + 1)
        signed = self._ctx.sign(MUTABLE_PURPOSE, mutable_body(self._ctx.peer_id, salt, sequence, value))
        await self._publish(Published(Namespace.MUTABLE, key, signed.to_bytes(), 0.0))
        return sequence

    def own_value(self, namespace: int, key: bytes) -> bytes:
        """What we published ourselves, or empty."""
        found = self._published.get((namespace, key))
        return found[0].value if found is not None else b""

    async def _publish(self, item: Published) -> int:
        keeper = self._open()
        name = (item.namespace, item.key)
        self._published[name] = (item, self._ctx.clock.now() + RETRY_S)
        await keeper.save_published(item)
        kept = await self._store(item.key, PutValue(item.namespace, item.key, item.value))
        if self._published[name][0].value == item.value:
            told_at = self._ctx.clock.wall() if kept else 0.0
            item = Published(item.namespace, item.key, item.value, told_at)
            self._published[name] = (item, self._due(kept))
            await keeper.save_published(item)
        return kept

    # -- again and again -----------------------------------------------------------------------------------------

    async def republish(self) -> None:
        """Tell again what is due."""
        now = self._ctx.clock.now()
        keys = [key for key, due in self._provided.items() if due <= now][:MAX_ROUND]
        items = [item for item, due in self._published.values() if due <= now][:TURN_VALUES]
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(self._publish(item))
            if keys:
                kept = await self._announcing.round(keys)
                await self._announced([(key, kept[key]) for key in keys])
        await self._tell_own_record(now)

    async def _tell_own_record(self, now: float) -> None:
        """A client is in no table: its record is found at its own key."""
        own = self._book.own()
        sequence, due = self._told_record
        if own.is_client and (own.sequence != sequence or due <= now):
            key = to_bytes(key_of_peer(own.peer_id.raw))
            kept = await self._store(key, PutValue(Namespace.PEER, key, own.to_bytes()))
            self._told_record = (own.sequence, self._due(kept))

    def _due(self, kept: int) -> float:
        wait_s = self._ctx.settings.republish_interval_s if kept else RETRY_S
        return self._ctx.clock.now() + wait_s * self._ctx.rng.uniform(0.9, 1.0)

    async def _store(self, key: bytes, request: Request) -> int:
        """Bring it to the peers nearest to the key; returns how many keep it."""
        finished = await self._asking.lookup(to_int(key), FindNode(key))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._store_at(record, request)) for record in finished.closest]
        return sum(task.result() for task in tasks)

    async def _store_at(self, record: PeerRecord, request: Request) -> bool:
        try:
            return (await self._asking.ask(record, request)).kept > 0
        except PeerkitError as exc:
            self._ctx.log.debug("store refused", peer=record.peer_id.short, reason=str(exc))
            return False

    def _open(self) -> Keeper:
        if self._keeper is None:
            raise Unavailable("the hash table's database is not open yet; try again in a moment")
        return self._keeper
