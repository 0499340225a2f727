"""From a handshake to a session: what carriers of both kinds share.

    HANDSHAKE ──complete──▶ KEYED ──confirm──▶ CONFIRMED          a dialer's first confirmed opening takes its dial
        └── refusal, disagreement, abandon, deadline ──▶ OVER

In: handshake messages, whole.  Out: handshake messages, keys, at last the session.  Not here: how messages travel and
are sent again, records and packets.  For an acceptor the session exists when the dialer's first sealed packet opens:
until then there is no event and no slot but the one for handshakes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from .._session import hello
from .._session.hello import Agreed
from .._session.mux import Mux
from .._session.receive_credit import MAX_SESSION_WINDOW
from ..address import Address
from ..datagram import SessionKeys, SessionOpening
from ..errors import ConnectFailed, LimitExceeded, PeerkitError, PluginError, RemoteProtocolError, TrustDenied
from ..identity import PeerId, hkdf
from ..protection import AeadProtection
from ..security import HandshakeParameters, PacketProtection, PlaintextWrapper
from ..session import Code, Purpose
from ..transport import Carrier
from ..trust import Action, Question
from .payload_source import PayloadSource
from .session import RuntimeSession
from .session_context import SessionContext

if TYPE_CHECKING:
    from .dial_attempt import RuntimeAttempt


class _State(Enum):
    HANDSHAKE = auto()
    KEYED = auto()  # complete on this side; of an acceptor: the dialer has not proved that it has the keys
    CONFIRMED = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class RuntimeKeys:
    """See `peerkit.datagram.SessionKeys`."""

    send: PacketProtection
    receive: PacketProtection
    wrappers: Sequence[PlaintextWrapper]
    life_s: float
    export_secret: bytes

    def __repr__(self) -> str:
        return "<RuntimeKeys>"

    def export(self, label: bytes, length: int = 32) -> bytes:
        return hkdf(self.export_secret, b"peerkit v1 carrier " + label, length)


class RuntimeOpening:
    """See `peerkit.datagram.SessionOpening`.

    Args:
        attempt: whose opening it is; `None` for an acceptor, whose place among the handshakes is taken already.
        remote_static: the peer's handshake key, when it is known and shall be used.
        ended: told when the kernel gives the opening up.
        expected_peer: the only one that an acceptor takes here; `None`: anybody.
    """

    def __init__(
        self,
        context: SessionContext,
        remote: Address,
        binding: bytes,
        ended: Callable[[], None],
        attempt: RuntimeAttempt | None = None,
        remote_static: bytes | None = None,
        expected_peer: PeerId | None = None,
    ) -> None:
        self._context = context
        self._terms = context.terms  # as our Hello says them: protocols may come and go before the handshake ends
        self._remote = remote
        self._ended = ended
        self._attempt = attempt
        self._expected = attempt.expected_peer if attempt is not None else expected_peer
        self._purpose = attempt.purpose if attempt is not None else Purpose.MEMBER
        self._state = _State.HANDSHAKE
        self._agreed: Agreed | None = None
        self.session: RuntimeSession | None = None
        self.keys: RuntimeKeys | None = None
        self.failure: PeerkitError | None = None
        now_wall = context.clock.wall()
        self._handshake = context.security.handshake(
            HandshakeParameters(
                attempt is not None,
                hello.prologue(context.network_id, binding),
                self._hello(now_wall),
                self._expected,
                remote_static,
                now_wall,
            )
        )
        self._deadline = context.loop.call_later(context.handshake_timeout_s, self._timed_out)

    def __repr__(self) -> str:
        return f"<RuntimeOpening {self._remote} {self._state.name}>"

    def _hello(self, now_wall: float) -> bytes:
        cache, key = self._context.hello_cache, (self._purpose.name, int(now_wall))
        payload = cache.get(key)
        if payload is None:
            cache.clear()
            payload = cache[key] = hello.encode(self._terms, self._purpose, now_wall)
        return payload

    # -- the handshake -------------------------------------------------------------------------------------------

    @property
    def is_dialer(self) -> bool:
        return self._attempt is not None

    @property
    def is_over(self) -> bool:
        return self._state is _State.OVER

    @property
    def peer_id(self) -> PeerId | None:
        result = self._handshake.result
        return result.peer_id if result is not None else self._handshake.early_peer

    def messages_to_send(self) -> Sequence[bytes]:
        messages = self._handshake.messages_to_send()
        if messages and self._state is _State.HANDSHAKE:
            try:
                self._complete()
            except PeerkitError as exc:
                # The messages go out all the same: from them the other side learns that the terms do not meet.
                self.give_up(exc)
        return messages

    def receive_message(self, message: bytes) -> None:
        self._handshake.receive_message(message)
        try:
            if not self.is_dialer and self._handshake.early_peer is not None:
                self._ask_gate(self._handshake.early_peer)
            self._complete()
        except PeerkitError as exc:
            self.give_up(exc)
            raise

    def _complete(self) -> None:
        """Conclude, if the handshake is complete on this side."""
        result = self._handshake.result
        if result is None or self._state is not _State.HANDSHAKE:
            return
        context = self._context
        if result.peer_id == context.peer_id:
            raise RemoteProtocolError("this is our own identity")
        if self._expected is not None and result.peer_id != self._expected:
            raise RemoteProtocolError(f"{result.peer_id.short} answered, not {self._expected.short}")
        if self.is_dialer:
            self._ask_gate(result.peer_id)
        agreed = hello.agree(self._terms, self.is_dialer, self._purpose, result.payload, context.clock.wall())
        self._agreed = agreed
        self.keys = RuntimeKeys(
            self._protection(result.send_secret, agreed),
            self._protection(result.receive_secret, agreed),
            context.wrappers,
            context.key_life_s,
            result.export_secret,
        )
        self._state = _State.KEYED

    def _protection(self, secret: bytes, agreed: Agreed) -> PacketProtection:
        return self._context.security.protection(secret, agreed.aead) or AeadProtection(secret, agreed.aead)

    def _ask_gate(self, peer_id: PeerId) -> None:
        """Raises `TrustDenied`.  A peer that is refused gets silence."""
        action = Action.DIAL if self.is_dialer else Action.ACCEPT_PEER
        decision = self._context.gate.check(Question(action, peer_id, self._remote))
        if not decision.allow:
            raise TrustDenied(action.value, decision.policy, decision.reason)

    # -- the session ---------------------------------------------------------------------------------------------

    def confirm(self, carrier: Carrier) -> PayloadSource:
        """For a datagram carrier; `confirm_session` is for the kernel's own."""
        return PayloadSource(self._context, self.confirm_session(carrier))

    def confirm_session(self, carrier: Carrier, handshake_s: float = math.nan) -> RuntimeSession:
        context, agreed, result = self._context, self._agreed, self._handshake.result
        assert self._state is _State.KEYED and agreed is not None and result is not None, "there are no keys"
        try:
            if self._attempt is not None:
                self._attempt.take_dial(self)
            else:
                self._ask_gate(result.peer_id)  # again: trust may have changed since the peer showed its id
            name = f"session {result.peer_id.short}"
            memory = context.receive_memory.open(name, self._remote, context.terms.session_window, MAX_SESSION_WINDOW)
        except PeerkitError as exc:
            self.give_up(exc)
            raise
        self._state = _State.CONFIRMED
        mux = Mux(
            self.is_dialer,
            context.terms.window,
            context.terms.session_window,
            context.terms.max_streams,
            agreed.peer_window,
            agreed.peer_session_window,
            agreed.peer_max_streams,
            memory,
        )
        session = self.session = RuntimeSession(context, carrier, mux, result, agreed, self.is_dialer)
        if self._attempt is None:
            self._deadline.cancel()
            context.owner.handshake_ended()
            refusal = context.owner.session_accepted(session)
            if refusal:
                session.end(Code.LIMIT, refusal)
            else:
                session.begin(handshake_s)
        else:
            session.begin(handshake_s)
            if self._purpose is Purpose.MEMBER:
                session.on_settled = self._settled  # the acceptor may have no place for us: wait for its first word
            else:
                self._settled()
        return session

    def _settled(self) -> None:
        """Of a dialer: the acceptor answered on the session, or the session is over."""
        assert self._attempt is not None and self.session is not None
        self._deadline.cancel()
        session = self.session
        if session.is_open or session.close_code == Code.DUPLICATE:
            self._attempt.won(session)
        elif session.close_code == Code.LIMIT:  # a considered answer: it lives, and its address works
            self._attempt.lost(LimitExceeded(f"{session.peer_id.short} has no place: {session.close_reason}"))
        else:
            self._attempt.lost(ConnectFailed(str(self._remote), session.close_reason))

    # -- the end -------------------------------------------------------------------------------------------------

    def abandon(self, reason: str) -> None:
        self.give_up(ConnectFailed(str(self._remote), reason))

    def give_up(self, error: PeerkitError) -> None:
        """As `abandon`, with the error that the dialer gets.  Nothing happens once the session is there."""
        if self._state in (_State.OVER, _State.CONFIRMED):
            return
        self._state = _State.OVER
        self._deadline.cancel()
        self.failure = error
        self._context.counters.failed_handshakes += 1
        self._context.log.debug("handshake failed", remote=str(self._remote), reason=str(error))
        if self._attempt is None:
            self._context.owner.handshake_ended()
        else:
            self._attempt.opening_failed(self, error)

    def end(self, error: PeerkitError) -> None:
        """The kernel gives the opening up, and tells the carrier."""
        if self._state in (_State.OVER, _State.CONFIRMED):
            return
        self.give_up(error)
        self._ended()

    def _timed_out(self) -> None:
        reason = f"the handshake took longer than {self._context.handshake_timeout_s:g} s"
        if self.session is not None:
            self.session.end(Code.TIMEOUT, reason)  # and so `_settled`
        else:
            self.end(ConnectFailed(str(self._remote), reason))


class SessionDoor:
    """Takes strangers in.  See `peerkit.datagram.SessionAcceptor`.

    Attributes:
        is_open: whether anybody is taken; a node that does not listen, or stops, takes nobody.
    """

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self.is_open = False

    @property
    def is_busy(self) -> bool:
        return self._context.owner.has_many_handshakes

    def accept(self, remote: Address, binding: bytes, ended: Callable[[], None]) -> RuntimeOpening | None:
        if not self.is_open:
            return None
        decision = self._context.gate.check(Question(Action.ACCEPT_ADDRESS, None, remote))
        if not decision.allow or self._context.owner.handshake_began(remote):
            return None
        try:
            return RuntimeOpening(self._context, remote, binding, ended)
        except PluginError:  # told; the place among the handshakes would be lost for ever
            self._context.owner.handshake_ended()
            return None


if TYPE_CHECKING:
    from ..datagram import SessionAcceptor

    _fits: type[SessionOpening] = RuntimeOpening
    _accepts: type[SessionAcceptor] = SessionDoor

    def _keys_fit(keys: RuntimeKeys) -> SessionKeys:
        return keys
