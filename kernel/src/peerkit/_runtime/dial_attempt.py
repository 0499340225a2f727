"""One dial, and its attempts: an address each, one or more handshakes side by side, at most one session in all.

An attempt that has its keys takes the dial before it seals anything, and every other gets nothing any more.  Otherwise
two sessions could be confirmed at the peer in another order than here, and the peer would keep the one that we ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..address import Address
from ..datagram import DialAttempt
from ..errors import ConnectFailed, LimitExceeded, PeerkitError, TrustDenied
from ..identity import PeerId
from ..session import Code, Purpose
from .session import RuntimeSession
from .session_context import SessionContext
from .session_opening import RuntimeOpening


class Overtaken(ConnectFailed):
    """Another attempt of the same dial was faster; says nothing about this address."""

    code = "overtaken"


class Dial:
    """What the attempts of one dial share.

    Attributes:
        is_probe: it asks whether an address works now: its failures in the past and this one's do not count.
        taken_by: the attempt that is making the session.
    """

    def __init__(self, purpose: Purpose, is_probe: bool = False) -> None:
        self.purpose = purpose
        self.is_probe = is_probe
        self.taken_by: RuntimeAttempt | None = None
        self._is_given = False

    def give(self, session: RuntimeSession) -> RuntimeSession:
        """From now on the session is for the caller to end."""
        self._is_given = True
        if self.taken_by is not None:
            self.taken_by.let_go()
        return session

    def close(self) -> None:
        """The dial is over.  A session that was given to nobody ends."""
        if self.taken_by is not None and not self._is_given:
            self.taken_by.cancel()


class RuntimeAttempt:
    """See `peerkit.datagram.DialAttempt`."""

    def __init__(
        self, context: SessionContext, dial: Dial, address: Address, expected_peer: PeerId | None, static_key: bytes
    ) -> None:
        self._context = context
        self._dial = dial
        self.address = address
        self._static_key = static_key
        self._openings: dict[RuntimeOpening, None] = {}
        self._taken: RuntimeOpening | None = None
        self.expected_peer = expected_peer
        self._ready: asyncio.Future[RuntimeSession] = context.loop.create_future()

    @property
    def purpose(self) -> Purpose:
        return self._dial.purpose

    @property
    def knows_key(self) -> bool:
        return bool(self._static_key)

    @property
    def is_over(self) -> bool:
        return self._ready.done()

    def open(self, binding: bytes, ended: Callable[[], None], with_key: bool = True) -> RuntimeOpening:
        if self._ready.done():
            raise ConnectFailed(str(self.address), "the dial is over")
        static_key = (self._static_key or None) if with_key else None
        opening = RuntimeOpening(self._context, self.address.without_peer(), binding, ended, self, static_key)
        self._openings[opening] = None
        return opening

    def fail(self, reason: str) -> None:
        self._finish(ConnectFailed(str(self.address.without_peer()), reason))

    async def session(self) -> RuntimeSession:
        """Wait for the session.  Raises `ConnectFailed`, `TrustDenied`; cancelled, it leaves nothing behind."""
        try:
            return await self._ready
        except asyncio.CancelledError:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Nobody waits any more: end everything, also a session that is there and was given to nobody."""
        self._finish(ConnectFailed(str(self.address.without_peer()), "the dial was cancelled"))
        if self._taken is not None and self._taken.session is not None:
            self._taken.session.end(Code.CANCELLED, "the dial was cancelled")

    def let_go(self) -> None:
        """The session is no concern of the dial any more, nor is what its handshake left."""
        self._taken = None

    # -- the openings' side --------------------------------------------------------------------------------------

    def take_dial(self, opening: RuntimeOpening) -> None:
        """`opening` becomes the session.  Raises `Overtaken` when another attempt's, or its own sibling, did before."""
        if self._ready.done() or self._dial.taken_by is not None:
            raise Overtaken(str(self.address.without_peer()), "another way to the peer was faster")
        self._dial.taken_by, self._taken = self, opening
        self._openings.pop(opening)
        self._end_openings(Overtaken(str(self.address.without_peer()), "another handshake was faster"))

    def won(self, session: RuntimeSession) -> None:
        if self._ready.done():
            session.end(Code.CANCELLED, "the dial was cancelled")
        else:
            self._ready.set_result(session)

    def lost(self, error: ConnectFailed | LimitExceeded) -> None:
        """The session ended before the peer said a word: another attempt may do better."""
        if self._dial.taken_by is self:
            self._dial.taken_by = None
        self._set_failure(error)

    def opening_failed(self, opening: RuntimeOpening, error: PeerkitError) -> None:
        self._openings.pop(opening, None)
        if not self._openings and self._dial.taken_by is not self:
            known = isinstance(error, TrustDenied | ConnectFailed)
            self._set_failure(error if known else ConnectFailed(str(self.address.without_peer()), str(error)))

    def _set_failure(self, error: PeerkitError) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # the one who waits may have gone

    def _finish(self, error: ConnectFailed) -> None:
        self._set_failure(error)
        self._end_openings(error)

    def _end_openings(self, error: ConnectFailed) -> None:
        for opening in tuple(self._openings):
            opening.end(error)


if TYPE_CHECKING:
    _fits: type[DialAttempt] = RuntimeAttempt
