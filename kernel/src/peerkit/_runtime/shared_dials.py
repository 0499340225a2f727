"""Dials under way: calls for the same target and purpose share one, and a caller that gives up does not end it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .._pool.slots import SlotClass
from ..errors import DeadlineExceeded, PeerkitError
from ..session import Purpose
from .dialing import Target
from .session import RuntimeSession
from .session_context import SessionContext

GRACE_S = 1.0  # a dial's own deadline says more than its caller's


class SharedDials:
    """Args:
    take: takes an outbound slot.  Raises `LimitExceeded` when all are in use.
    give: gives it back; only of a dial that led to no session.
    open: makes the session.
    admit: gives the session its place.
    """

    def __init__(
        self,
        context: SessionContext,
        take: Callable[[SlotClass], None],
        give: Callable[[SlotClass], None],
        open: Callable[[Target, Purpose], Awaitable[RuntimeSession]],
        admit: Callable[[RuntimeSession, SlotClass], None],
    ) -> None:
        self._context = context
        self._take = take
        self._give = give
        self._open = open
        self._admit = admit
        self._under_way: dict[tuple[str, Purpose], asyncio.Future[RuntimeSession]] = {}

    async def dial(self, target: Target, purpose: Purpose, timeout_s: float) -> RuntimeSession:
        """Raises `DeadlineExceeded`, and what `take` and `open` raise."""
        key, wait_s = (target.key, purpose), timeout_s
        dial = self._under_way.get(key)
        if dial is None:
            slot = SlotClass.of(purpose, True)
            self._take(slot)
            dial = self._under_way[key] = self._context.loop.create_future()
            work = self._run(target, purpose, slot, dial, timeout_s)
            self._context.supervisor.spawn("kernel", f"dial {target.key[:64]}", work)
            wait_s += GRACE_S
        try:
            async with asyncio.timeout(wait_s):
                return await asyncio.shield(dial)
        except TimeoutError:
            raise DeadlineExceeded(f"connecting to {target.key}", timeout_s) from None

    async def _run(
        self, target: Target, purpose: Purpose, slot: SlotClass, dial: asyncio.Future[RuntimeSession], timeout_s: float
    ) -> None:
        session: RuntimeSession | None = None
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._open(target, purpose)
            self._admit(session, slot)
            dial.set_result(session)
        except TimeoutError:
            dial.set_exception(DeadlineExceeded(f"connecting to {target.key}", timeout_s))
        except PeerkitError as exc:
            dial.set_exception(exc)
        finally:
            del self._under_way[target.key, purpose]
            if session is None:
                self._give(slot)
            if not dial.done():
                dial.cancel()
            elif not dial.cancelled():
                dial.exception()  # every waiter may have gone: the failure counts as seen
