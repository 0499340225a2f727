"""Everybody who may have one piece of content: found, dialled, asked what they hold, and kept open while it is fetched.

Candidates come from the link's places, from the peers of the pool, and from the routing plugin if there is one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from peerkit import PeerId, PluginContext
from peerkit.capabilities import CONTENT_ROUTING, DIALER, SESSION_CONTROL
from peerkit.errors import (
    DeadlineExceeded,
    EndpointClosed,
    NotFound,
    PeerkitError,
    RemoteProtocolError,
    VerificationFailed,
)
from peerkit.event import SessionPathsChanged
from peerkit.session import DialTarget, Session
from peerkit.transport import PathKind

from .content_id import ContentId
from .settings import WarehouseSettings
from .source_stream import Refused, SourceStream
from .transfer_codec import Info

PROTOCOL = "peerkit/warehouse"
DIAL_TIMEOUT_S = 5.0
LONELY_ROUND_S = 2.0  # between two searches while there is no source
ROUND_S = 10.0  # between two searches for more
RETRY_S = 5.0  # before a candidate that failed is tried again
MAX_CANDIDATES = 256  # remembered for one download: a routing answer full of inventions costs no more memory


class Taker(Protocol):
    """A download that uses the swarm's sources now."""

    def source_joined(self, source: SourceStream, info: Info) -> None: ...
    def source_left(self, source: SourceStream, reason: PeerkitError | None) -> None: ...
    def bytes_came(self, name: str, nbytes: int) -> None: ...


