"""Tells the peers nearest to each key that we provide it: many keys in one round, with few lookups and few messages."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from peerkit.errors import PeerkitError
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord

from ..codec import MAX_ANNOUNCEMENTS, AddProvider, FindNode
from ..keys import to_int
from ..settings import KademliaSettings
from ..vicinity import Vicinity
from .asking import Asking

MAX_ROUND = 1024  # keys; signing them takes 20 ms
LANES = 4  # lookups at once; half of the node's, the others are for those who wait for an answer
STORES = 32  # requests at once


class Announcing:
    """Args:
    announcement: gives our signed word for a key.
    """

    def __init__(
        self, ctx: PluginContext[KademliaSettings], asking: Asking, announcement: Callable[[bytes], bytes]
    ) -> None:
        self._ctx = ctx
        self._asking = asking
        self._announcement = announcement
        self._waiting: deque[tuple[bytes, asyncio.Future[int]]] = deque()
        self._is_running = False

    async def announce(self, key: bytes) -> int:
        """Returns how many peers keep it.  Keys that come while a round runs share the next one."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, done))
        if not self._is_running:
            self._is_running = True
            self._ctx.spawn(self._run(), "announce")
        return await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # whoever asks in this turn of the loop comes along
                asked = [self._waiting.popleft() for _ in range(min(MAX_ROUND, len(self._waiting)))]
                try:
                    kept = await self.round(key for key, _ in asked)
                    for key, done in asked:
                        if not done.done():
                            done.set_result(kept[key])
                finally:
                    for _, done in asked:
                        done.cancel()  # the plugin ends: nothing for those that have their result
        finally:
            self._is_running = False

    async def round(self, keys: Iterable[bytes]) -> Counter[bytes]:
        """Announce all; returns how many peers keep each."""
        ordered = sorted(set(keys))
        vicinity = Vicinity()
        step = max(1, -(-len(ordered) // LANES))
        async with asyncio.TaskGroup() as group:
            for first in range(0, len(ordered), step):
                group.create_task(self._explore(vicinity, ordered[first : first + step]))
        return await self._store_all(vicinity, ordered)

    async def _explore(self, vicinity: Vicinity, keys: Sequence[bytes]) -> None:
        for key in keys:
            if not vicinity.covers(to_int(key)):
                finished = await self._asking.lookup(to_int(key), FindNode(key))
                vicinity.add(to_int(key), finished.closest)

    async def _store_all(self, vicinity: Vicinity, keys: Sequence[bytes]) -> Counter[bytes]:
        """Each peer gets what is its own in as few messages as it takes."""
        records: dict[PeerId, PeerRecord] = {}
        parts: dict[PeerId, list[bytes]] = {}
        for key in keys:
            for record in vicinity.nearest(to_int(key)):
                records[record.peer_id] = record
                parts.setdefault(record.peer_id, []).append(key)
        kept: Counter[bytes] = Counter()
        gate = asyncio.Semaphore(STORES)

        async def store(record: PeerRecord, some: Sequence[bytes]) -> None:
            async with gate:
                if await self._store(record, some):
                    kept.update(some)

        async with asyncio.TaskGroup() as group:
            for peer, theirs in parts.items():
                for first in range(0, len(theirs), MAX_ANNOUNCEMENTS):
                    group.create_task(store(records[peer], theirs[first : first + MAX_ANNOUNCEMENTS]))
        return kept

    async def _store(self, record: PeerRecord, keys: Sequence[bytes]) -> bool:
        """Whether the peer keeps all of them."""
        request = AddProvider(tuple(self._announcement(key) for key in keys))
        try:
            return (await self._asking.ask(record, request)).kept == len(keys)
        except PeerkitError as exc:
            self._ctx.log.debug("store refused", peer=record.peer_id.short, reason=str(exc))
            return False
