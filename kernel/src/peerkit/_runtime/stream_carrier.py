"""Runs a session on an ordered pipe: handshake, records, back-pressure.  The asyncio side of `_session.record_layer`.

    HANDSHAKE ──both messages──▶ (acceptor: CONFIRMING ──first sealed record──▶) OPEN ──close, error, loss──▶ CLOSED

For the acceptor a session exists when the dialer's first sealed record opens: until then there is no event and no slot
but the one for handshakes.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from .._session import hello
from .._session.mux import Mux
from .._session.record_layer import (
    HEADER,
    UNKNOWN_VERSION_ANSWER,
    HandshakeReader,
    Opener,
    Sealer,
    frame_message,
)
from .._session.send_queue import SendQueue
from ..address import Address
from ..errors import ConnectFailed, PeerkitError, RemoteProtocolError, TrustDenied
from ..identity import PeerId
from ..protection import AeadProtection
from ..security import Aead, HandshakeParameters, HandshakeResult, PacketProtection
from ..session import Code, Purpose
from ..transport import Path, Pipe
from ..trust import Action, Question
from .session import RuntimeSession
from .session_context import SessionContext
from .throttle import Throttle

_LINGER_S = 2.0  # a peer that reads nothing cannot hold a closed session open longer
_SMALL = 16_384  # below this, header and body are joined to spare a system call's vector


class _State(Enum):
    HANDSHAKE = auto()
    CONFIRMING = auto()  # acceptor: complete, but the dialer has not proved that it has the keys
    OPEN = auto()
    CLOSED = auto()


class StreamCarrier:
    """`PipeHandler` towards the transport, `Carrier` towards the session.

    Args:
        expected_peer, remote_static: of the dialer; see `HandshakeParameters`.
        ready: of the dialer: gets the session, or the error.
    """

    def __init__(
        self,
        context: SessionContext,
        pipe: Pipe,
        purpose: Purpose,
        ready: asyncio.Future[RuntimeSession] | None = None,
        expected_peer: PeerId | None = None,
        remote_static: bytes | None = None,
    ) -> None:
        self._context = context
        self._pipe = pipe
        self._purpose = purpose
        self._ready = ready
        self._is_dialer = ready is not None
        self._expected = expected_peer
        self._state = _State.HANDSHAKE
        self._paused = False
        self._receiving = False
        self._close_when_flushed = False
        self._left: bytes | bytearray = b""
        self._reader: HandshakeReader | None = HandshakeReader(self._is_dialer)
        self._sent_messages = 0
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._session: RuntimeSession | None = None
        self._outgoing: SendQueue
        self._throttle = Throttle(context, pipe, self._flush)
        now_wall = context.clock.wall()
        key = (purpose.name, int(now_wall))
        payload = context.hello_cache.get(key)
        if payload is None:
            context.hello_cache.clear()
            payload = context.hello_cache[key] = hello.encode(context.terms, purpose, now_wall)
        self._handshake = context.security.handshake(
            HandshakeParameters(
                self._is_dialer,
                hello.prologue(context.network_id, pipe.binding),
                payload,
                expected_peer,
                remote_static,
                now_wall,
            )
        )
        self._deadline = context.loop.call_later(context.handshake_timeout_s, self._handshake_timed_out)
        if not self._is_dialer:
            self._handshaking = True
        else:
            self._handshaking = False
            self._send_handshake()

    def __repr__(self) -> str:
        return f"<StreamCarrier {self._pipe.remote} {self._state.name}>"

    # -- the pipe's side -----------------------------------------------------------------------------------------

    def get_buffer(self, size_hint: int) -> memoryview:
        scratch = self._context.scratch
        if self._left:
            n = len(self._left)
            if n + 4096 > len(scratch):
                self._context.grow_scratch()
                scratch = self._context.scratch
            scratch[:n] = self._left
            return scratch[n:]
        return scratch

    def buffer_updated(self, nbytes: int) -> None:
        scratch = self._context.scratch
        total = len(self._left) + nbytes
        self._left = b""
        view = scratch[:total]
        self._receiving = True
        try:
            if self._opener is None:
                view = self._receive_handshake(view)
            if self._opener is not None:
                self._receive_records(view)
        except PeerkitError as exc:
            self._fail(exc)
        finally:
            self._receiving = False
        if total == len(scratch):
            self._context.grow_scratch()
        if self._state is _State.OPEN and self._session is not None:
            self._flush()
        if self._throttle.is_on:
            self._throttle.received(nbytes)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._sealer is not None:
            self._flush()

    def connection_lost(self, reason: str) -> None:
        self._fail(ConnectFailed(str(self._pipe.remote), reason or "the peer closed the connection"), lost=True)

    # -- handshake -----------------------------------------------------------------------------------------------

    def _send_handshake(self) -> None:
        for message in self._handshake.messages_to_send():
            self._pipe.write([frame_message(message, self._is_dialer and self._sent_messages == 0)])
            self._sent_messages += 1

    def _receive_handshake(self, view: memoryview) -> memoryview:
        """Returns the bytes that follow the handshake, empty while it goes on."""
        reader = self._reader
        assert reader is not None
        try:
            reader.receive(view)
        except RemoteProtocolError:
            if reader.unknown_version:
                self._pipe.write([UNKNOWN_VERSION_ANSWER])
                self._pipe.close()
            raise
        while self._handshake.result is None and (message := reader.next_message()) is not None:
            self._handshake.receive_message(message)
            if not self._is_dialer and self._handshake.early_peer is not None:
                self._ask_gate(self._handshake.early_peer)
            self._send_handshake()
        if self._handshake.result is None:
            return memoryview(b"")
        self._complete(self._handshake.result)
        self._reader = None
        return memoryview(reader.rest())

    def _ask_gate(self, peer_id: PeerId) -> None:
        """Raises `TrustDenied`.  A peer that is refused gets silence."""
        action = Action.DIAL if self._is_dialer else Action.ACCEPT_PEER
        decision = self._context.gate.check(Question(action, peer_id, self._pipe.remote))
        if not decision.allow:
            raise TrustDenied(action.value, decision.policy, decision.reason)

    def _complete(self, result: HandshakeResult) -> None:
        context = self._context
        if result.peer_id == context.peer_id:
            raise RemoteProtocolError("this is our own identity")
        if self._expected is not None and result.peer_id != self._expected:
            raise RemoteProtocolError(f"{result.peer_id.short} answered, not {self._expected.short}")
        self._ask_gate(result.peer_id)
        agreed = hello.agree(context.terms, self._is_dialer, self._purpose, result.payload, context.clock.wall())
        self._sealer = Sealer(self._protect(result.send_secret, agreed.aead), context.wrappers)
        self._opener = Opener(self._protect(result.receive_secret, agreed.aead), context.wrappers)
        mux = Mux(
            self._is_dialer,
            context.terms.window,
            context.terms.session_window,
            context.terms.max_streams,
            agreed.peer_window,
            agreed.peer_session_window,
            agreed.peer_max_streams,
            context.receive_memory.child(f"session {result.peer_id.short}", context.terms.session_window),
        )
        self._outgoing = mux.outgoing
        self._session = RuntimeSession(context, self, mux, result, agreed, self._is_dialer)
        if self._is_dialer:
            self._open()
        else:
            self._state = _State.CONFIRMING

    def _protect(self, secret: bytes, aead: Aead) -> PacketProtection:
        return self._context.security.protection(secret, aead) or AeadProtection(secret, aead)

    def _open(self) -> None:
        """Both sides have proved themselves."""
        assert self._session is not None
        self._state = _State.OPEN
        if self._is_dialer:
            self._session.begin()
            if self._purpose is Purpose.TRANSIENT:
                self._confirmed()
        else:
            self._deadline.cancel()
            self._schedule_key_update()
            self._end_handshaking()
            refusal = self._context.owner.session_accepted(self._session)
            if refusal:
                self._session.end(Code.LIMIT, refusal)
            else:
                self._session.begin()
        self._flush()

    def _confirmed(self) -> None:
        """Dialer: give the session to whoever dialled.  A member session first waits for the acceptor's answer, which
        may be that it has no place for us."""
        if self._ready is None or self._ready.done():
            return
        assert self._session is not None
        self._deadline.cancel()
        if self._session.is_open or self._session.close_code == Code.DUPLICATE:
            self._schedule_key_update()
            self._ready.set_result(self._session)
        else:
            self._ready.set_exception(ConnectFailed(str(self.remote), self._session.close_reason))

    def _schedule_key_update(self) -> None:
        self._deadline = self._context.loop.call_later(self._context.key_life_s, self._update_key)

    def _update_key(self) -> None:
        if self._state is _State.OPEN and self._sealer is not None:
            self._sealer.update_key()
            self._schedule_key_update()

    def _handshake_timed_out(self) -> None:
        timeout_s = self._context.handshake_timeout_s
        self._fail(ConnectFailed(str(self._pipe.remote), f"the handshake took longer than {timeout_s:g} s"))

    def _end_handshaking(self) -> None:
        if self._handshaking:
            self._handshaking = False
            self._context.owner.handshake_ended()

    # -- records -------------------------------------------------------------------------------------------------

    def _receive_records(self, view: memoryview) -> None:
        opener = self._opener
        assert opener is not None and self._session is not None
        now = self._context.clock.now()
        at, end = 0, view.nbytes
        session = self._session
        while end - at >= 4:
            (header,) = HEADER.unpack_from(view, at)
            stop = at + 4 + opener.record_bytes(header)
            if stop > end:
                break
            plaintext = opener.open(view[at : at + 4], view[at + 4 : stop])
            at = stop
            if self._state is _State.CONFIRMING:
                self._open()
            session.receive_frames(memoryview(plaintext), now)
            if self._ready is not None:
                self._confirmed()
                self._ready = None
            if self._state is _State.CLOSED:
                return
        if at < end:
            self._left = bytes(view[at:])

    # -- the session's side --------------------------------------------------------------------------------------

    @property
    def remote(self) -> Address:
        return self._pipe.remote

    @property
    def local(self) -> Address:
        return self._pipe.local

    @property
    def key_updates(self) -> int:
        return self._sealer.key_updates if self._sealer is not None else 0

    def wake(self) -> None:
        if not self._receiving and self._state is _State.OPEN:
            self._flush()

    def _flush(self) -> None:
        if self._sealer is None or self._session is None:
            return
        sealer, session, outgoing = self._sealer, self._session, self._outgoing
        while outgoing.wants_to_send and not (self._paused or self._throttle.holds_sending):
            frames = session.frames_to_send(sealer.max_plaintext)
            if not frames:
                break  # everything waits for the peer's credit
            header, sealed = sealer.seal(frames[0] if len(frames) == 1 else b"".join(frames))
            if len(sealed) < _SMALL:
                self._pipe.write([header + sealed])
            else:
                self._pipe.write([header, sealed])
            if self._throttle.is_on:
                self._throttle.sent(len(sealed))
        if self._close_when_flushed and not outgoing.wants_to_send:
            self._shut()

    @property
    def paths(self) -> tuple[Path]:
        return (Path(self._pipe.local, self._pipe.remote),)

    def close(self, flush: bool) -> None:
        if self._state is _State.CLOSED:
            return
        if flush and self._session is not None and self._session.wants_to_send:
            self._close_when_flushed = True
            self._deadline.cancel()
            self._deadline = self._context.loop.call_later(_LINGER_S, self._shut, True)
            if not self._receiving:
                self._flush()
            return
        self._shut()

    def _shut(self, at_once: bool = False) -> None:
        """Close the pipe, unless told otherwise after what was written; the session has been told already."""
        self._state = _State.CLOSED
        self._cancel_timers()
        if at_once:
            self._pipe.abort()
        else:
            self._pipe.close()
        self._end_handshaking()

    def _cancel_timers(self) -> None:
        self._deadline.cancel()
        self._throttle.cancel()

    def _fail(self, error: PeerkitError, lost: bool = False) -> None:
        """The connection cannot go on: tell whoever waits, say why to the peer if it is proven, close."""
        if self._state is _State.CLOSED:
            return
        was, self._state = self._state, _State.CLOSED
        self._cancel_timers()
        if was in (_State.HANDSHAKE, _State.CONFIRMING):
            self._context.counters.failed_handshakes += 1
            self._context.log.debug("handshake failed", remote=str(self._pipe.remote), reason=str(error))
        elif isinstance(error, RemoteProtocolError):
            self._context.counters.broken_rules += 1
        self._end_handshaking()
        if self._ready is not None and not self._ready.done():
            failure = (
                error if isinstance(error, TrustDenied | ConnectFailed) else ConnectFailed(str(self.remote), str(error))
            )
            self._ready.set_exception(failure)
        if self._session is not None and was is _State.OPEN:
            if not lost and self._sealer is not None:
                self._pipe.write(self._sealer.seal(self._session.farewell(error)))
            self._session.carrier_lost(str(error), by_peer=lost)
        if lost:
            return
        if was is _State.OPEN:
            self._pipe.close()
        else:
            self._pipe.abort()


def accept_pipe(context: SessionContext, pipe: Pipe) -> StreamCarrier | None:
    """The kernel's answer to a pipe that came in; `None` refuses it without a byte."""
    decision = context.gate.check(Question(Action.ACCEPT_ADDRESS, None, pipe.remote))
    if not decision.allow or context.owner.handshake_began(pipe.remote):
        return None
    return StreamCarrier(context, pipe, Purpose.MEMBER)
