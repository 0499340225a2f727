"""The two ends of a punch: one asks through a coordinator, the other answers; both begin."""

from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

from peerkit.address import Address
from peerkit.capabilities import OWN_ADDRESSES, REACHABILITY, SESSION_CONTROL
from peerkit.errors import LimitExceeded, NotFound, PeerkitError, RemoteProtocolError
from peerkit.plugin import PluginContext
from peerkit.session import Session
from peerkit.transport import DatagramEndpoint
from peerkit.trust import Action, Question

from .. import codec
from ..allowances import Rates
from ..candidates import accept_observed, candidates, private_addresses
from ..codec import NONCE_BYTES, Introduce, Meet, Met
from ..offer import SESSION_LABEL, Attempt, make_answer, make_offer, read_answer, read_offer
from ..plans import CandidatePlan, Plan, SearchPlan, SpreadPlan, search_s
from ..probe import LABEL, ProbeKey
from ..punch import Punch
from ..settings import HolepunchSettings
from ..strategy import Nat, Strategy
from .crossing import Crossing, Crossings
from .introducing import PROTOCOL, may_introduce, rtt_s, seen_at
from .stream_opening import StreamOpening, StreamOpenings

INTRODUCE_TIMEOUT_S = 8.0
MAX_DELAY_S = 1.0  # a coordinator that claims a longer round trip would only make us wait
# How long who opens waits for the other's probes: they come through, where its own could come too early and take the
# other's port, if the other's router answers such probes itself.  A busy peer begins so much later (seen: 0.15 s were
# too few once in 46).
OPENER_WAITS_S = 0.4
# A packet with a TTL of 2 passes one router of ours, with 3 two of them (double NAT), or one and then the peer's.
OPENER_HOPS, OPENER_HOPS_OF_RETRY = 2, 3
# Offers that we take from one peer; a session with us makes a peer no more than that (each costs ≤ 2,048 probes).
OFFERS_PER_PEER_PER_MINUTE, OFFERS_BURST, OFFERS_PER_MINUTE = 8.0, 8.0, 60.0
# Messages of one coordinator before a signature is checked (54 µs each).
MEETS_PER_COORDINATOR_PER_MINUTE, MEETS_BURST, MEETS_PER_MINUTE = 60.0, 20.0, 600.0


@dataclass(frozen=True, slots=True)
class Terms:
    """All that both sides agreed on, from one side's view.

    Attributes:
        ours, theirs: where the coordinator sees us and the peer.
        delay_s: how long to wait so that both begin at once.
    """

    strategy: Strategy
    is_asker: bool
    asker_nonce: bytes
    target_nonce: bytes
    nat: Nat
    their_nat: Nat
    ours: tuple[Address, ...]
    theirs: tuple[Address, ...]
    delay_s: float


Running: TypeAlias = Crossing | StreamOpening


class Refused(PeerkitError):
    """The peer answered that it will not punch now."""

    code = "punch_refused"


