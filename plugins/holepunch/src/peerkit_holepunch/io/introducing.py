"""The coordinator: tells one peer what another one offers, and adds what it sees of both."""

import math

from peerkit.address import Address
from peerkit.capabilities import SESSION_CONTROL
from peerkit.errors import LimitExceeded, NotFound, RemoteProtocolError
from peerkit.plugin import PluginContext
from peerkit.record import Signed
from peerkit.session import Session
from peerkit.transport import PathKind

from .. import codec
from ..allowances import Introductions
from ..candidates import MAX_OBSERVED
from ..codec import Introduce, Introduced, Meet
from ..settings import HolepunchSettings
from ..strategy import Strategy

PROTOCOL = "peerkit/holepunch"
VERSION = "0.1.0"
ACCEPTS = ">=0.1,<0.2"
MEET_TIMEOUT_S = 5.0


class Coordinator:
    """It sends nothing but answers and requests on sessions, so nobody can aim it at anything."""

    def __init__(self, ctx: PluginContext[HolepunchSettings]) -> None:
        self._ctx = ctx
        self._control = ctx.require(SESSION_CONTROL)
        self._introductions = Introductions(ctx.settings.max_introductions_per_minute)

    async def introduce(self, asker: Session, message: Introduce) -> bytes:
        """Raises:
        NotFound: there is no session with the target, or one of the two is not seen over the strategy's transport.
        LimitExceeded: too many.
        RemoteProtocolError: the offer is another's.
        """
        if not self._ctx.settings.coordinate:
            raise NotFound("this node introduces nobody")
        fields = codec.decode_offer(Signed.from_bytes(message.offer, codec.MAX_SIGNED_BYTES).body)
        if fields.asker != asker.peer_id or fields.target != message.target:
            raise RemoteProtocolError("an offer is not the asker's, or for another target")
        target = self._control.find(message.target)
        if target is None or target is asker or PROTOCOL not in target.protocols:
            raise NotFound("there is no session with the target here, or it does not punch")
        scheme = fields.strategy.scheme
        where_asker, where_target = seen_at(asker, scheme), seen_at(target, scheme)
        if not where_asker or not where_target:
            raise NotFound(f"{'the target' if where_asker else 'the asker'} is not seen over {scheme.upper()} here")
        reason = self._introductions.begin(asker.peer_id, message.target, self._ctx.clock.now())
        if reason:
            raise LimitExceeded(reason)
        try:
            meet = Meet(message.offer, where_asker, where_target, rtt_s(asker))
            answer = await target.request(PROTOCOL, codec.encode_request(meet), MEET_TIMEOUT_S)
        finally:
            self._introductions.end(asker.peer_id)
        return codec.encode_introduced(Introduced(codec.decode_met(answer).answer, where_target, where_asker))


def seen_at(session: Session, scheme: str) -> tuple[Address, ...]:
    """Where we see a peer: over no relay, on paths that are proven.  Over TCP only where the peer connected from: where
    we connected to, it listens."""
    if scheme == "tcp" and session.is_dialer:
        return ()
    return tuple(
        path.remote.without_peer()
        for path in session.paths
        if path.remote.scheme == scheme
        and path.kind is not PathKind.RELAYED
        and (path.is_active or not math.isnan(path.rtt_s))
    )[:MAX_OBSERVED]


def rtt_s(session: Session) -> float:
    """0 when it is not known."""
    measured = session.stats.rtt_s
    return 0.0 if math.isnan(measured) else measured


def may_introduce(session: Session, strategy: Strategy) -> bool:
    """Whether its other end sees a mapping of ours that the strategy can use."""
    is_direct = session.is_open and all(path.kind is not PathKind.RELAYED for path in session.paths if path.is_active)
    is_ours = strategy is not Strategy.STREAM or session.is_dialer
    return is_direct and is_ours and PROTOCOL in session.protocols and session.remote.scheme == strategy.scheme