class Swarm:
    """Attributes:
    content: what they should have.
    failures: the last reason for each candidate that did not work, by name.
    used: names of the sources that gave bytes.
    liars: names of the sources that sent wrong bytes.
    """

    def __init__(
        self,
        ctx: PluginContext[WarehouseSettings],
        content: ContentId,
        places: Sequence[DialTarget],
        search: bool = True,
    ) -> None:
        self.content = content
        self.failures: dict[str, str] = {}
        self.used: set[str] = set()
        self.liars: set[str] = set()
        self.first_info: asyncio.Future[Info] = asyncio.get_running_loop().create_future()
        self._ctx = ctx
        self._places = places
        self._search = search
        self._live: dict[str, tuple[SourceStream, Info]] = {}
        self._tried_at: dict[str, float] = {}
        self._without: set[str] = set()  # said that they do not have it
        self._attempts = 0
        self._rounds = 0
        self._alive_at = ctx.clock.now()
        self._taker: Taker | None = None

    async def run(self) -> None:
        """Look for sources and keep them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(group))
            while True:
                async for target in self._candidates():
                    self._consider(group, target)
                self._rounds += 1
                await asyncio.sleep(ROUND_S if self._live else LONELY_ROUND_S)

    async def _candidates(self) -> AsyncIterator[DialTarget]:
        for place in self._places:
            yield place
        if not self._search:
            return
        for peer in self._ctx.pool.peers():
            if PROTOCOL in peer.protocols:
                yield peer.id
        routing = self._ctx.find(CONTENT_ROUTING)
        if routing is None:
            return
        try:
            async for record in routing.find_providers(self.content.key):
                yield record
        except PeerkitError as exc:
            self.failures["search"] = str(exc)

    def _consider(self, group: asyncio.TaskGroup, target: DialTarget) -> None:
        name, now = _name(target), self._ctx.clock.now()
        if name == str(self._ctx.peer_id) or name in self._live or name in self.liars:
            return
        if now - self._tried_at.get(name, -math.inf) < RETRY_S or len(self._tried_at) >= MAX_CANDIDATES:
            return
        if len(self._live) + self._attempts >= self._ctx.settings.max_sources:
            return
        self._tried_at[name] = now
        self._attempts += 1
        group.create_task(self._attend(target))

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """A session over a relay may be followed by a direct one: ask its source there."""
        control = self._ctx.require(SESSION_CONTROL)
        async for event in self._ctx.subscribe(SessionPathsChanged):
            source, newer = self.source(str(event.peer_id)), control.find(event.peer_id)
            if source is None or newer is None or newer is source.session:
                continue  # a session that moved by itself takes its streams along
            if newer.paths[0].kind is not PathKind.RELAYED and source.session.paths[0].kind is PathKind.RELAYED:
                source.close(EndpointClosed("the stream", "a direct session took the place of the relayed one"))
                await source.ended.wait()
                self._tried_at.pop(source.name, None)
                self._consider(group, event.peer_id)

    async def _attend(self, target: DialTarget) -> None:
        """One source from dial to end; once more when its session ended below it, as one of two that meet does."""
        over = await self._attend_once(target)
        if over is not None and not over.is_open:
            self._attempts += 1
            await self._attend_once(target)

    async def _attend_once(self, target: DialTarget) -> Session | None:
        """Returns the session on which the source was asked, if there was one."""
        attempting, session = True, None
        try:
            async with self._session(target) as session:
                name = str(session.peer_id)
                if name in self._live or name in self.liars or PROTOCOL not in session.protocols:
                    return None
                source = SourceStream(session, await session.open_stream(PROTOCOL), self._bytes_came)
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(_quietly(source))
                    try:
                        info = await source.info(self.content)
                    except PeerkitError as exc:
                        self.failures[name] = str(exc)
                        if isinstance(exc, Refused):
                            self._without.add(name)
                        running.cancel()
                        return session
                    if name in self._live:
                        running.cancel()
                        return None
                    self._attempts -= 1
                    attempting = False
                    self._join(source, info)
                    reason: PeerkitError | None = None
                    try:
                        reason = await running
                    finally:
                        self._leave(source, reason)
        except PeerkitError as exc:
            self.failures[_name(target)] = str(exc)
        finally:
            if attempting:
                self._attempts -= 1
            else:
                self._alive_at = self._ctx.clock.now()
        return session

    @asynccontextmanager
    async def _session(self, target: DialTarget) -> AsyncIterator[Session]:
        """Borrow one; who does not answer in time is asked once more, since it may have been busy."""
        dialer = self._ctx.require(DIALER)
        async with AsyncExitStack() as stack:
            try:
                session = await stack.enter_async_context(dialer.transient(target, DIAL_TIMEOUT_S))
            except DeadlineExceeded:
                session = await stack.enter_async_context(dialer.transient(target, DIAL_TIMEOUT_S))
            yield session

    def _join(self, source: SourceStream, info: Info) -> None:
        self._live[source.name] = (source, info)
        if not self.first_info.done():
            self.first_info.set_result(info)
        if self._taker is not None:
            self._taker.source_joined(source, info)

    def _leave(self, source: SourceStream, reason: PeerkitError | None) -> None:
        self._live.pop(source.name, None)
        source.ended.set()
        if reason is not None:
            self.failures[source.name] = str(reason)
        if self._taker is not None:
            self._taker.source_left(source, reason)

    def _bytes_came(self, name: str, nbytes: int) -> None:
        self.used.add(name)
        if self._taker is not None:
            self._taker.bytes_came(name, nbytes)

    # -- for downloads -------------------------------------------------------------------------------------------

    def attach(self, taker: Taker | None) -> None:
        """Give the sources to a download, those at hand first; `None` takes them back."""
        self._taker = taker
        if taker is not None:
            for source, info in list(self._live.values()):
                taker.source_joined(source, info)

    def source(self, name: str) -> SourceStream | None:
        live = self._live.get(name)
        return None if live is None else live[0]

    @property
    def live(self) -> int:
        """How many sources are at hand."""
        return len(self._live)

    def drop(self, name: str, error: PeerkitError, liar: bool = False) -> None:
        """Close a source; one that lied is not asked again."""
        if liar:
            self.liars.add(name)
        source = self.source(name)
        if source is not None:
            source.close(error)

    def nobody(self, done: int = 0, total: int = 0) -> PeerkitError:
        """The error for when nobody is left, with what came so far."""
        reasons = "; ".join(list(dict.fromkeys(self.failures.values()))[:3])
        because = f" ({reasons})" if reasons else ""
        if self.liars:
            return VerificationFailed(f"{len(self.liars)} sources of {self.content} sent wrong bytes, no other is left")
        if done:
            kept = f"{done:,} of {total:,} bytes are here and kept: get it again later"
            return NotFound(f"no source of {self.content} answers any more, {kept}{because}")
        return NotFound(f"nobody who has {self.content} could be found{because}")

    def is_exhausted(self, now: float) -> bool:
        """Nobody is left, nobody is being tried, and it has been so for long enough."""
        if self._live or self._attempts or not self._rounds:
            return False
        patience = self._ctx.settings.search_timeout_s
        if self._without.issuperset(self._tried_at) and self._ctx.pool.peers():
            patience = min(patience, LONELY_ROUND_S + 1)  # connected, and two searches found nobody who may have it
        if not self._search or (self._ctx.find(CONTENT_ROUTING) is None and not self.used):
            patience = 0.0  # nothing will change by waiting
        return now - self._alive_at >= patience


async def _quietly(source: SourceStream) -> PeerkitError | None:
    """Run a source; what it did wrong is a result, not an exception."""
    try:
        await source.run()
    except RemoteProtocolError as exc:
        return exc
    return None


def _name(target: DialTarget) -> str:
    if isinstance(target, PeerId):
        return str(target)
    return str(target.peer_id or target)
