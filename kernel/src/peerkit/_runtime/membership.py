"""From a transient session to a member of the pool, without another handshake.

dialer   ── JOIN ──▶  acceptor        may it be a member?  The acceptor asks its gate and its slots
dialer  ◀── JOINED ── acceptor        code 0: it is one; else why not, and the session stays what it was
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._session import frames
from ..errors import EndpointClosed, RemoteProtocolError
from .session_context import SessionContext

if TYPE_CHECKING:
    from .session import RuntimeSession

MAX_ASKED = 16  # an honest dialer asks once; stops one that asks and never reads our answers


class Membership:
    """One session's."""

    def __init__(self, session: RuntimeSession, context: SessionContext) -> None:
        self._session = session
        self._context = context
        self._asked = 0
        self._answer: asyncio.Future[tuple[int, str]] | None = None

    @property
    def may_ask(self) -> bool:
        """Whether we dialled, both speak what the other demands of a member, and the peer did not refuse before."""
        session = self._session
        return session.is_dialer and session.is_open and not session.agreement.refused and self._answer is None

    async def ask(self) -> tuple[int, str]:
        """The peer's answer: code 0, or the code and the sentence of its refusal.

        Raises:
            EndpointClosed: the session ended first.
        """
        self._answer = self._context.loop.create_future()
        self._session.mux.outgoing.control(frames.join())
        self._session.carrier.wake()
        return await self._answer

    def asked(self) -> None:
        """The peer asks.  Raises `RemoteProtocolError` when it may not."""
        self._asked += 1
        if self._session.is_dialer or self._asked > MAX_ASKED:
            raise RemoteProtocolError("the peer asked for membership where it may not")
        code, reason = self._context.owner.membership_asked(self._session)
        self._session.mux.outgoing.control(frames.joined(code, reason))

    def answered(self, code: int, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((code, reason))

    def end(self, error: EndpointClosed) -> None:
        """The session is over."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # whoever asked may have gone: the failure counts as seen
