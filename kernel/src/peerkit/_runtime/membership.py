"""From a transient session to a member of the pool, without another handshake.

dialer   ── JOIN ──▶  acceptor        may it be a member?  The acceptor asks its gate and its slots
dialer  ◀── JOINED ── acceptor        code 0: it is one; else why not, and the session stays what it was
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._session import frames
from ..errors import EndpointClosed, LimitExceeded, PeerUnreachable, RemoteProtocolError
from ..session import Code
from .session_context import SessionContext

if TYPE_CHECKING:
    from .session import RuntimeSession

JOIN_WAIT_S = 2.0  # how long a peer may take to answer
MAX_ASKED = 16  # an honest dialer asks once; stops one that asks and never reads our answers


class Membership:
    """One session's."""

    def __init__(self, session: RuntimeSession, context: SessionContext) -> None:
        self._session = session
        self._context = context
        self._asked = 0
        self._answer: asyncio.Future[tuple[int, str]] | None = None

    @property
    def _may_ask(self) -> bool:
        """Whether we dialled, both speak what the other demands of a member, and the peer was not asked before."""
        session = self._session
        return session.is_dialer and session.is_open and not session.agreement.refused and self._answer is None

    async def join(self) -> bool:
        """Ask whether the session may be a member's.  `False`: a dial must find out; also when the peer has a session
        that wins against this one.

        Raises:
            LimitExceeded, PeerUnreachable: the peer refuses.
        """
        session = self._session
        if not self._may_ask:
            return False
        self._answer = self._context.loop.create_future()
        session.mux.outgoing.control(frames.join())
        session.carrier.wake()
        session.borrowers += 1  # not idle
        try:
            async with asyncio.timeout(JOIN_WAIT_S):
                code, reason = await self._answer
        except (EndpointClosed, TimeoutError):
            return False
        finally:
            session.borrowers -= 1
        if not session.is_open or code == Code.DUPLICATE:
            return False
        if code == Code.LIMIT:
            raise LimitExceeded(f"{session.peer_id.short} has no place: {reason}")
        if code != Code.NONE:
            raise PeerUnreachable(str(session.peer_id), [reason])
        return True

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
