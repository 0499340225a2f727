"""The peers of a node: one place where sessions are dialled, admitted, replaced and ended.

Promises: `peerkit.session.Pool`, `peerkit.capabilities.Dialer` and `SessionControl`.  Decisions (slots, tie-break,
back-off) are pure and live in `_pool/`; upkeep (liveness, idleness, filling slots) in `upkeep.py`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .._pool.address_book import AddressBook
from .._pool.admission import Admission
from .._pool.slots import SlotClass, SlotLimits, Slots
from .._pool.tie_break import newer_wins
from ..address import Address
from ..capabilities import Dialer, SessionControl
from ..errors import DeadlineExceeded, EndpointClosed, LimitExceeded, PeerkitError, PeerUnreachable
from ..event import PeerConnected, PeerDisconnected, SessionPathsChanged
from ..identity import PeerId
from ..record import PeerRecord
from ..session import Code, DialTarget, Pool, Purpose, Session
from ..transport import Buffer, DatagramEndpoint
from ..trust import Action, Question
from .dialing import DialPlan, Target
from .event_bus import EventBus
from .peer import RuntimePeer
from .session import RuntimeSession
from .session_context import SessionContext, SessionOwner
from .shared_dials import SharedDials
from .simultaneous_open import SimultaneousOpen
from .whereabouts import Whereabouts

PARTED_S = 300.0  # a peer that somebody closed on purpose is not dialled by ourselves for so long
MAX_PARTED = 1024
DUPLICATE = "another session between the two won"
LEAST_IDLE_S = 1.0  # a stranger's session is not ended for another's before it could ask anything
DUPLICATE_WAIT_S = 2.0  # how long the loser of a simultaneous open waits for the winner to be confirmed here


class RuntimePool:
    """Members and transient sessions.  `bind` completes it once the host has collected transports and protocols."""

    def __init__(self, limits: SlotLimits, book: AddressBook, events: EventBus) -> None:
        self.slots = Slots(limits)
        self.book = book
        self._events = events
        self._members: dict[PeerId, RuntimePeer] = {}
        self._transients: dict[PeerId, RuntimeSession] = {}
        self._sessions: dict[RuntimeSession, None] = {}  # ordered: a simulation repeats
        self._arrivals: dict[PeerId, list[asyncio.Future[None]]] = {}
        self._admission = Admission()
        self._parted: OrderedDict[PeerId, float] = OrderedDict()
        self._closing = False
        self.context: SessionContext
        self._plan: DialPlan
        self._whereabouts: Whereabouts
        self._dials: SharedDials
        self._simultaneous: SimultaneousOpen

    def bind(self, context: SessionContext, plan: DialPlan, whereabouts: Whereabouts) -> None:
        self.context = context
        self._plan = plan
        self._whereabouts = whereabouts
        self._simultaneous = SimultaneousOpen(context, plan.streams, self)
        self._dials = SharedDials(context, self.take_slot, self.slots.give, self._open, self.admit)

    # -- what others ask -----------------------------------------------------------------------------------------

    def peers(self) -> tuple[RuntimePeer, ...]:
        return tuple(self._members.values())

    @property
    def is_alone(self) -> bool:
        return not self._members

    def get(self, peer_id: PeerId) -> RuntimePeer | None:
        return self._members.get(peer_id)

    def sessions(self) -> tuple[RuntimeSession, ...]:
        """All open sessions, members and transient ones."""
        return tuple(self._sessions)

    async def connect(self, target: DialTarget, timeout_s: float = 10.0) -> RuntimePeer:
        goal = self._whereabouts.target(target)
        if goal.peer_id is not None and goal.peer_id in self._members:
            return self._members[goal.peer_id]
        session = await self._dial(goal, Purpose.MEMBER, timeout_s)
        peer = self._members.get(session.peer_id)
        if peer is None:
            peer = await self._await_winner(session)
        return peer

    def is_parted(self, peer_id: PeerId | None) -> bool:
        """Whether somebody closed the session with this peer on purpose a short while ago."""
        return peer_id is not None and self._parted.get(peer_id, 0.0) > self.context.clock.now()

    async def broadcast(self, protocol: str, payload: Buffer) -> int:
        sent = 0
        for peer in self.peers():
            if protocol in peer.protocols:
                try:
                    await peer.send(protocol, payload)
                    sent += 1
                except PeerkitError as exc:
                    self.context.log.debug("broadcast skipped a peer", peer=peer.id.short, reason=str(exc))
        return sent

    @asynccontextmanager
    async def transient(self, target: DialTarget, timeout_s: float = 5.0) -> AsyncIterator[Session]:
        goal = self._whereabouts.target(target)
        session = self._usable(goal.peer_id) or await self._dial(goal, Purpose.TRANSIENT, timeout_s)
        session.borrowers += 1
        try:
            yield session
        finally:
            session.borrowers -= 1
            session.last_used_at = self.context.clock.now()

    @asynccontextmanager
    async def probe(self, address: Address, timeout_s: float = 5.0) -> AsyncIterator[Session]:
        goal = self._whereabouts.target(address)
        self._check_dialable(goal)
        self.take_slot(SlotClass.TRANSIENT_OUT)
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._plan.dial(goal, Purpose.TRANSIENT, is_probe=True)
        except BaseException as exc:
            self.slots.give(SlotClass.TRANSIENT_OUT)
            if isinstance(exc, TimeoutError):
                raise DeadlineExceeded(f"connecting to {goal.key}", timeout_s) from None
            raise
        self._sessions[session], session.slot = None, SlotClass.TRANSIENT_OUT
        session.borrowers += 1
        try:
            yield session
        finally:
            session.borrowers -= 1
            if session.is_open:
                await session.close(Code.NONE, "it was a probe")
            else:
                self.session_ended(session, "closed", True)  # it may have ended before it was counted

    def find(self, peer_id: PeerId) -> RuntimeSession | None:
        return self._usable(peer_id)

    def offer_path(self, session: Session, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        ours = self._own(session)
        return ours is not None and ours.carrier.offer_path(endpoint, local, remote)

    async def meet(self, session: Session, local: Address, remote: Address) -> None:
        ours = self._own(session)
        if ours is None:
            raise EndpointClosed("the session", "it is over")
        await self._simultaneous.open(ours, local, remote)

    def _own(self, session: Session) -> RuntimeSession | None:
        """One of ours that is open."""
        return next((ours for ours in self._sessions if ours is session and ours.is_open), None)

    def _usable(self, peer_id: PeerId | None) -> RuntimeSession | None:
        if peer_id is None:
            return None
        peer = self._members.get(peer_id)
        session = peer.runtime_session if peer is not None else self._transients.get(peer_id)
        return session if session is not None and session.is_open else None

    # -- dialling ------------------------------------------------------------------------------------------------

    def _check_dialable(self, target: Target) -> None:
        if self._closing:
            raise EndpointClosed("the node", "it is stopping")
        if target.peer_id == self.context.peer_id:
            raise PeerUnreachable(target.key, ["this is our own identity"])

    async def _dial(self, target: Target, purpose: Purpose, timeout_s: float) -> RuntimeSession:
        self._check_dialable(target)
        return await self._dials.dial(target, purpose, timeout_s)

    async def _open(self, target: Target, purpose: Purpose) -> RuntimeSession:
        session = await self._promoted(target) if purpose is Purpose.MEMBER else None
        if session is not None:
            return session
        try:
            return await self._plan.dial(target, purpose)
        except PeerUnreachable:
            elsewhere = await self._whereabouts.elsewhere(target)
            if elsewhere is None:
                raise
        return await self._plan.dial(elsewhere, purpose)

    def take_slot(self, slot: SlotClass, crowd: str = "") -> None:
        """Raises `LimitExceeded`."""
        if not self.slots.take(slot, crowd) and not (self._make_room(slot) and self.slots.take(slot, crowd)):
            raise LimitExceeded(f"all {slot.value} slots are in use")

    async def _promoted(self, target: Target) -> RuntimeSession | None:
        """A transient session that we dialled, once the peer has taken it as a member's; `None`: dial afresh.

        Raises:
            LimitExceeded, PeerUnreachable: the peer refuses.
        """
        session = self._transients.get(target.peer_id) if target.peer_id is not None else None
        if session is None or not await session.membership.join():
            return None
        self._promote(session)
        return session

    def _promote(self, session: RuntimeSession) -> None:
        """A transient session, for which a member's slot was taken beside its own, becomes a member's."""
        self.slots.give(session.slot, session.crowd)
        if self._transients.get(session.peer_id) is session:
            del self._transients[session.peer_id]
        session.purpose = Purpose.MEMBER

    def membership_asked(self, session: RuntimeSession) -> tuple[int, str]:
        if session.purpose is Purpose.MEMBER:
            return Code.NONE, ""  # it asked twice
        if self._closing:
            return Code.SHUTDOWN, "the node is stopping"
        decision = self.context.gate.check(Question(Action.ACCEPT_PEER, session.peer_id, session.remote))
        if not decision.allow:
            return Code.DENIED, "denied"
        peer = self._members.get(session.peer_id)
        if peer is not None and not self._replaces(peer.runtime_session, session):
            return Code.DUPLICATE, DUPLICATE
        slot = SlotClass.of(Purpose.MEMBER, session.is_dialer)
        if session.agreement.refused or not self.slots.take(slot, session.crowd):
            return Code.LIMIT, "; ".join(session.agreement.refused) or f"all {slot.value} slots are in use"
        self._promote(session)
        self.admit(session, slot)
        return Code.NONE, ""

    def _replaces(self, older: RuntimeSession, newer: RuntimeSession) -> bool:
        return newer_wins(self.context.peer_id, newer.peer_id, older.is_dialer, newer.is_dialer)

    def supersedes(self, session: RuntimeSession) -> bool:
        """Whether it is a member's direct one in place of one over a relay that the same end dialled."""
        peer = self._members.get(session.peer_id) if session.purpose is Purpose.MEMBER else None
        if peer is None or session.is_relayed:
            return False
        older = peer.runtime_session
        return older.is_relayed and older.is_dialer == session.is_dialer

    def _make_room(self, slot: SlotClass) -> bool:
        """Close the transient session of this class that has been idle longest."""
        if slot not in (SlotClass.TRANSIENT_OUT, SlotClass.TRANSIENT_IN):
            return False
        unused_since = self.context.clock.now() - (LEAST_IDLE_S if slot is SlotClass.TRANSIENT_IN else 0.0)
        idle = [
            session
            for session in self._sessions
            if session.slot is slot
            and session.last_used_at <= unused_since
            and not session.borrowers
            and not session.stats.streams_open
        ]
        if not idle:
            return False
        oldest = min(idle, key=lambda s: s.last_used_at)
        oldest.end(Code.IDLE, "idle")
        return True

    async def _await_winner(self, session: RuntimeSession) -> RuntimePeer:
        """Our session lost against one that the peer began: the winner may still be on its way here."""
        arrival = self.context.loop.create_future()
        self._arrivals.setdefault(session.peer_id, []).append(arrival)
        try:
            async with asyncio.timeout(DUPLICATE_WAIT_S):
                await arrival
        except TimeoutError:
            reason = await session.wait_closed() if not session.is_open else "it did not join the pool"
            raise PeerUnreachable(str(session.peer_id), [reason]) from None
        finally:
            waiting = self._arrivals.get(session.peer_id, [])
            if arrival in waiting:
                waiting.remove(arrival)
            if not waiting:
                self._arrivals.pop(session.peer_id, None)
        return self._members[session.peer_id]

    # -- sessions come and go (SessionOwner) ---------------------------------------------------------------------

    def handshake_began(self, remote: Address) -> str:
        if self._closing:
            return "the node is stopping"
        if not self._admission.admit(remote, self.context.clock.now()):
            return "too many connections from there"
        return "" if self.slots.take(SlotClass.HANDSHAKING) else "too many handshakes at once"

    def handshake_ended(self) -> None:
        self.slots.give(SlotClass.HANDSHAKING)

    @property
    def has_many_handshakes(self) -> bool:
        return self.slots.free(SlotClass.HANDSHAKING) < self.slots.used(SlotClass.HANDSHAKING)

    def session_accepted(self, session: RuntimeSession) -> str:
        if self._closing:
            return "the node is stopping"
        slot = SlotClass.of(Purpose.TRANSIENT if self.supersedes(session) else session.purpose, False)
        try:
            self.take_slot(slot, session.crowd)
        except LimitExceeded as exc:
            return str(exc)
        self.admit(session, slot)
        return ""

    def admit(self, session: RuntimeSession, slot: SlotClass) -> None:
        """The session is confirmed, and `slot` was taken for it: give it its place."""
        self._sessions[session], session.slot = None, slot
        if not session.is_open:
            self.session_ended(session, "closed at once", True)
            return
        self.book.reached(session.peer_id, self.context.clock.wall())
        if session.purpose is Purpose.TRANSIENT:
            older = self._transients.setdefault(session.peer_id, session)
            if older is not session and older.is_relayed and not session.is_relayed:
                self._transients[session.peer_id] = session
            if older.is_relayed:
                self.paths_changed(session)  # somebody may know a better one, or this is it
            return
        peer = self._members.get(session.peer_id)
        if peer is None:
            self._parted.pop(session.peer_id, None)
            self._join(session)
            return
        older = peer.runtime_session
        if self.supersedes(session):
            peer.replace(session)
            # The older one serves what it has begun, and ends when it is idle.  The two swap their slots, so that the
            # newer one needs no member's of its own.
            older.purpose, older.last_used_at = Purpose.TRANSIENT, self.context.clock.now()
            older.slot, session.slot = session.slot, older.slot
            older.crowd, session.crowd = session.crowd, older.crowd
            self.paths_changed(session)
        elif self._replaces(older, session):
            peer.replace(session)
            older.end(Code.DUPLICATE, DUPLICATE)
        else:
            session.end(Code.DUPLICATE, DUPLICATE)

    def _join(self, session: RuntimeSession) -> None:
        peer = self._members[session.peer_id] = RuntimePeer(self.context, session)
        direction = "out" if session.is_dialer else "in"
        address = str(session.remote.without_peer())
        self._events.emit(
            PeerConnected(session.peer_id, address, direction, session.transport, tuple(session.protocols))
        )
        peer.start()
        for arrival in self._arrivals.pop(session.peer_id, []):
            if not arrival.done():
                arrival.set_result(None)

    def session_ended(self, session: RuntimeSession, reason: str, by_peer: bool) -> None:
        if session not in self._sessions:
            return
        del self._sessions[session]
        self.slots.give(session.slot, session.crowd)
        if self._transients.get(session.peer_id) is session:
            del self._transients[session.peer_id]
        peer = self._members.get(session.peer_id)
        if peer is not None and peer.runtime_session is session:
            del self._members[session.peer_id]
            peer.stop()
            if session.close_code == Code.NONE:
                self._parted[session.peer_id] = self.context.clock.now() + PARTED_S
                if len(self._parted) > MAX_PARTED:
                    self._parted.popitem(last=False)
            self._events.emit(PeerDisconnected(session.peer_id, reason, by_peer))

    def paths_changed(self, session: RuntimeSession) -> None:
        path = session.paths[0]
        self._events.emit(SessionPathsChanged(session.peer_id, str(path.remote), path.kind.value, len(session.paths)))

    def known_record(self, peer_id: PeerId) -> PeerRecord | None:
        return self.book.get(peer_id)

    def record_received(self, session: RuntimeSession, record: PeerRecord) -> None:
        self.book.add(record)
        self.book.reached(session.peer_id, self.context.clock.wall())

    def own_record(self) -> bytes:
        return self.book.own().to_bytes()

    async def close(self, reason: str) -> None:
        """End every session.  Idempotent."""
        self._closing = True
        for session in self.sessions():
            await session.close(Code.SHUTDOWN, reason)


if TYPE_CHECKING:
    _fits: type[Pool] = RuntimePool
    _is_dialer: type[Dialer] = RuntimePool
    _controls: type[SessionControl] = RuntimePool
    _owns: type[SessionOwner] = RuntimePool
