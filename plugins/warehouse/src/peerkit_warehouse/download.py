"""One download: the scheduler's decisions carried out over a swarm's sources into files.

swarm ──sources──> scheduler ──ask──> source stream ──bytes──> verify and write (disk thread) ──> scheduler
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Coroutine, Sequence
from itertools import accumulate
from typing import Protocol, assert_never

from peerkit import PluginContext
from peerkit.errors import DeadlineExceeded, PeerkitError, RemoteProtocolError, StorageError
from peerkit.transport import Buffer

from .content_id import ContentId
from .merkle_tree import leaf_count
from .range_set import RangeSet
from .scheduler import GROUP_LEAVES, AskGroup, DropSource, Finished, Scheduler
from .settings import WarehouseSettings
from .source_stream import Refused, SourceStream
from .swarm import Swarm
from .task_errors import single
from .transfer_codec import Info, Refusal

REFRESH_S = 3.0  # between two questions to a partial holder what it has now
POLL_S = 0.5  # between two looks whether anybody is left


class Part(Protocol):
    """One file of a download: takes verified groups."""

    @property
    def content(self) -> ContentId: ...
    @property
    def groups(self) -> int: ...

    def leaf_range(self, group: int) -> tuple[int, int]: ...
    def group_bytes(self, group: int) -> int: ...
    def has_group(self, group: int) -> bool: ...

    async def open(self) -> None:
        """Get ready for `put`; called before each, cheap when ready.  Raises `StorageError`."""
        ...

    def put(self, group: int, siblings: bytes, leaf_hashes: bytes, data: Buffer) -> None:
        """Verify and write; blocking.  Raises `RemoteProtocolError`, `StorageError`."""
        ...

    def mark(self, group: int) -> None:
        """`put` is done; on the event loop's thread."""
        ...

    async def settle(self) -> None:
        """After `mark`: when nothing is missing any more, flush and close.  Raises `StorageError`."""
        ...


