"""The profile's `upload_limit` and `download_limit` on one pipe: empty buckets of the node hold it up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..transport import Pipe
from .session_context import SessionContext


class Throttle:
    """Args:
    go_on: called when sending may go on.

    Attributes:
        is_on: there is a limit; without one, nothing here needs to be called.
        holds_sending: nothing may be sent now.
    """

    def __init__(self, context: SessionContext, pipe: Pipe, go_on: Callable[[], None]) -> None:
        self._context = context
        self._pipe = pipe
        self._go_on = go_on
        self._sending: asyncio.TimerHandle | None = None
        self._receiving: asyncio.TimerHandle | None = None
        self.is_on = context.upload is not None or context.download is not None
        self.holds_sending = False

    def sent(self, nbytes: int) -> None:
        bucket = self._context.upload
        if bucket is not None and not self.holds_sending:
            wait_s = bucket.take(nbytes, self._context.clock.now())
            if wait_s > 0:
                self.holds_sending = True
                self._sending = self._context.loop.call_later(wait_s, self._resume_sending)

    def received(self, nbytes: int) -> None:
        bucket = self._context.download
        if bucket is not None and self._receiving is None:
            wait_s = bucket.take(nbytes, self._context.clock.now())
            if wait_s > 0:
                self._pipe.pause_reading()
                self._receiving = self._context.loop.call_later(wait_s, self._resume_receiving)

    def cancel(self) -> None:
        """The pipe closes."""
        for timer in (self._sending, self._receiving):
            if timer is not None:
                timer.cancel()

    def _resume_sending(self) -> None:
        self._sending, self.holds_sending = None, False
        self._go_on()

    def _resume_receiving(self) -> None:
        self._receiving = None
        self._pipe.resume_reading()
