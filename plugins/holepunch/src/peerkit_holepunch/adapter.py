"""The plugin object: notices sessions that go over a relay, and tries to give them a direct path.

The session's dialer begins; its other end does when its own addresses changed.  The application notices nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from peerkit import protocol
from peerkit.capabilities import DIAGNOSIS, SESSION_CONTROL, Diagnosis, Finding
from peerkit.errors import PeerkitError
from peerkit.event import AddressesChanged, PeerConnected, PeerDisconnected, SessionPathsChanged
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext, hookimpl
from peerkit.protocol import ProtocolSpec
from peerkit.session import Purpose, Session
from peerkit.transport import PathKind

from . import codec
from .campaign import Campaign
from .codec import MAX_MESSAGE_BYTES, Introduce, Meet
from .events import Punched, PunchFailed
from .io.crossing import Crossings
from .io.introducing import ACCEPTS, PROTOCOL, VERSION, Coordinator, may_introduce
from .io.meeting import Meetings
from .io.stream_opening import StreamOpenings
from .settings import HolepunchSettings
from .strategy import Strategy
from .transcript import Transcript, Try

MAX_COORDINATORS = 3  # of one attempt: the relay of the path, then others
SETTLE_S = 0.2  # a session that just came may be about to move by itself
TRANSIENT_S = 1.0  # a transient one may be for one request, which is sooner done than a hole is punched
OTHER_END_S = 3.0  # the acceptor leaves the first word to the dialer, whose addresses may have changed too
MAX_AT_ONCE = 4  # campaigns that probe at the same time
SWEEP_S = 10.0


@dataclass(eq=False)
class Pursuit:
    """A campaign that runs, for the session that was there when it began."""

    session: Session
    campaign: Campaign
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class HolepunchPlugin:
    """One per node."""

    def __init__(self, ctx: PluginContext[HolepunchSettings]) -> None:
        self._ctx = ctx
        self._control = ctx.require(SESSION_CONTROL)
        self._crossings = Crossings(ctx)
        self._openings = StreamOpenings(ctx)
        self._meetings = Meetings(ctx, self._crossings, self._openings)
        self._coordinator = Coordinator(ctx)
        self._transcript = Transcript()
        self._pursuits: dict[PeerId, Pursuit] = {}
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        ctx.provide(DIAGNOSIS, self)

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        spec = ProtocolSpec(
            PROTOCOL,
            VERSION,
            ACCEPTS,
            on_request=self._answer,
            max_request_bytes=MAX_MESSAGE_BYTES,
            max_concurrent=8,
            timeout_s=10.0,
        )
        return [spec]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_peers())
            group.create_task(self._watch_paths())
            group.create_task(self._watch_ends())
            group.create_task(self._watch_addresses())
            group.create_task(self._sweep())

    async def close(self) -> None:
        self._crossings.close()

    async def diagnose(self) -> Sequence[Finding]:
        return self._transcript.findings()

    # -- what others ask -----------------------------------------------------------------------------------------

    async def _answer(self, request: protocol.Request) -> bytes:
        match codec.decode_request(request.payload):
            case Introduce() as introduce:
                return await self._coordinator.introduce(request.session, introduce)
            case Meet() as meet:
                return await self._meetings.meet(request.session, meet)

    # -- what happens --------------------------------------------------------------------------------------------

    async def _watch_peers(self) -> None:
        for peer in self._ctx.pool.peers():
            self._consider(peer.session)
        async for event in self._ctx.subscribe(PeerConnected):
            session = self._control.find(event.peer_id)
            if session is not None:
                self._consider(session)

    async def _watch_paths(self) -> None:
        async for event in self._ctx.subscribe(SessionPathsChanged):
            session = self._control.find(event.peer_id)
            if session is None:
                continue
            if is_relayed(session):
                self._consider(session)
            else:
                self._crossings.session_moved(session)
                self._openings.session_moved(session)
            self._crossings.drop_unused()

    async def _watch_ends(self) -> None:
        async for _ in self._ctx.subscribe(PeerDisconnected):
            self._crossings.drop_unused()

    async def _watch_addresses(self) -> None:
        """Our network is another: try everybody again, also those whose session the peer dialled."""
        async for _ in self._ctx.subscribe(AddressesChanged):
            for pursuit in self._pursuits.values():
                pursuit.campaign.restart(self._ctx.clock.now())
                pursuit.changed.set()
            for peer in self._ctx.pool.peers():
                self._consider(peer.session, has_changed=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._crossings.drop_unused()

    def _consider(self, session: Session, has_changed: bool = False) -> None:
        """Begin a campaign, where it is ours to begin and none runs for this session."""
        if not (is_relayed(session) and PROTOCOL in session.protocols and (session.is_dialer or has_changed)):
            return
        is_member = session.purpose is Purpose.MEMBER
        wait_s = (SETTLE_S if is_member else TRANSIENT_S) if session.is_dialer else OTHER_END_S
        due_at = self._ctx.clock.now() + wait_s
        pursuit = self._pursuits.get(session.peer_id)
        if pursuit is None:
            self._pursuits[session.peer_id] = Pursuit(session, Campaign(due_at, self._ctx.rng))
            self._ctx.spawn(self._pursue(session.peer_id), f"punch {session.peer_id.short}")
        elif pursuit.session is not session:  # whose campaign waits for a session that is over
            pursuit.session = session
            pursuit.campaign.restart(due_at)
            pursuit.changed.set()

    # -- a campaign ----------------------------------------------------------------------------------------------

    async def _pursue(self, peer_id: PeerId) -> None:
        pursuit = self._pursuits[peer_id]
        try:
            while await self._wait_until_due(pursuit):
                session = self._relayed(peer_id)
                if session is None:
                    return
                async with self._at_once:
                    if await self._try(session, pursuit.campaign):
                        return
        finally:
            del self._pursuits[peer_id]

    async def _wait_until_due(self, pursuit: Pursuit) -> bool:
        while (wait_s := pursuit.campaign.next_at - self._ctx.clock.now()) > 0:
            pursuit.changed.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await pursuit.changed.wait()
            except TimeoutError:
                break
        return True

    def _relayed(self, peer_id: PeerId) -> Session | None:
        session = self._control.find(peer_id)
        return session if session is not None and is_relayed(session) else None

    async def _try(self, session: Session, campaign: Campaign) -> bool:
        """One strategy, or the end of a round.  `True`: the session has moved."""
        ours = self._meetings.nat()
        now = self._ctx.clock.now()
        off = self._off(session)
        strategy = campaign.next_strategy(ours, off)
        if strategy is None:
            left_out = campaign.untried(ours, off)
            reason = campaign.give_up(ours, now)
            self._transcript.conclude(session.peer_id, "; ".join([reason, *left_out]))
            self._ctx.log.info("punch failed", peer=session.peer_id.short, reason=reason)
            self._ctx.emit(PunchFailed(session.peer_id, reason, campaign.next_at - now))
            return False
        result = await self._attempt(session, campaign, strategy)
        self._transcript.add(session.peer_id, result)
        self._ctx.log.info("punch", peer=session.peer_id.short, strategy=result.strategy, outcome=result.outcome)
        if result.outcome:
            return False
        took_s = self._ctx.clock.now() - campaign.began_at
        address = str((self._direct(session) or session).remote.without_peer())
        self._ctx.emit(Punched(session.peer_id, address, strategy.words, campaign.attempts, took_s))
        return True

    async def _attempt(self, session: Session, campaign: Campaign, strategy: Strategy) -> Try:
        """One strategy, introduced by the first coordinator that can."""
        at = self._ctx.clock.wall()
        reasons: list[str] = []
        name = ""
        for coordinator in self._coordinators(session, strategy):
            name = coordinator.peer_id.short
            try:
                running, campaign.theirs = await self._meetings.ask(session, coordinator, strategy)
            except PeerkitError as exc:
                reasons.append(f"{name}: {exc}")
                continue
            await running.ended.wait()
            counts = running.counts
            failed = "" if self._direct(session) else running.outcome
            return Try(strategy.words, at, name, failed, counts.sent, counts.heard, counts.answered)
        return Try(strategy.words, at, name, "" if self._direct(session) else "; ".join(reasons))

    def _off(self, session: Session) -> dict[Strategy, str]:
        """What cannot be tried, and why."""
        off = {
            strategy: f"no common peer that punches is reached directly over {strategy.scheme.upper()}"
            for strategy in Strategy
            if not self._coordinators(session, strategy)
        }
        if not self._ctx.settings.birthday:
            off[Strategy.BIRTHDAY] = "switched off by a setting"
        return off

    def _direct(self, session: Session) -> Session | None:
        """The session once it is over no relay, or the one that took its place."""
        for each in (session, self._control.find(session.peer_id)):
            if each is not None and each.is_open and not is_relayed(each):
                return each
        return None

    def _coordinators(self, session: Session, strategy: Strategy) -> list[Session]:
        """Whom to ask: the relay of the path, then other peers that are reached directly."""
        via = session.remote.via
        relay = self._control.find(via) if via is not None else None
        others = [peer.session for peer in self._ctx.pool.peers()]
        self._ctx.rng.shuffle(others)
        found = [s for s in ([relay] if relay is not None else []) + others if may_introduce(s, strategy)]
        return [s for s in dict.fromkeys(found) if s.peer_id != session.peer_id][:MAX_COORDINATORS]


def is_relayed(session: Session) -> bool:
    return any(path.is_active and path.kind is PathKind.RELAYED for path in session.paths)


def _fits(plugin: HolepunchPlugin) -> Diagnosis:
    return plugin
