"""Runs a session on an ordered pipe: handshake, records, back-pressure.  The asyncio side of `_session.record_layer`.

HANDSHAKE ──keys──▶ (acceptor: first sealed record) ──▶ OPEN ──close, error, loss──▶ CLOSED
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING

from .._session.record_layer import (
    MAX_PLAINTEXT,
    UNKNOWN_VERSION_ANSWER,
    HandshakeReader,
    Opener,
    Sealer,
    frame_message,
)
from .._session.send_queue import SendQueue
from ..address import Address
from ..errors import ConnectFailed, PeerkitError, RemoteProtocolError
from ..session import Purpose
from ..transport import Carrier, DatagramEndpoint, Path, Pipe, PipeHandler
from .dial_attempt import RuntimeAttempt
from .session import RuntimeSession
from .session_context import SessionContext
from .session_opening import RuntimeOpening, SessionDoor
from .throttle import Throttle

_GREETING_WAIT_S = 0.001  # of a dialer's record, for the request that a transient session is dialled for
_LINGER_S = 2.0  # a peer that reads nothing cannot hold a closed session open longer


class _State(Enum):
    HANDSHAKE = auto()
    OPEN = auto()
    CLOSED = auto()


_OPEN, _CLOSED = _State.OPEN, _State.CLOSED  # before Python 3.12 each search for a member costs 70 ns


class StreamCarrier:
    """`PipeHandler` towards the transport, `Carrier` towards the session.  `begin` completes it."""

    def __init__(self, context: SessionContext, pipe: Pipe) -> None:
        self._context = context
        self._pipe = pipe
        self._state = _State.HANDSHAKE
        self._paused = False
        self._receiving = False
        self._close_when_flushed = False
        self._left = b""  # of a record that has not come whole
        self._sent_messages = 0
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._session: RuntimeSession | None = None
        self._outgoing: SendQueue | None = None  # the session's
        self._opening: RuntimeOpening | None = None  # until the session is there
        self._reader: HandshakeReader | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the key's life, then of lingering
        self._greeting: asyncio.TimerHandle | None = None  # while our record waits for a request to go with
        self._said_at = 0.0  # when we sent our last handshake message
        self._handshake_s = 0.0  # from there to the answer
        self._throttle = Throttle(context, pipe, self._flush)

    def begin(self, opening: RuntimeOpening) -> None:
        """A dialer sends its first message at once."""
        self._opening = opening
        self._reader = HandshakeReader(opening.is_dialer)
        if opening.is_dialer:
            self._send_handshake()

    def opening_ended(self) -> None:
        """The kernel gave the opening up."""
        if self._state is _State.HANDSHAKE:
            self._state = _CLOSED
            self._pipe.abort()

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
        if self._state is _CLOSED:
            return
        if self._session is None:
            self._handshake_s = self._context.clock.now() - self._said_at
        scratch = self._context.scratch
        total = len(self._left) + nbytes
        self._left = b""
        view = scratch[:total]
        self._receiving = True
        try:
            if self._opener is None:
                view = self._receive_handshake(view)
            if self._opener is not None:
                self._receive_records(self._opener, view)
        except PeerkitError as exc:
            self._fail(exc)
        finally:
            self._receiving = False
        if total == len(scratch):
            self._context.grow_scratch()
        if self._state is _OPEN and self._greeting is None:
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
        reason = reason or "the peer closed the connection"
        if self._session is None:
            reason += " during the handshake (it has another network or security plugin, or refuses us)"
        self._fail(ConnectFailed(str(self._pipe.remote), reason), lost=True)

    # -- handshake -----------------------------------------------------------------------------------------------

    def _send_handshake(self) -> None:
        opening = self._opening
        assert opening is not None
        for message in opening.messages_to_send():
            self._pipe.write([frame_message(message, opening.is_dialer and self._sent_messages == 0)])
            self._sent_messages += 1
            self._said_at = self._context.clock.now()
        if opening.failure is not None:
            raise opening.failure

    def _receive_handshake(self, view: memoryview) -> memoryview:
        """Returns the bytes that follow the handshake, empty while it goes on."""
        opening, reader = self._opening, self._reader
        assert opening is not None and reader is not None, "the pipe has a handler, so `begin` was called"
        try:
            reader.receive(view)
        except RemoteProtocolError:
            if reader.unknown_version:
                self._pipe.write([UNKNOWN_VERSION_ANSWER])
                self._pipe.close()
            raise
        while opening.keys is None and (message := reader.next_message()) is not None:
            opening.receive_message(message)
            self._send_handshake()
        keys = opening.keys
        if keys is None:
            return memoryview(b"")
        self._sealer = Sealer(keys.send, keys.wrappers)
        self._opener = Opener(keys.receive, keys.wrappers)
        self._reader = None
        if opening.is_dialer:
            self._open()
        return memoryview(reader.rest())

    def _open(self) -> RuntimeSession:
        """Both sides have proved themselves.  What we have to say goes out when all that came was read, or of a dialer
        with its first request."""
        assert self._opening is not None
        session = self._session = self._opening.confirm_session(self, self._handshake_s)
        self._opening = None
        self._outgoing = session.mux.outgoing
        self._state = _OPEN
        if self._close_when_flushed:  # refused at once
            self._flush()
            return session
        self._schedule_key_update()
        if session.is_dialer and session.purpose is Purpose.TRANSIENT:
            self._greeting = self._context.loop.call_later(_GREETING_WAIT_S, self._flush)
        return session

    def _schedule_key_update(self) -> None:
        self._timer = self._context.loop.call_later(self._context.key_life_s, self._update_key)

    def _update_key(self) -> None:
        if self._state is _OPEN and self._sealer is not None:
            self._sealer.update_key()
            self._schedule_key_update()

    # -- records -------------------------------------------------------------------------------------------------

    def _receive_records(self, opener: Opener, view: memoryview) -> None:
        now = self._context.clock.now()
        for plaintext in opener.records(view):
            session = self._session or self._open()
            session.inbound.take(session.mux.receive_frames(plaintext), len(plaintext), now)
            if self._state is _CLOSED:
                return
        self._left = opener.rest

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

    @property
    def paths(self) -> tuple[Path]:
        return (Path(self._pipe.local, self._pipe.remote),)

    @property
    def max_payload_bytes(self) -> int:
        return self._sealer.max_plaintext if self._sealer is not None else MAX_PLAINTEXT

    def offer_path(self, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        return False

    def wake(self) -> None:
        if not self._receiving and self._state is _OPEN:
            self._flush()

    def _flush(self) -> None:
        outgoing = self._outgoing
        if outgoing is None:
            return
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None
        if outgoing.wants_to_send:
            self._send_records(outgoing)
        if self._close_when_flushed and not outgoing.wants_to_send:
            self._shut()

    def _send_records(self, outgoing: SendQueue) -> None:
        """What waits, as far as the pipe, limits and the peer's credit allow."""
        sealer, session, throttle = self._sealer, self._session, self._throttle
        assert sealer is not None and session is not None
        while not (self._paused or throttle.holds_sending):
            lone = outgoing.take_lone(sealer.max_plaintext)
            payload = lone or b"".join(session.mux.frames_to_send(sealer.max_plaintext))
            if not payload:
                break  # everything waits for the peer's credit
            record = sealer.seal(payload)
            self._pipe.write(record)
            if throttle.is_on:
                throttle.sent(len(record[1]))
            if lone or not outgoing.wants_to_send:
                break
        if session.writers or session.drainers:
            session.pulled()

    def close(self, flush: bool) -> None:
        if self._state is _CLOSED:
            return
        if flush and (self._session is None or self._session.wants_to_send):  # without one: `_open` is on its way
            self._close_when_flushed = True
            if not self._receiving:
                self._flush()
            if self._state is not _CLOSED:  # something is left
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._context.loop.call_later(_LINGER_S, self._shut, True)
            return
        self._shut()

    def _shut(self, at_once: bool = False) -> None:
        """Close the pipe, unless told otherwise after what was written; the session has been told already."""
        self._let_go()
        if at_once:
            self._pipe.abort()
        else:
            self._pipe.close()

    def _let_go(self) -> None:
        """Keys and session are freed now, and not when the garbage collector comes: there may be many a second."""
        self._state = _CLOSED
        if self._timer is not None:
            self._timer.cancel()
        if self._greeting is not None:
            self._greeting.cancel()
        self._throttle.cancel()
        self._sealer = self._opener = self._session = self._outgoing = None

    def _fail(self, error: PeerkitError, lost: bool = False) -> None:
        """The connection cannot go on: say why to the peer if it is proven, close, tell whoever waits."""
        if self._state is _CLOSED:
            return
        session, sealer = self._session, self._sealer
        self._let_go()
        if session is None:
            if self._opening is not None:
                self._opening.give_up(error)
            if not lost:
                self._pipe.abort()
            return
        if isinstance(error, RemoteProtocolError):
            self._context.counters.broken_rules += 1
        if not lost:
            if sealer is not None:
                self._pipe.write(sealer.seal(session.farewell(error)))
            self._pipe.close()
        session.carrier_lost(str(error), by_peer=lost)


def dial_pipe(context: SessionContext, attempt: RuntimeAttempt, with_key: bool, pipe: Pipe) -> StreamCarrier:
    """Begin a handshake on a pipe that we opened."""
    carrier = StreamCarrier(context, pipe)
    carrier.begin(attempt.open(pipe.binding, carrier.opening_ended, with_key))
    return carrier


def accept_pipe(context: SessionContext, door: SessionDoor, pipe: Pipe) -> StreamCarrier | None:
    """The kernel's answer to a pipe that came in; `None` refuses it without a byte."""
    carrier = StreamCarrier(context, pipe)
    opening = door.accept(pipe.remote, pipe.binding, carrier.opening_ended)
    if opening is None:
        return None
    carrier.begin(opening)
    return carrier


if TYPE_CHECKING:
    _fits: type[Carrier] = StreamCarrier
    _handles: type[PipeHandler] = StreamCarrier