class Download:
    """Fetches all missing groups of some parts.

    Args:
        on_progress: called with bytes held and in all.
    """

    def __init__(
        self,
        ctx: PluginContext[WarehouseSettings],
        swarm: Swarm,
        parts: Sequence[Part],
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._ctx = ctx
        self._swarm = swarm
        self._parts = parts
        self._starts = [0, *accumulate(part.groups for part in parts)]
        self._on_progress = on_progress
        self._wake = asyncio.Event()
        self._failure: PeerkitError | None = None
        held = RangeSet()
        self._total = self._done = 0
        for part, start in zip(parts, self._starts, strict=False):
            for group in range(part.groups):
                nbytes = part.group_bytes(group)
                self._total += nbytes
                if part.has_group(group):
                    held.add(start + group, start + group + 1)
                    self._done += nbytes
        self._scheduler = Scheduler(
            self._starts[-1],
            ctx.rng,
            held,
            drop_after_s=ctx.settings.source_timeout_s,
            in_order=len(parts) > 1,
        )
        self._running: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup

    @property
    def bytes_held(self) -> int:
        return self._done

    async def run(self) -> None:
        """Fetch until everything is held.

        Raises:
            NotFound: no source is left; what came is kept.
            VerificationFailed: the only sources that there were sent wrong bytes.
            StorageError: the disk failed.
        """
        self._on_progress(self._done, self._total)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._swarm.attach(self)
                try:
                    await self._drive()
                finally:
                    self._swarm.attach(None)
                    for task in self._running:
                        task.cancel()
        except BaseExceptionGroup as errors:
            raise single(errors) from None

    async def _drive(self) -> None:
        scheduler, clock = self._scheduler, self._ctx.clock
        while True:
            due = scheduler.next_timer()
            if due is not None and clock.now() >= due:
                scheduler.handle_timer(clock.now())
            while (event := scheduler.next_event()) is not None:
                match event:
                    case AskGroup(name, group):
                        self._start(self._get(name, group))
                    case DropSource(name, reason):
                        self._swarm.failures[name] = reason
                        self._swarm.drop(name, DeadlineExceeded(f"an answer of {name[:10]}", 0.0))
                    case Finished():
                        return
                    case _:
                        assert_never(event)
            if self._failure is not None:
                raise self._failure
            if self._swarm.is_exhausted(clock.now()):
                raise self._swarm.nobody(self._done, self._total)
            self._wake.clear()
            due = scheduler.next_timer()
            wait_s = POLL_S if due is None else min(POLL_S, due - clock.now())
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _start(self, work: Coroutine[object, object, None]) -> None:
        group = self._group
        task = group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _locate(self, group: int) -> tuple[Part, int]:
        i = bisect_right(self._starts, group) - 1
        return self._parts[i], group - self._starts[i]

    async def _get(self, name: str, group: int) -> None:
        """Ask one group of one source, verify, write."""
        part, local = self._locate(group)
        source, scheduler, clock = self._swarm.source(name), self._scheduler, self._ctx.clock
        try:
            if source is None:
                scheduler.remove_source(name, clock.now())
                return
            await part.open()
            answer = await source.range(part.content, *part.leaf_range(local))
            if scheduler.wants(group):
                put = part.put
                await self._ctx.run_blocking(lambda: put(local, answer.siblings, answer.leaf_hashes, answer.data))
                part.mark(local)
                await part.settle()
            source.take_back(answer)
            if scheduler.receive_group(name, group, clock.now()):
                self._done += part.group_bytes(local)
                self._on_progress(self._done, self._total)
        except Refused as exc:
            self._swarm.failures[name] = str(exc)
            scheduler.receive_refusal(name, group, clock.now(), busy=exc.refusal == Refusal.BUSY)
        except RemoteProtocolError as exc:
            self._ctx.log.warning("source sent wrong bytes", peer=name[:10], reason=str(exc))
            self._swarm.drop(name, exc, liar=True)
            scheduler.remove_source(name, clock.now(), ban=True)
        except StorageError as exc:
            self._failure = self._failure or exc
        except PeerkitError as exc:
            self._swarm.failures[name] = str(exc)
            scheduler.remove_source(name, clock.now())
        finally:
            self._wake.set()

    # -- the swarm's side ----------------------------------------------------------------------------------------

    def source_joined(self, source: SourceStream, info: Info) -> None:
        now = self._ctx.clock.now()
        stats_rtt = source.session.stats.rtt_s
        self._scheduler.add_source(source.name, self._holdings(info), stats_rtt, now)
        if not info.complete and len(self._parts) == 1:
            self._start(self._refresh(source))
        self._wake.set()

    def source_left(self, source: SourceStream, reason: PeerkitError | None) -> None:
        if isinstance(reason, RemoteProtocolError):
            self._swarm.liars.add(source.name)
        self._scheduler.remove_source(source.name, self._ctx.clock.now(), ban=isinstance(reason, RemoteProtocolError))
        self._wake.set()

    def bytes_came(self, name: str, nbytes: int) -> None:
        self._scheduler.receive_bytes(name, nbytes, self._ctx.clock.now())

    def _holdings(self, info: Info) -> RangeSet | None:
        """Whole groups that a source holds; of a folder's files it is not known, it will refuse what it lacks."""
        if info.complete or len(self._parts) > 1:
            return None
        groups = RangeSet()
        for start, stop in info.held:
            last = self._parts[0].groups if stop == leaf_count(info.size) else stop // GROUP_LEAVES
            groups.add(-(-start // GROUP_LEAVES), last)
        return groups

    async def _refresh(self, source: SourceStream) -> None:
        """Ask a partial holder again and again what it has now."""
        while not self._scheduler.is_done and self._swarm.source(source.name) is source:
            await asyncio.sleep(REFRESH_S)
            try:
                info = await source.info(self._swarm.content)
            except PeerkitError:
                return
            if self._swarm.source(source.name) is source and not self._scheduler.is_done:
                self._scheduler.add_source(
                    source.name, self._holdings(info), source.session.stats.rtt_s, self._ctx.clock.now()
                )
                self._wake.set()
            if info.complete:
                return