class Meetings:
    """Both sides of one node."""

    def __init__(self, ctx: PluginContext[HolepunchSettings], crossings: Crossings, openings: StreamOpenings) -> None:
        self._ctx = ctx
        self._crossings = crossings
        self._openings = openings
        self._control = ctx.require(SESSION_CONTROL)
        self._own = ctx.require(OWN_ADDRESSES)
        self._asked: WeakKeyDictionary[Session, int] = WeakKeyDictionary()  # number of our last offer
        self._taken: WeakKeyDictionary[Session, int] = WeakKeyDictionary()  # of the last that we took
        self._offers = Rates(OFFERS_PER_PEER_PER_MINUTE, OFFERS_BURST, OFFERS_PER_MINUTE)
        self._meets = Rates(MEETS_PER_COORDINATOR_PER_MINUTE, MEETS_BURST, MEETS_PER_MINUTE)

    def nat(self, port: int = 0) -> Nat:
        """What we know of our own router; `port` is of the socket that the coordinator sees."""
        reach = self._ctx.find(REACHABILITY)
        interfaces = self._ctx.network.interface_addresses()
        private = private_addresses(self._own.bound, interfaces, port)
        if reach is None:
            return Nat(private_addresses=private)
        return Nat(reach.mapping, reach.filtering, reach.port_step, private)

    # -- the side that asks --------------------------------------------------------------------------------------

    async def ask(self, session: Session, coordinator: Session, strategy: Strategy) -> tuple[Running, Nat]:
        """Let `coordinator` introduce us to the peer of `session`, and begin.

        Returns:
            what runs, and what the peer said of its router.

        Raises:
            Refused: the peer will not; the sentence is its own.
            PeerkitError: the coordinator failed, cannot, or told nonsense.
        """
        number = self._asked[session] = self._asked.get(session, 0) + 1
        nonce = self._ctx.rng.randbytes(NONCE_BYTES)
        attempt = Attempt(session.peer_id, nonce, session.export(SESSION_LABEL, NONCE_BYTES), number, strategy)
        nat = self.nat(coordinator.local.port)
        offer = make_offer(self._ctx.sign, self._ctx.peer_id, attempt, nat, self._ctx.clock.wall())
        request = codec.encode_request(Introduce(session.peer_id, offer))
        introduced = codec.decode_introduced(await coordinator.request(PROTOCOL, request, INTRODUCE_TIMEOUT_S))
        answer = read_answer(introduced.answer, self._ctx.peer_id, attempt, self._ctx.network_id)
        if answer.refusal:
            raise Refused(f"the peer will not: {answer.refusal}")
        terms = Terms(
            strategy,
            True,
            nonce,
            answer.nonce,
            nat,
            answer.nat,
            accept_observed(introduced.yours, coordinator.remote),
            accept_observed(introduced.observed, coordinator.remote),
            0.0,
        )
        return await self._begin(session, coordinator, terms), answer.nat

    # -- the side that answers -----------------------------------------------------------------------------------

    async def meet(self, coordinator: Session, message: Meet) -> bytes:
        """Answer an offer that a coordinator passed on.

        Raises:
            RemoteProtocolError: the offer is forged, expired, used before, or not for us.
            NotFound: there is no session with its maker.
            LimitExceeded: too many.
        """
        now = self._ctx.clock.now()
        if not self._meets.allow(coordinator.peer_id, now):
            raise LimitExceeded("too many offers came through this coordinator")
        offer = read_offer(message.offer, self._ctx.peer_id, self._ctx.network_id, self._ctx.clock.wall())
        session = self._control.find(offer.asker)
        if session is None or session.export(SESSION_LABEL, NONCE_BYTES) != offer.session:
            raise NotFound("there is no such session with the maker of the offer")
        if offer.number <= self._taken.get(session, 0):
            raise RemoteProtocolError("an offer was used before")
        if not self._offers.allow(offer.asker, now):
            raise LimitExceeded("too many offers of this peer")
        self._taken[session] = offer.number
        nonce, nat = self._ctx.rng.randbytes(NONCE_BYTES), self.nat(coordinator.local.port)
        refusal = self._refusal(session, offer.strategy)
        if not refusal:
            terms = Terms(
                offer.strategy,
                False,
                offer.nonce,
                nonce,
                nat,
                offer.nat,
                accept_observed(message.yours, coordinator.remote) or seen_at(coordinator, offer.strategy.scheme),
                accept_observed(message.observed, coordinator.remote),
                min((message.rtt_s + rtt_s(coordinator)) / 2, MAX_DELAY_S),
            )
            try:
                await self._begin(session, coordinator, terms)
            except PeerkitError as exc:
                refusal = str(exc)
        return codec.encode_met(Met(make_answer(self._ctx.sign, offer, nonce, nat, refusal)))

    def _refusal(self, session: Session, strategy: Strategy) -> str:
        """A session that is direct here may be dead on that path: the asker knows, as it went back to the relay."""
        running: Crossings | StreamOpenings = self._openings if strategy is Strategy.STREAM else self._crossings
        own = running.with_peer(session.peer_id)
        if own is not None and own.is_asker and self._ctx.peer_id < session.peer_id:
            return "this side has asked at the same time, and goes first"
        if own is None and not running.has_room:
            return "too many punches are under way"
        if strategy is Strategy.BIRTHDAY and not (self._ctx.settings.birthday and self._may_have_birthday(session)):
            return "no birthday probing now"
        return ""

    def _may_have_birthday(self, session: Session) -> bool:
        """One at a time; one with the same peer, whose introduction came too late, gives way to this one."""
        own = self._crossings.with_peer(session.peer_id)
        return not self._crossings.has_birthday or (own is not None and own.is_birthday)

    # -- both ----------------------------------------------------------------------------------------------------

    async def _begin(self, session: Session, coordinator: Session, terms: Terms) -> Running:
        """Raises `PeerkitError` when there is nowhere to aim, or no socket."""
        theirs = tuple(a for a in terms.theirs if self._may_dial(session, a))
        if not theirs:
            raise NotFound("the coordinator told no address that may be probed")
        if terms.strategy is Strategy.STREAM:
            if not may_introduce(coordinator, terms.strategy):
                raise NotFound("the coordinator is not one that this side reached directly over TCP")
            opening = StreamOpening(session, terms.is_asker)
            self._openings.begin(opening, coordinator.local, theirs[0], terms.delay_s)
            return opening
        key = session.export(LABEL + terms.asker_nonce + terms.target_nonce)
        probes = ProbeKey(key, terms.asker_nonce, terms.target_nonce, terms.is_asker)
        sockets: list[DatagramEndpoint] = []
        own: list[DatagramEndpoint] = []
        now = self._ctx.clock.now()
        is_birthday = terms.strategy is Strategy.BIRTHDAY and terms.nat.is_symmetric != terms.their_nat.is_symmetric
        if is_birthday:
            plan = await self._birthday(coordinator, terms, theirs[0], sockets, own, now)
            hosts = {theirs[0].host}
        else:
            with_predicted = terms.strategy is Strategy.SWAPPED and self._ctx.settings.predict_ports
            found = candidates(theirs, terms.ours, terms.their_nat, with_predicted)
            found = [a for a in found if self._may_dial(session, a)]
            plan = await self._probing(coordinator, terms, found, sockets, now)
            hosts = {a.host for a in found}
        punch = Punch(probes, plan, hosts, self._ctx.rng)
        crossing = Crossing(session, punch, sockets, own, terms.is_asker, is_birthday)
        self._crossings.begin(crossing)
        return crossing

    async def _probing(
        self, coordinator: Session, terms: Terms, found: list[Address], sockets: list[DatagramEndpoint], now: float
    ) -> Plan:
        aims: list[tuple[int, Address]] = []
        for address in found:
            endpoint = await self._crossings.sockets.seen_by(coordinator, address)
            if endpoint not in sockets:
                sockets.append(endpoint)
            aims.append((sockets.index(endpoint), address))
        starts_at = now + terms.delay_s
        is_opener = terms.is_asker == (terms.strategy is Strategy.SWAPPED)
        if is_opener:
            starts_at += OPENER_WAITS_S
        hops = OPENER_HOPS if terms.strategy is Strategy.PLAIN else OPENER_HOPS_OF_RETRY
        return CandidatePlan(aims, starts_at, self._ctx.rng, now if is_opener else None, hops)

    async def _birthday(
        self,
        coordinator: Session,
        terms: Terms,
        remote: Address,
        sockets: list[DatagramEndpoint],
        own: list[DatagramEndpoint],
        now: float,
    ) -> Plan:
        settings = self._ctx.settings
        shared = await self._crossings.sockets.seen_by(coordinator, remote)
        starts_at = now + terms.delay_s
        if not terms.nat.is_symmetric:
            sockets.append(shared)
            return SearchPlan(
                remote,
                terms.their_nat.port_step,
                settings.birthday_probes,
                settings.probes_per_s,
                starts_at,
                self._ctx.rng,
            )
        own += await self._crossings.sockets.open_more(shared, settings.birthday_sockets)
        sockets += own
        lasts_s = search_s(settings.birthday_probes, settings.probes_per_s)
        return SpreadPlan(len(own), remote, starts_at, lasts_s, OPENER_HOPS)

    def _may_dial(self, session: Session, address: Address) -> bool:
        return self._ctx.check(Question(Action.DIAL, session.peer_id, address)).allow
