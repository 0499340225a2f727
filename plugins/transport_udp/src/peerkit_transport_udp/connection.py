"""One connection: packets in and out, over any number of paths, until one side closes it.

    OPEN ──close(flush)──▶ CLOSING ──all acknowledged, or 2 s──▶ OVER
      └──close frame, reset, silence, broken rule─────────────────▶ OVER

In: batches of packets, time, payloads pulled from the session.  Out: batches of packets, payloads given to the session.
Not here: the handshake that gave the keys (`handshake.py`), which connection a packet belongs to (`demultiplexer.py`).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto

from peerkit.clock import Rng
from peerkit.errors import LocalProtocolError, PeerkitError, RemoteProtocolError
from peerkit.transport import DatagramEndpoint, FrameSource
from peerkit.transport import Path as PathView

from . import frames, parameters
from .congestion import Pacer, PathMtu, RttEstimator
from .connection_ids import ConnectionIds
from .connection_settings import ConnectionSettings
from .header_protection import HeaderCipher
from .liveness import Liveness
from .packet_receiver import PacketReceiver
from .packet_sender import Batch, PacketSender
from .packing import Packing
from .parameters import Parameters
from .path_set import PathSet
from .paths import PathState, Route
from .recovery import Recovery

LINGER_S = 2.0  # a peer that acknowledges nothing cannot hold a closed connection longer
MAX_ECHOES = 8  # challenges answered in one turn: each answer is as small as its question


class State(Enum):
    OPEN = auto()
    CLOSING = auto()  # our side has closed it: what is queued is still delivered
    OVER = auto()


_OPEN, _CLOSING, _OVER = (
    State.OPEN,
    State.CLOSING,
    State.OVER,
)  # before Python 3.12 each search for a member costs 70 ns


class Connection:
    """Args:
        ids: both sides' connection ids.
        confirm: makes the session; called before the first payload goes in or out.

    Attributes:
        is_confirmed: whether a packet of the peer has opened.
        has_moved: set when the active path is another one; whoever takes note clears it.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        sender: PacketSender,
        receiver: PacketReceiver,
        ids: ConnectionIds,
        route: Route,
        is_proven: bool,
        confirm: Callable[[], FrameSource],
        rng: Rng,
        now: float,
    ) -> None:
        self.state = State.OPEN
        self.is_confirmed = False
        self.source: FrameSource | None = None
        self.ids = ids
        self.sender = sender
        self.receiver = receiver
        self._settings = settings
        self._confirm = confirm
        self._peer = parameters.BEFORE
        active = self._make_path(route, ids.peer_id)
        active.is_proven = is_proven
        self.paths = PathSet(
            active, lambda route: self._make_path(route, ids.take() if ids.has_switched else ids.peer_id), rng
        )
        self._told_active = active
        self.recovery = Recovery(self._mtu_changed)
        self.packing = Packing(sender, receiver, self.recovery, self.paths, settings.padding_bytes)
        self.packing.control.append(frames.parameters(settings.parameters.encode()))
        self.packing.control.extend(ids.issue())
        self.has_moved = False
        self._final: list[Batch] = []
        self._liveness = Liveness(settings.parameters.idle_timeout_s, settings.keep_alive_s, now)
        self._close_at = math.inf

    def _make_path(self, route: Route, peer_id: int) -> PathState:
        most = min(self._settings.parameters.max_datagram_bytes, route.endpoint.max_datagram_bytes)
        mtu = PathMtu(most, min(1_200, most))
        controller = self._settings.make_controller(mtu.datagram_bytes)
        return PathState(route, controller, RttEstimator(), Pacer(), mtu, peer_id, False)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.state is _OVER

    @property
    def route(self) -> Route:
        return self.paths.active.route

    @property
    def max_payload_bytes(self) -> int:
        return self.packing.datagram_bytes - self.sender.overhead_bytes

    @property
    def views(self) -> Sequence[PathView]:
        """All paths as the session shows them, the active one first."""
        paths = sorted(self.paths.paths, key=lambda path: path is not self.paths.active)
        return [self.paths.view(path) for path in paths]

    def confirm(self) -> None:
        """Make the session: a dialer at once, an acceptor when the first packet opens.  Raises what `confirm` does."""
        self.source = self._confirm()

    def heard_after(self, round_trip_s: float) -> None:
        """The handshake has measured the way."""
        self.paths.active.rtt.update(round_trip_s)

    def use_peer_id(self, peer_id: int) -> None:
        """The first id that we were told was not the peer's."""
        if not self.is_confirmed:
            self.ids.replace_first(peer_id)
            self.paths.active.peer_id = peer_id

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive_batch(self, batch: memoryview, segment_bytes: int, heads: bytes, route: Route, now: float) -> bool:
        """Take packets that bear one of our connection ids.  Returns whether any of them was the peer's.

        Whatever comes, nothing is raised: a peer that breaks a rule has its connection closed.
        """
        if self.state is _OVER:
            return False
        active = self.paths.active
        try:
            plaintexts = self.receiver.open(batch, segment_bytes, heads, active.rtt, now)
        except RemoteProtocolError as error:  # a wrapper does not understand what the peer sealed
            self.fail(error, now)
            return True
        if not plaintexts:
            return False
        self._liveness.received_at = now
        known = active.route
        if route != known:
            if route.remote != known.remote or route.endpoint is not known.endpoint:
                self.paths.arrived(route, len(batch), self.receiver.is_newest, now)
            elif known.local is None or self.receiver.is_newest:
                active.route = route  # our own address may have changed: answer from where we are asked
        try:
            if self.source is None:
                self.confirm()
            self.is_confirmed = True
            active.is_proven = True
            if len(plaintexts) == 1:
                has_control = plaintexts[0][0] not in frames.SESSION_TYPES
            else:
                types = bytes([plaintext[0] for plaintext in plaintexts])
                has_control = bool(types.translate(None, frames.SESSION_TYPES))
            if has_control:
                payloads, eliciting = self._strip(plaintexts, route, now)
            else:
                payloads, eliciting = plaintexts, len(plaintexts)
            if eliciting:
                self.receiver.wants_ack(eliciting, now)
            if payloads:
                self._liveness.run += len(payloads)
            if payloads and self.state is _OPEN and self.source is not None:
                self.source.receive_payloads(payloads, now)
        except PeerkitError as error:
            self.fail(error, now)
        if self.paths.is_changed or self.paths.active is not self._told_active:
            self._tell_changes()
        return True

    def _strip(self, plaintexts: Sequence[bytes], route: Route, now: float) -> tuple[list[bytes], int]:
        """Take the transport's frames out; returns the session's payloads and how many packets want an
        acknowledgement."""
        payloads, eliciting = [], 0
        for plaintext in plaintexts:
            at, end, wants_ack = 0, len(plaintext), False
            while at < end and plaintext[at] not in frames.SESSION_TYPES:
                if plaintext[at] == frames.ACK:
                    ack, at = frames.read_ack(plaintext, at)
                    self._on_ack(ack, now)
                    continue
                frame, at = frames.read_control(plaintext, at)
                if frame is not None:
                    wants_ack = self._on_control(frame, route, now) or wants_ack
            if at < end:
                payloads.append(plaintext[at:])
                wants_ack = True
            eliciting += wants_ack
        return payloads, eliciting

    def _on_ack(self, ack: frames.Ack, now: float) -> None:
        keys = self.sender.keys
        if self.recovery.acknowledged(ack, keys.counter, self.paths.active, now):
            keys.acked(ack.ranges[0][1] - 1)

    def _on_control(self, frame: frames.Control, route: Route, now: float) -> bool:
        """Returns whether the frame wants an acknowledgement."""
        match frame:
            case frames.Ack():
                self._on_ack(frame, now)
                return False
            case frames.Ping():
                pass
            case frames.Challenge(data):
                path = self.paths.find(route.endpoint, route.remote)
                if path is not None and len(self.paths.due) < MAX_ECHOES:
                    self.paths.due.insert(0, (path, frames.response(data)))  # it goes first where both are too much
            case frames.Response(data):
                self.paths.echoed(data, now)
            case frames.NewId(sequence, connection_id, token):
                self.ids.learn(sequence, connection_id, token)
                self._switch_ids()
            case frames.RetireId(sequence):
                self.packing.control.extend(self.ids.retire(sequence))
            case frames.Parameters(data):
                self._on_parameters(parameters.decode(data))
            case frames.Close(code, reason):
                self._lost(reason or f"the peer closed the connection (code {code})", by_peer=True)
                return False
        return True

    def _on_parameters(self, peer: Parameters) -> None:
        if self.packing.max_peer_bytes:
            return  # a copy: parameters never change
        self.packing.max_peer_bytes = peer.max_datagram_bytes
        self._peer = peer
        self.paths.is_changed = True
        self._switch_ids()

    def _switch_ids(self) -> None:
        """Leave the id that everybody has seen, once the peer has told what is needed for that."""
        ids = self.ids
        if ids.has_switched or not (self.packing.max_peer_bytes and ids.has_spare):
            return
        ids.has_switched = True
        self.sender.node = HeaderCipher(self._peer.node_key)
        peer_id = ids.take()
        for path in self.paths.paths:
            path.peer_id = peer_id
        self.packing.control.extend(ids.retire_unused((peer_id,)))

    # -- sending -------------------------------------------------------------------------------------------------

    def batches_to_send(self, now: float) -> list[Batch]:
        """What may leave now.  Ask after each batch that came, each timer and each wish to send."""
        out, self._final = self._final, []
        if self.state is _OVER or self.source is None:  # nobody hears of us before the session is there
            return out
        try:
            self.packing.fill(out, self.source, self.state is _OPEN, now)
        except LocalProtocolError as error:
            self.fail(error, now)
        if self.state is _CLOSING and self._is_flushed:
            self._send_close(0, "", now)
            out += self._final
            self._final = []
        return out

    # -- time ----------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """When `on_timer` wants to be called."""
        if self.state is _OVER:
            return math.inf
        paths, packing = self.paths, self.packing
        # Asked after every batch: `min` of them all would take twice as long.
        at = self._liveness.next_timer()
        if (other := self.receiver.ack_at) < at:
            at = other
        if (other := self.recovery.next_timer(paths.active)) < at:
            at = other
        if packing.blocked_until < at:
            at = packing.blocked_until
        if packing.max_peer_bytes and (other := paths.active.mtu.next_timer()) < at and packing.may_probe_mtu:
            at = other
        if (other := paths.next_timer()) < at:
            at = other
        return self._close_at if self._close_at < at else at

    def on_timer(self, now: float) -> None:
        """Then ask for `batches_to_send`."""
        if self.state is State.OVER:
            return
        if self._liveness.is_lost(now):
            self._lost("the peer has not been heard for too long", by_peer=False)
            return
        if now >= self._close_at:
            self._send_close(0, "", now)
            return
        self.recovery.on_timer(self.paths.active, now)
        if self.recovery.backoff >= 3 and self.paths.give_up_active(now):
            self.recovery.backoff = 0  # the other path has its own chances
        self.paths.on_timer(now)
        if self._liveness.wants_to_ask(now):
            self.packing.control.append(frames.PING_FRAME)
        self._tell_changes()

    # -- paths ---------------------------------------------------------------------------------------------------

    def offer_path(self, route: Route, now: float) -> bool:
        return self.state is State.OPEN and self.paths.offer(route, now)

    def drop_endpoint(self, endpoint: DatagramEndpoint, now: float) -> None:
        """An endpoint is about to close; without another path the connection is over."""
        if self.state is not State.OVER and not self.paths.drop(endpoint, now):
            self._lost("the socket was closed", by_peer=False)

    def _mtu_changed(self, path: PathState) -> None:
        path.controller.on_datagram_bytes(path.mtu.datagram_bytes)
        if path is self.paths.active:
            self.paths.is_changed = True

    def _tell_changes(self) -> None:
        if self.paths.active is not self._told_active:
            self._told_active = self.paths.active
            self.has_moved = True
            in_use = [path.peer_id for path in self.paths.paths]
            self.packing.control.extend(self.ids.retire_unused(in_use))
        if self.paths.is_changed and self.source is not None and self.state is State.OPEN:
            self.paths.is_changed = False
            self.source.paths_changed()

    # -- the end -------------------------------------------------------------------------------------------------

    @property
    def _is_flushed(self) -> bool:
        wants = self.source is not None and self.source.wants_to_send
        return not (wants or self.recovery.lost or self.recovery.log.holds_reliable)

    def close(self, flush: bool, now: float) -> None:
        """Our side ends it: with `flush` once everything has been acknowledged, at most 2 s later; else now.

        Idempotent."""
        if self.state is State.OPEN and flush:
            self.state = State.CLOSING
            self._close_at = now + LINGER_S
        elif self.state is not State.OVER and not flush:
            self._send_close(0, "", now)

    def fail(self, error: PeerkitError, now: float) -> None:
        """It cannot go on: tell the peer why, and the session; a peer that has no session gets silence."""
        if self.state is State.OVER:
            return
        if self.source is None:
            self._end()
            return
        if self.state is State.OPEN:
            payload = self.source.farewell(error)
            if self.sender.room:
                self._final.append(self.packing.seal(self.paths.active, [payload], now))
        code = 1 if isinstance(error, RemoteProtocolError) else 2
        source, state = self.source, self.state
        self._send_close(code, str(error), now)
        if state is State.OPEN:
            source.carrier_lost(str(error), by_peer=False)

    def abandon(self) -> None:
        """The handshake came to nothing; the session never was."""
        if self.source is None:
            self._end()

    def was_reset(self) -> None:
        """The peer does not know this connection any more."""
        self._lost("the peer has forgotten the connection; it was probably restarted", by_peer=True)

    def _send_close(self, code: int, reason: str, now: float) -> None:
        with suppress(LocalProtocolError):  # the key is spent: the peer finds out by itself
            self._final.append(self.packing.seal(self.paths.active, [frames.close(code, reason)], now))
        self._end()

    def _lost(self, reason: str, by_peer: bool) -> None:
        state, source = self.state, self.source
        self._end()
        if source is not None and state is State.OPEN:
            source.carrier_lost(reason, by_peer)

    def _end(self) -> None:
        self.state = State.OVER
        self.recovery.forget()
        self.source = None
