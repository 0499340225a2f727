"""Punches that run: their sockets and timers, and what becomes of a path that came through."""

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

from peerkit.address import Address
from peerkit.capabilities import SESSION_CONTROL
from peerkit.errors import LimitExceeded
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.session import Session
from peerkit.transport import DatagramEndpoint, HopLimitedEndpoint, PathKind

from ..punch import Counts, Departure, PathFound, PeerHeard, Punch, PunchEnded
from ..settings import HolepunchSettings
from ..transcript import outcome_of
from .sockets import ProbeSockets

MAX_CROSSINGS = 16  # each sends at most a few hundred bytes/s; peers that all offer at once are refused
SETTLE_S = 5.0  # a session that has moved to an adopted socket shows it by then


class Crossing:
    """One punch as its session sees it.

    Args:
        sockets: numbered as the punch numbers them.
        own: those of them that we opened for this punch.

    Attributes:
        ended: set when nothing more comes of it, or the session has moved.
    """

    def __init__(
        self,
        session: Session,
        punch: Punch,
        sockets: Sequence[DatagramEndpoint],
        own: Sequence[DatagramEndpoint],
        is_asker: bool,
        is_birthday: bool,
    ) -> None:
        self.session = session
        self.punch = punch
        self.is_asker = is_asker
        self.is_birthday = is_birthday
        self.sockets = tuple(sockets)
        self.own = list(own)
        self.ended = asyncio.Event()
        self._numbers = {endpoint: number for number, endpoint in enumerate(self.sockets)}
        self.cancel_timer: Callable[[], None] = lambda: None

    @property
    def counts(self) -> Counts:
        return self.punch.counts

    @property
    def outcome(self) -> str:
        return outcome_of(self.counts.sent, self.counts.heard, self.counts.answered)

    def number(self, endpoint: DatagramEndpoint) -> int | None:
        return self._numbers.get(endpoint)


class Crossings:
    """All that run, one for each peer."""

    def __init__(self, ctx: PluginContext[HolepunchSettings]) -> None:
        self._ctx = ctx
        self._control = ctx.require(SESSION_CONTROL)
        self.sockets = ProbeSockets(ctx, self._receive)
        self._by_id: dict[bytes, Crossing] = {}
        self._by_peer: dict[PeerId, Crossing] = {}
        self._adopted: dict[DatagramEndpoint, tuple[Session, float]] = {}

    @property
    def has_room(self) -> bool:
        return len(self._by_id) < MAX_CROSSINGS

    @property
    def has_birthday(self) -> bool:
        """Whether a birthday is under way: one at a time, so that its rate is the node's."""
        return any(crossing.is_birthday for crossing in self._by_id.values())

    def with_peer(self, peer_id: PeerId) -> Crossing | None:
        return self._by_peer.get(peer_id)

    def begin(self, crossing: Crossing) -> None:
        """In place of an older one with that peer.  Raises `LimitExceeded`."""
        peer_id = crossing.session.peer_id
        older = self._by_peer.get(peer_id)
        if older is not None:
            self._end(older)
        if not self.has_room:
            self._close(crossing)
            raise LimitExceeded(f"{MAX_CROSSINGS} punches are under way already")
        self._by_peer[peer_id] = self._by_id[crossing.punch.id] = crossing
        self._step(crossing)

    def session_moved(self, session: Session) -> None:
        """It is on a direct path now."""
        crossing = self._by_peer.get(session.peer_id)
        if crossing is not None and crossing.session is session:
            crossing.punch.finish(self._ctx.clock.now())
            crossing.ended.set()
            self._step(crossing)

    def drop_unused(self) -> None:
        """Close adopted sockets over which their session goes no more: of several that came through, one is in use."""
        now = self._ctx.clock.now()
        for endpoint, (session, adopted_at) in tuple(self._adopted.items()):
            ways = [path for path in session.paths if path.local.port == endpoint.local.port] if session.is_open else []
            is_relayed = any(path.is_active and path.kind is PathKind.RELAYED for path in session.paths)
            is_used = any(path.is_active or is_relayed for path in ways)
            if not is_used and now >= adopted_at + SETTLE_S:
                del self._adopted[endpoint]
                self.sockets.endpoints.drop(endpoint)

    def close(self) -> None:
        """Idempotent."""
        for crossing in tuple(self._by_id.values()):
            self._end(crossing)

    # -- running -------------------------------------------------------------------------------------------------

    def _receive(
        self, endpoint: DatagramEndpoint, name: bytes, packet: memoryview, remote: Address, now: float
    ) -> None:
        crossing = self._by_id.get(name)
        number = crossing.number(endpoint) if crossing is not None else None
        if crossing is not None and number is not None:
            crossing.punch.receive_datagram(number, packet, remote, now)
            self._step(crossing)

    def _step(self, crossing: Crossing) -> None:
        now = self._ctx.clock.now()
        punch = crossing.punch
        punch.handle_timer(now)
        for departure in punch.datagrams_to_send(now):
            _send(crossing.sockets[departure.socket], departure)
        while (event := punch.next_event()) is not None:
            match event:
                case PeerHeard(socket):
                    self._keep(crossing, crossing.sockets[socket])
                case PathFound(socket, remote):
                    endpoint = crossing.sockets[socket]
                    self._keep(crossing, endpoint)
                    self._control.offer_path(crossing.session, endpoint, None, remote)
                case PunchEnded():
                    self._end(crossing)
                    return
                case _:
                    assert_never(event)
        self._set_timer(crossing, punch.next_timer() - now)

    def _set_timer(self, crossing: Crossing, delay_s: float) -> None:
        crossing.cancel_timer()
        crossing.cancel_timer = self._ctx.call_later(max(delay_s, 0.0), lambda: self._step(crossing))

    def _keep(self, crossing: Crossing, endpoint: DatagramEndpoint) -> None:
        """A socket of our own came through: sessions may use it from now on."""
        if endpoint in crossing.own and endpoint not in self._adopted:
            self._adopted[endpoint] = crossing.session, self._ctx.clock.now()
            self.sockets.endpoints.adopt(endpoint)

    def _end(self, crossing: Crossing) -> None:
        if self._by_id.pop(crossing.punch.id, None) is None:
            return
        if self._by_peer.get(crossing.session.peer_id) is crossing:
            del self._by_peer[crossing.session.peer_id]
        counts, peer = crossing.counts, crossing.session.peer_id.short
        self._ctx.log.debug("punch over", peer=peer, sent=counts.sent, heard=counts.heard, answered=counts.answered)
        self._close(crossing)

    def _close(self, crossing: Crossing) -> None:
        crossing.cancel_timer()
        for endpoint in crossing.own:
            if endpoint not in self._adopted:
                endpoint.close()
        crossing.own.clear()
        crossing.ended.set()


def _send(endpoint: DatagramEndpoint, departure: Departure) -> None:
    if not departure.hop_limit:
        endpoint.send_batch(None, departure.remote, len(departure.data), [departure.data])
    elif isinstance(endpoint, HopLimitedEndpoint):
        endpoint.send_short(departure.remote, departure.data, departure.hop_limit)
