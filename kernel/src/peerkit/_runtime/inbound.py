"""What the peer sent, told by the mux, goes to whom it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._session.events import Event, What
from .._session.mux import Mux
from .._session.stream_state import StreamState
from ..errors import EndpointClosed
from .dispatch import Dispatch
from .membership import Membership
from .received_record import received_record
from .requests import Requests, Waiting
from .round_trip import RoundTrip
from .session_context import SessionContext
from .stream import RuntimeStream

if TYPE_CHECKING:
    from .session import RuntimeSession

_READABLE, _OPENED = What.READABLE, What.OPENED  # before Python 3.12 each search for a member costs 70 ns


class Inbound:
    """The receiving half of one session.

    Attributes:
        nbytes: bytes of frames so far.
        requests: ours, which wait for answers.
        dispatch: brings what the peer opens to the protocols' handlers.
    """

    def __init__(self, session: RuntimeSession, mux: Mux, context: SessionContext, protocols: tuple[str, ...]) -> None:
        self._session = session
        self._context = context
        self._credit = mux.credit
        self.nbytes = 0
        self.requests = Requests(session, mux, context)
        self.dispatch = Dispatch(session, mux, context, protocols)
        self.round_trip = RoundTrip()
        self.membership = Membership(session, context)

    def take(self, events: list[Event], nbytes: int, now: float) -> None:
        """What `nbytes` of frames were."""
        session = self._session
        session.last_received_at = self._credit.now = now
        self.nbytes += nbytes
        for what, subject in events:
            if what is _READABLE:
                assert isinstance(subject, StreamState)
                answer = subject.answer
                if isinstance(answer, Waiting):
                    self.requests.answered(subject, answer)
                else:
                    self._on_readable(subject)
            elif what is _OPENED:
                assert isinstance(subject, StreamState)
                session.last_used_at = now
                self.dispatch.opened(subject)
            else:
                self._on_event(what, subject, now)
            if not session.is_open:
                return
        if session.on_settled is not None:
            session.settle()

    def measured(self, round_trip_s: float) -> None:
        """The handshake told how long the way is."""
        self.round_trip.measured(round_trip_s)
        self._credit.measured(round_trip_s)

    def end(self, error: EndpointClosed) -> None:
        """The session is over."""
        self.requests.end(error)
        self.membership.end(error)
        self.dispatch.end()

    def _on_readable(self, state: StreamState) -> None:
        answer = state.answer
        if isinstance(answer, RuntimeStream):
            answer.wake_reader()
            if state.reset_code is not None:
                answer.wake_writer()
        else:
            self.dispatch.readable(state)

    def _on_event(self, what: What, subject: object, now: float) -> None:
        match what:
            case What.STOPPED:
                assert isinstance(subject, StreamState)
                if isinstance(subject.answer, RuntimeStream):
                    subject.answer.wake_writer()
            case What.DATAGRAM:
                assert isinstance(subject, tuple)
                self.dispatch.datagram(*subject)
            case What.PONG:
                assert isinstance(subject, bytes)
                if self.round_trip.answered(subject, now):
                    self._credit.measured(self.round_trip.rtt_s)
            case What.RECORD:
                assert isinstance(subject, bytes)
                record = received_record(self._context, self._session.peer_id, subject)
                if record is not None:
                    self._session.record = record
                    self._context.owner.record_received(self._session, record)
            case What.JOIN:
                self.membership.asked()
            case What.JOINED:
                assert isinstance(subject, tuple)
                self.membership.answered(*subject)
            case What.STREAMS:
                self._session.more_streams()
            case What.CLOSED:
                assert isinstance(subject, tuple)
                self._session.closed_by_peer(*subject)
            case What.OPENED | What.READABLE:
                raise AssertionError("handled before")
