"""TCP connections that both sides begin at once: when to try, how often, and when it is over.  The kernel connects, and
gives the new session its place.

    waiting ──delay──▶ meeting ──connected──▶ settling ──session moved, or 5 s──▶ over
                        ▲   │ the connection was lost in its handshake
                        └50-200 ms─┘                4 s, or 3 attempts ──▶ over
"""

import asyncio

from peerkit.address import Address
from peerkit.capabilities import SESSION_CONTROL
from peerkit.errors import ConnectFailed, LimitExceeded, PeerkitError
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.session import Session

from ..punch import Counts
from ..settings import HolepunchSettings

OPENING_S = 4.0  # a packet of ours that came too early is sent again by the system after 1 and 3 s
MAX_MEETINGS = 3  # guess: one that failed otherwise than for want of the other side mostly fails again
LEAST_PAUSE_S, MOST_PAUSE_S = 0.05, 0.2  # guess; random, so that two sides that miss once do not miss always
SETTLE_S = 5.0  # the handshake, and the session's way into its place
MAX_OPENINGS = 16  # peers that all offer at once are refused


class StreamOpening:
    """One attempt with one peer.

    Attributes:
        counts: connections begun (`sent`), connections there (`answered`).
        outcome: why there was none.
        ended: set when nothing more comes of it, or the session has moved.
    """

    def __init__(self, session: Session, is_asker: bool) -> None:
        self.session = session
        self.is_asker = is_asker
        self.counts = Counts()
        self.outcome = "no connection came about"
        self.ended = asyncio.Event()


class StreamOpenings:
    """All that run, one for each peer."""

    def __init__(self, ctx: PluginContext[HolepunchSettings]) -> None:
        self._ctx = ctx
        self._control = ctx.require(SESSION_CONTROL)
        self._by_peer: dict[PeerId, StreamOpening] = {}

    @property
    def has_room(self) -> bool:
        return len(self._by_peer) < MAX_OPENINGS

    def with_peer(self, peer_id: PeerId) -> StreamOpening | None:
        return self._by_peer.get(peer_id)

    def begin(self, opening: StreamOpening, local: Address, remote: Address, delay_s: float) -> None:
        """Raises `LimitExceeded`: as many as may run do, or one with this peer does."""
        peer_id = opening.session.peer_id
        if peer_id in self._by_peer or not self.has_room:
            raise LimitExceeded("a connection with this peer is being opened already, or too many others are")
        self._by_peer[peer_id] = opening
        self._ctx.spawn(self._run(opening, local, remote, delay_s), f"open a stream to {peer_id.short}")

    def session_moved(self, session: Session) -> None:
        """There is a direct one with its peer now."""
        opening = self._by_peer.get(session.peer_id)
        if opening is not None:
            opening.ended.set()

    async def _run(self, opening: StreamOpening, local: Address, remote: Address, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
            if await self._connect(opening, local, remote):
                async with asyncio.timeout(SETTLE_S):
                    await opening.ended.wait()
        except TimeoutError:
            opening.outcome = "a connection came about, but the session did not move to it"
        finally:
            del self._by_peer[opening.session.peer_id]
            opening.ended.set()

    async def _connect(self, opening: StreamOpening, local: Address, remote: Address) -> bool:
        clock, rng = self._ctx.clock, self._ctx.rng
        ends_at = clock.now() + OPENING_S
        while opening.counts.sent < MAX_MEETINGS and (left_s := ends_at - clock.now()) > 0:
            opening.counts.sent += 1
            try:
                async with asyncio.timeout(left_s):
                    await self._control.meet(opening.session, local, remote)
                opening.counts.answered += 1
                return True
            except TimeoutError:
                opening.outcome = f"no answer came within {OPENING_S:g} s"
            except ConnectFailed as exc:
                opening.outcome = exc.reason
                await asyncio.sleep(rng.uniform(LEAST_PAUSE_S, MOST_PAUSE_S))
            except PeerkitError as exc:
                opening.outcome = str(exc)
                return False
        return False
