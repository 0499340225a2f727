"""The loop's side: feeds batches and time to the `Dispatcher`, sends what it gives, keeps one timer."""

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.datagram import DialAttempt, SessionAcceptor
from peerkit.plugin import PluginContext
from peerkit.transport import Carrier, DatagramEndpoint, Path

from .connection import Connection
from .connection_settings import connection_settings
from .dispatcher import Dispatcher
from .handshake_packets import LAST_FIRST_BYTE, MESSAGE
from .packet_receiver import SEALED
from .paths import Route
from .settings import UdpSettings

PREFERENCE = 80  # TCP has 50


class UdpTransport:
    """One per node; see `peerkit.datagram.DatagramTransport`."""

    def __init__(self, ctx: PluginContext[UdpSettings]) -> None:
        self._ctx = ctx
        self._now = ctx.clock.now
        self._dispatcher = Dispatcher(
            partial(connection_settings, ctx.settings),
            ctx.derive_secret(b"peerkit udp"),
            ctx.rng,
            lambda connection: UdpCarrier(connection, self),
            ctx.settings.max_packets_per_key,
        )
        self._is_receiving = False
        self._inside = 0  # calls of `_receive`, one within the other
        self._has_answer = False  # somebody was answered while we received
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def schemes(self) -> Sequence[str]:
        return ("udp",)

    @property
    def preference(self) -> int:
        return PREFERENCE

    def attach(self, endpoint: DatagramEndpoint, acceptor: SessionAcceptor) -> None:
        receive_sealed = partial(self._receive, self._dispatcher.receive_sealed, endpoint)
        receive_handshake = partial(self._receive, self._dispatcher.receive_handshake, endpoint)
        endpoint.register(SEALED, SEALED | 0x3F, receive_sealed, self._turn_over)
        endpoint.register(MESSAGE, LAST_FIRST_BYTE, receive_handshake, self._turn_over)
        self._dispatcher.attach(endpoint, acceptor)

    def detach(self, endpoint: DatagramEndpoint) -> None:
        self.flush()
        self._dispatcher.detach(endpoint, self._now())
        self.flush()

    def dial(self, address: Address, endpoint: DatagramEndpoint, attempt: DialAttempt) -> None:
        self._dispatcher.dial(address, endpoint, attempt, self._now())
        self.take_turn()

    def _receive(
        self,
        receive: Callable[[DatagramEndpoint, memoryview, int, Address, Address, float], None],
        endpoint: DatagramEndpoint,
        batch: memoryview,
        segment_bytes: int,
        local: Address,
        remote: Address,
        now: float,
    ) -> None:
        self._is_receiving = True  # until `_turn_over`: several batches that come at once get one answer
        self._inside += 1
        try:
            receive(endpoint, batch, segment_bytes, local, remote, now)
        finally:
            self._inside -= 1

    def _turn_over(self) -> None:
        if self._inside:
            return  # of a circuit, whose datagrams come inside packets of ours: that turn goes on
        self._is_receiving = False
        if self._has_answer:
            self._has_answer = False
            self.flush()
        elif self._dispatcher.wants_turn:
            self.take_turn()  # an acknowledgement: whoever was woken may have something that it can ride on

    def wake(self, connection: Connection) -> None:
        self._dispatcher.wake(connection)
        self._has_answer = self._is_receiving
        if self._turn is None and not self._is_receiving:
            self.take_turn()

    def take_turn(self) -> None:
        """Send in the loop's next turn: what is written at once leaves together."""
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        if self._dispatcher.wants_turn:
            self.flush()

    def flush(self) -> None:
        """Send what may leave now, and set the timer."""
        for batch in self._dispatcher.batches_to_send(self._now()):
            route = batch.route
            route.endpoint.send_batch(route.local, route.remote, batch.segment_bytes, batch.buffers)
        self._set_timer()

    def _set_timer(self) -> None:
        at = self._dispatcher.next_timer()
        if self._timer is not None:
            if self._timer.when() <= at:
                return  # it comes early, and is set anew then
            self._timer.cancel()
            self._timer = None
        if not math.isinf(at):
            self._timer = asyncio.get_running_loop().call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatcher.on_timer(self._now())
        self.flush()

    def now(self) -> float:
        return self._now()


class UdpCarrier:
    """One connection as its session sees it; see `peerkit.transport.Carrier`."""

    def __init__(self, connection: Connection, transport: UdpTransport) -> None:
        self._connection = connection
        self._transport = transport

    @property
    def remote(self) -> Address:
        return self._connection.route.remote

    @property
    def local(self) -> Address:
        return self._connection.route.local or self._connection.route.endpoint.local

    @property
    def paths(self) -> Sequence[Path]:
        return self._connection.views

    @property
    def max_payload_bytes(self) -> int:
        return self._connection.max_payload_bytes

    @property
    def key_updates(self) -> int:
        return self._connection.sender.keys.updates

    def wake(self) -> None:
        self._transport.wake(self._connection)

    def close(self, flush: bool) -> None:
        self._connection.close(flush, self._transport.now())
        self._transport.wake(self._connection)

    def offer_path(self, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        taken = self._connection.offer_path(Route(endpoint, local, remote.without_peer()), self._transport.now())
        self._transport.wake(self._connection)
        return taken


if TYPE_CHECKING:
    from peerkit.datagram import DatagramTransport

    _fits: type[DatagramTransport] = UdpTransport
    _carries: type[Carrier] = UdpCarrier
