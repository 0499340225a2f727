"""One session at run time: the application's calls, what the carrier asks for, and the mux between them.

The promises are `peerkit.session.Session`'s.  Below is a `Carrier`; what the peer sends goes through `inbound.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .._pool.slots import SlotClass
from .._session import frames
from .._session.frames import Kind
from .._session.hello import Agreed
from .._session.mux import Mux
from .._session.stream_state import StreamState
from ..address import Address
from ..errors import (
    EndpointClosed,
    LimitExceeded,
    LocalProtocolError,
    PeerkitError,
    RemoteProtocolError,
)
from ..identity import PeerId, hkdf
from ..protocol import Agreement
from ..record import PeerRecord
from ..security import HandshakeResult
from ..session import Code, Purpose, Session, SessionStats
from ..transport import Buffer, Carrier, Path, PathKind
from .inbound import Inbound
from .session_context import SessionContext
from .stream import RuntimeStream

MAX_DATAGRAM_BYTES = 65_000


class RuntimeSession:
    """Attributes:
    slot: what it holds since it was admitted.
    crowd: the neighbourhood for which an inbound session counts among the slots, also when it moves.
    last_received_at: `Clock.now` of the last frame, for liveness.
    last_used_at: when a stream was last opened or closed, for idleness of transient sessions.
    on_settled: called once, after the peer's first frames were taken or when the session is over.
    """

    def __init__(
        self,
        context: SessionContext,
        carrier: Carrier,
        mux: Mux,
        result: HandshakeResult,
        agreed: Agreed,
        is_dialer: bool,
    ) -> None:
        self._context = context
        self.carrier = carrier
        self.mux = mux
        self._export_secret = result.export_secret
        self._transcript_hash = result.transcript_hash
        self._agreed = agreed
        self._index = {id: i for i, id in enumerate(agreed.protocols) if id in context.specs}
        self.inbound = Inbound(self, mux, context, agreed.protocols)
        self.membership = self.inbound.membership
        self.round_trip = self.inbound.round_trip
        self._requests = self.inbound.requests
        self.writers: list[RuntimeStream] = []
        self._stream_waiters: list[asyncio.Future[None]] = []
        self.drainers: list[asyncio.Future[None]] = []
        self._closed: asyncio.Future[str] = context.loop.create_future()
        self.is_open = True
        self.loop = context.loop
        self.peer_id: PeerId = result.peer_id
        self.is_dialer = is_dialer
        self.crowd = "" if is_dialer or carrier.remote.is_local else carrier.remote.prefix
        self.purpose = agreed.purpose
        self.slot = SlotClass.of(self.purpose, is_dialer)
        self.record: PeerRecord | None = None
        self.borrowers = 0
        self.close_code = 0
        self.on_settled: Callable[[], None] | None = None
        self.last_received_at = self.last_used_at = context.clock.now()
        mux.protocols = len(agreed.protocols)

    def __repr__(self) -> str:
        return f"<Session {self.peer_id.short} {self.purpose.name.lower()} {self.remote.without_peer()}>"

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def remote(self) -> Address:
        return self.carrier.remote

    @property
    def local(self) -> Address:
        return self.carrier.local

    @property
    def transport(self) -> str:
        return self.carrier.remote.scheme

    @property
    def paths(self) -> Sequence[Path]:
        return self.carrier.paths

    @property
    def is_relayed(self) -> bool:
        return self.paths[0].kind is PathKind.RELAYED

    @property
    def protocols(self) -> Mapping[str, str]:
        agreed = self._agreed.agreement.protocols
        return agreed if len(self._index) == len(agreed) else {id: agreed[id] for id in self._index}

    @property
    def agreement(self) -> Agreement:
        return self._agreed.agreement

    @property
    def clock_ahead_s(self) -> float:
        return self._agreed.clock_ahead_s

    @property
    def transcript_hash(self) -> bytes:
        return self._transcript_hash

    @property
    def close_reason(self) -> str:
        return self._closed.result() if self._closed.done() else ""

    @property
    def rtt_s(self) -> float:
        return self.round_trip.rtt_s

    @property
    def max_datagram_bytes(self) -> int:
        return min(MAX_DATAGRAM_BYTES, self.carrier.max_payload_bytes - frames.DATAGRAM_HEADER.size)

    @property
    def stats(self) -> SessionStats:
        return SessionStats(
            self.mux.outgoing.bytes_out,
            self.inbound.nbytes,
            self.mux.streams_opened,
            len(self.mux.streams),
            self.mux.outgoing.datagrams_dropped,
            self.mux.unknown_frames,
            self.carrier.key_updates,
            self.rtt_s,
        )

    def export(self, label: bytes, length: int = 32) -> bytes:
        return hkdf(self._export_secret, b"peerkit v1 export " + label, length)

    # -- the application's calls ---------------------------------------------------------------------------------

    async def request(self, protocol: str, payload: Buffer, timeout_s: float = 30.0) -> bytes:
        index = self._protocol_index(protocol)
        if not self.mux.may_open:
            await self._wait_for_stream(timeout_s)
        state = self.mux.open(Kind.REQUEST, index)
        self.last_used_at = self._context.clock.now()
        answer = self._requests.add(state, protocol, self.last_used_at, timeout_s)
        self.mux.write(state, payload if isinstance(payload, bytes) else memoryview(payload).cast("B"), fin=True)
        self.carrier.wake()
        try:
            return await answer
        finally:
            self._requests.discard(state)
            if not state.at_end:  # also an answer that came whole as we were cancelled: nobody reads it any more
                self.reset_stream(state, Code.CANCELLED)

    async def send(self, protocol: str, payload: Buffer) -> None:
        index = self._protocol_index(protocol)
        if not self.mux.may_open:
            await self._wait_for_stream(30.0)
        state = self.mux.open(Kind.MESSAGE, index)
        state.final_offset = 0  # nothing comes back
        self.mux.write(state, bytes(payload), fin=True)
        self.carrier.wake()

    async def open_stream(self, protocol: str) -> RuntimeStream:
        index = self._protocol_index(protocol)
        if not self.mux.may_open:
            await self._wait_for_stream(30.0)
        stream = RuntimeStream(self, self.mux.open(Kind.STREAM, index), protocol)
        self.last_used_at = self._context.clock.now()
        self.mux.announce(stream._state)
        return stream

    def send_datagram(self, protocol: str, payload: Buffer) -> bool:
        index = self._protocol_index(protocol)
        if len(payload) > self.max_datagram_bytes:
            raise LimitExceeded(f"a datagram of {len(payload)} bytes is longer than {self.max_datagram_bytes}")
        fitted = self.mux.send_datagram(index, bytes(payload))
        self.carrier.wake()
        return fitted

    async def close(self, code: int = Code.NONE, reason: str = "") -> None:
        self.end(code, reason)

    async def drain(self) -> None:
        while self.is_open and self.wants_to_send:
            waiter = self.loop.create_future()
            self.drainers.append(waiter)
            await waiter

    async def wait_closed(self) -> str:
        return await asyncio.shield(self._closed)

    def _protocol_index(self, protocol: str) -> int:
        if not self.is_open:
            raise EndpointClosed(f"the session with {self.peer_id.short}", self.close_reason)
        index = self._index.get(protocol)
        if index is None:
            raise LocalProtocolError(f"{protocol} was not agreed with {self.peer_id.short}")
        return index

    async def _wait_for_stream(self, timeout_s: float) -> None:
        """Wait until the peer allows another stream.  Raises `LimitExceeded` at the deadline."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self.mux.may_open and self.is_open:
                    waiter = self.loop.create_future()
                    self._stream_waiters.append(waiter)
                    await waiter
        except TimeoutError:
            raise LimitExceeded(f"{self.peer_id.short} allows no further stream now") from None
        if not self.is_open:
            raise EndpointClosed(f"the session with {self.peer_id.short}", self._closed.result())

    # -- protocols that come and go while it lives -----------------------------------------------------------------

    def withdraw(self, protocol: str) -> None:
        """Nobody here speaks `protocol` any more.  The peer is refused what it asks of it."""
        index = self._index.pop(protocol, None)
        if index is not None:
            self.inbound.dispatch.withdraw(index)

    def restore(self, protocol: str) -> bool:
        """It is spoken again.  `False`: it was not agreed when the session began, and cannot be any more."""
        if protocol not in self._agreed.protocols or not self.is_open:
            return False
        index = self._index[protocol] = self._agreed.protocols.index(protocol)
        self.inbound.dispatch.restore(index)
        return True

    # -- for streams and dispatch --------------------------------------------------------------------------------

    def mux_write(self, state: StreamState, data: bytes | memoryview, fin: bool) -> None:
        self.mux.write(state, data, fin)
        self.carrier.wake()

    def reset_stream(self, state: StreamState, code: int, reason: str = "") -> None:
        if self.is_open:
            self.mux.reset(state, code, reason)
            self.carrier.wake()

    def stop_stream(self, state: StreamState, code: int) -> None:
        if self.is_open:
            self.mux.stop(state, code)
            self.carrier.wake()

    def give_back(self, state: StreamState, nbytes: int) -> None:
        if self.is_open:
            self.mux.credit.now = self._context.clock.now()
            self.mux.consumed(state, nbytes)
            self.carrier.wake()

    def await_writable(self, stream: RuntimeStream) -> None:
        self.writers.append(stream)

    def ping(self) -> None:
        """Measure the round trip; the answer sets `rtt_s`."""
        nonce = self._context.rng.randbytes(8)
        self.round_trip.asked(nonce, self._context.clock.now())
        self.mux.ping(nonce)
        self.carrier.wake()

    # -- the carrier's side --------------------------------------------------------------------------------------

    def begin(self, handshake_s: float = math.nan) -> None:
        """The session is confirmed: tell the peer who we are, and measure the way.

        Args:
            handshake_s: from our last handshake message to the answer; good enough for a transient session.
        """
        self.mux.outgoing.control(frames.record(self._context.owner.own_record()))
        if self.purpose is Purpose.MEMBER or math.isnan(handshake_s):
            self.ping()
        else:
            self.inbound.measured(handshake_s)

    def end(self, code: int, reason: str) -> None:
        """Tell the peer and close.  Idempotent."""
        if self.is_open:
            self.mux.outgoing.control(frames.close(code, reason))
            self._finish(reason, False, code)

    @property
    def wants_to_send(self) -> bool:
        return self.mux.wants_to_send

    def pulled(self) -> None:
        """Frames were given to the carrier: wake whoever waited for that."""
        if self.writers:
            for stream in [s for s in self.writers if s.write_done]:
                self.writers.remove(stream)
                stream.wake_writer()
        if self.drainers and not self.mux.wants_to_send:
            _wake_all(self.drainers)

    def settle(self) -> None:
        on_settled, self.on_settled = self.on_settled, None
        if on_settled is not None:
            on_settled()

    def more_streams(self) -> None:
        """The peer allows more."""
        _wake_all(self._stream_waiters)

    def closed_by_peer(self, code: int, reason: str) -> None:
        self._finish(reason or f"code {code}", True, code)

    def send_own_record(self) -> None:
        """Tell the peer that our record changed."""
        if self.is_open:
            self.mux.outgoing.control(frames.record(self._context.owner.own_record()))
            self.carrier.wake()

    def farewell(self, error: PeerkitError) -> bytes:
        """The last frame before the carrier closes because of `error`."""
        code = Code.PROTOCOL if isinstance(error, RemoteProtocolError) else Code.INTERNAL
        return frames.close(code, str(error))

    def carrier_lost(self, reason: str, by_peer: bool) -> None:
        self._finish(reason, by_peer, Code.LOST)

    def _finish(self, reason: str, by_peer: bool, code: int) -> None:
        """End everything that waits on this session, once."""
        if not self.is_open:
            return
        self.is_open = False
        self.close_code = code
        self._closed.set_result(reason)
        self.carrier.close(flush=not by_peer)
        self.settle()
        self.inbound.end(EndpointClosed(f"the session with {self.peer_id.short}", reason, code, by_peer))
        for state in self.mux.end(reason, code):
            if isinstance(state.answer, RuntimeStream):
                state.answer.wake()
        _wake_all(self._stream_waiters)
        _wake_all(self.drainers)
        self._context.owner.session_ended(self, reason, by_peer)


def _wake_all(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()


if TYPE_CHECKING:
    _fits: type[Session] = RuntimeSession
