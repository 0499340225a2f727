"""What the pool does by itself: liveness, idleness, full slots, and the way back when nobody is left.

Every few seconds: ping silent members and drop those that miss three pings; close idle transient sessions; while
outbound slots are free ask the discoveries; when alone, dial the bootstrap addresses and the peers of last time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .._pool.slots import SlotClass
from ..address import Address, Contact, contacts_of
from ..discovery import Discovery
from ..errors import PeerkitError
from ..event import CandidatesFound, DialFailed
from ..record import PeerRecord
from ..session import Code, Purpose
from .event_bus import EventBus
from .plugin_call import call_plugin_async
from .pool import RuntimePool

MAX_PARALLEL_DIALS = 8
FORGOTTEN = 2.0  # times `idle_s`: the dialer ends an idle session, or it would send while the other end is closing
DISCOVERY_TIMEOUT_S = 30.0
MAX_PROPOSED = 16  # candidates of one discovery, times those that are wanted: most may be known already

Candidate = Address | Contact | PeerRecord


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """Attributes:
    ping_after_s: a member silent for so long is pinged; after three times that without a word it is dropped (Karyon's
        20 s and 3).
    idle_s: a transient session unused for so long is closed.
    turn_s: seconds between turns.
    member_out: outbound members to keep.
    """

    ping_after_s: float = 20.0
    idle_s: float = 10.0
    turn_s: float = 2.0
    member_out: int = 16


class Upkeep:
    """Runs as one task of the node.

    Args:
        bootstrap: dialled while there is no member.
        discoveries: (plugin, discovery); asked while outbound slots are free.
    """

    def __init__(
        self,
        pool: RuntimePool,
        events: EventBus,
        settings: UpkeepSettings,
        bootstrap: Sequence[Address],
        discoveries: Sequence[tuple[str, Discovery]],
    ) -> None:
        self._pool = pool
        self._events = events
        self._settings = settings
        self._bootstrap = contacts_of(bootstrap)
        self.discoveries = list(discoveries)
        self._alone_wait_s = 1.0
        self._alone_until = 0.0
        self._ask_wait_s = settings.turn_s
        self._ask_until = 0.0
        self._filling = False
        events.listen("kernel", CandidatesFound, self._ask_again)

    async def run(self) -> None:
        """Until cancelled."""
        rng = self._pool.context.rng
        while True:
            now = self._pool.context.clock.now()
            await self._check_sessions(now)
            if not self._filling and self._lacks_peers(now):
                self._filling = True
                self._pool.context.supervisor.spawn("kernel", "fill slots", self._fill(now))
            await asyncio.sleep(self._settings.turn_s * rng.uniform(0.8, 1.2))

    def _ask_again(self, found: CandidatesFound) -> None:
        self._ask_wait_s, self._ask_until = self._settings.turn_s, 0.0

    async def _check_sessions(self, now: float) -> None:
        settings = self._settings
        for session in self._pool.sessions():
            silent_s = now - session.last_received_at
            if session.purpose is Purpose.TRANSIENT:
                idle_s = settings.idle_s if session.is_dialer else settings.idle_s * FORGOTTEN
                is_unused = not session.borrowers and now - session.last_used_at > idle_s
                if is_unused and not session.stats.streams_open:
                    await session.close(Code.IDLE, "idle")
                elif silent_s > 3 * settings.ping_after_s:
                    await session.close(Code.TIMEOUT, f"silent for {silent_s:.0f} s")
            elif silent_s > 3 * settings.ping_after_s:
                await session.close(Code.TIMEOUT, f"silent for {silent_s:.0f} s")
            elif silent_s > settings.ping_after_s or math.isnan(session.rtt_s):  # the first ping may have been lost
                session.ping()

    def _lacks_peers(self, now: float) -> bool:
        """Whether it is time to look for members."""
        if self._pool.is_alone:
            return now >= min(self._alone_until, self._ask_until)
        self._alone_wait_s, self._alone_until = 1.0, 0.0
        return now >= self._ask_until and self._wanted > 0 and bool(self.discoveries)

    @property
    def _wanted(self) -> int:
        return self._settings.member_out - self._pool.slots.used(SlotClass.MEMBER_OUT)

    async def _fill(self, now: float) -> None:
        try:
            if self._pool.is_alone and now >= self._alone_until:
                await self._come_back()
            if now >= self._ask_until:
                await self._ask_discoveries()
        finally:
            self._filling = False

    async def _come_back(self) -> None:
        """Nobody is connected: bootstrap addresses first, then the peers that were reached last."""
        pool = self._pool
        candidates: list[Candidate] = [*self._bootstrap, *pool.book.recent(8)]
        candidates = [c for c in candidates if not pool.is_parted(c.peer_id)]
        reached = await self._connect_all(candidates)
        if not reached and self._settings.member_out:
            await self._meet()
            self._alone_until = pool.context.clock.now() + self._alone_wait_s * pool.context.rng.uniform(0.7, 1.3)
            self._alone_wait_s = min(60.0, self._alone_wait_s * 2)
        if self._bootstrap and candidates:
            level = pool.context.log.info if reached else pool.context.log.warning
            level("bootstrap", answered=reached, tried=len(candidates))

    async def _meet(self) -> None:
        """Nobody took us as a member, maybe since all are full: a short session brings a record into the address book,
        and from there the discoveries find peers that have room."""
        for contact in self._bootstrap:
            try:
                async with self._pool.transient(contact):
                    return
            except PeerkitError as exc:
                self._pool.context.log.debug("nobody met", reason=str(exc))

    async def _ask_discoveries(self) -> None:
        pool = self._pool
        wanted = self._wanted
        if wanted <= 0 or not self.discoveries:
            return
        known = {peer.id for peer in pool.peers()} | {pool.context.peer_id}
        candidates: list[Candidate] = []
        for plugin, discovery in tuple(self.discoveries):
            found = await self._candidates(plugin, discovery, wanted)
            candidates += [c for c in found if c.peer_id not in known and not pool.is_parted(c.peer_id)]
        reached = await self._connect_all(candidates[:wanted])
        self._ask_wait_s = self._settings.turn_s if reached else min(60.0, self._ask_wait_s * 2)
        self._ask_until = pool.context.clock.now() + self._ask_wait_s

    async def _candidates(self, plugin: str, discovery: Discovery, wanted: int) -> list[Candidate]:
        """What one discovery proposes; nothing when it fails."""
        context, where = self._pool.context, f"discovery {discovery.name}"
        tally = context.supervisor.tallies.of(plugin)
        try:
            async with asyncio.timeout(DISCOVERY_TIMEOUT_S):
                found: object = await call_plugin_async(tally, where, discovery.find_peers, wanted)
        except TimeoutError:
            tally.failed(where, reason := f"it took longer than {DISCOVERY_TIMEOUT_S:g} s and was cancelled")
        except PeerkitError as exc:
            reason = str(exc)
        else:
            proposed = found[: MAX_PROPOSED * wanted] if isinstance(found, list | tuple) else [found]
            wrong = next((c for c in proposed if not isinstance(c, Address | Contact | PeerRecord)), None)
            if wrong is None:
                return list(proposed)
            tally.failed(where, reason := f"it proposed {type(wrong).__name__} instead of a list of peers")
        context.log.info("discovery failed", discovery=discovery.name, reason=reason)
        return []

    async def _connect_all(self, candidates: Sequence[Candidate]) -> int:
        """Dial, a few at a time; returns how many became members."""
        gate = asyncio.Semaphore(MAX_PARALLEL_DIALS)

        async def one(candidate: Candidate) -> bool:
            async with gate:
                try:
                    await self._pool.connect(candidate)
                except PeerkitError as exc:
                    address = candidate if isinstance(candidate, Address) else next(iter(candidate.addresses), "")
                    self._events.emit(DialFailed(str(address), str(exc)))
                    return False
                return True

        return sum(await asyncio.gather(*(one(c) for c in candidates)))
