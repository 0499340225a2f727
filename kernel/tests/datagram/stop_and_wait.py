"""A datagram transport with one packet in flight: the least that the kernel's interfaces allow, to prove them.

0xC0 ‖ connection(8) ‖ index(1) ‖ handshake message
0xC1 ‖ connection(8) ‖ counter(8) ‖ AEAD(highest number received(8) ‖ number(8), 0: not reliable ‖ payload)
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from functools import partial

from peerkit.address import Address
from peerkit.datagram import DatagramTransport, DialAttempt, SessionAcceptor, SessionKeys, SessionOpening
from peerkit.errors import ConnectFailed, PeerkitError, RemoteProtocolError, VerificationFailed
from peerkit.plugin import PluginContext, PluginSpec, Settings, hookimpl
from peerkit.transport import Carrier, DatagramEndpoint, FrameSource, Path

HANDSHAKE, DATA = 0xC0, 0xC1
HEADER, NUMBERS = struct.Struct("!B8sQ"), struct.Struct("!QQ")
AGAIN_S, LOST_S, LINGER_S = 0.2, 8.0, 2.0
MAX_PAYLOAD_BYTES = 1_200


class Connection:
    def __init__(self, transport: "StopAndWait", endpoint: DatagramEndpoint, remote: Address, id: bytes) -> None:
        self.transport, self.endpoint, self.remote, self.id = transport, endpoint, remote, id
        self.local = endpoint.local
        self.opening: SessionOpening
        self.keys: SessionKeys | None = None
        self.session: FrameSource | None = None
        self.key_updates, self.max_payload_bytes = 0, MAX_PAYLOAD_BYTES
        self.handshake_packet = b""  # sent again until the other side shows that it came
        self.messages_sent = self.messages_received = self.counter = self.number = self.received = 0
        self.in_flight: bytes | None = None
        self.is_busy = self.is_closing = False
        self.waits_since = transport.ctx.clock.now()
        self.timer = transport.ctx.call_later(AGAIN_S, self.on_timer)
        transport.connections[id] = self

    @property
    def paths(self) -> Sequence[Path]:
        return (Path(self.local, self.remote),)

    def begin(self, opening: SessionOpening) -> None:
        self.opening = opening
        self.send_messages()

    def send_messages(self) -> None:
        for message in self.opening.messages_to_send():
            self.handshake_packet = HEADER.pack(HANDSHAKE, self.id, 0)[:9] + bytes((self.messages_sent,)) + message
            self.messages_sent += 1
            self.send(self.handshake_packet)
        self.keys = self.opening.keys
        if self.opening.is_over:
            self.forget()
        elif self.keys is not None and self.opening.is_dialer:
            self.confirm()

    def confirm(self) -> None:
        self.is_busy = True
        try:
            self.session = self.opening.confirm(self)
        except PeerkitError:
            self.forget()
        self.is_busy = False
        self.wake()

    def receive(self, data: bytes) -> None:
        if data[0] == DATA:
            self.receive_data(data)
        elif len(data) > 10 and data[9] < self.messages_received:
            self.send(self.handshake_packet)
        elif len(data) > 10 and data[9] == self.messages_received and self.keys is None:
            try:
                self.opening.receive_message(data[10:])
            except PeerkitError:
                if self.opening.is_over:
                    self.forget()
                return
            self.messages_received += 1
            self.send_messages()

    def receive_data(self, data: bytes) -> None:
        if self.keys is None or len(data) < HEADER.size:
            return
        try:
            plain = self.keys.receive.open(HEADER.unpack_from(data)[2], data[:17], data[17:])
        except VerificationFailed:
            return
        if self.session is None:
            self.confirm()
        acknowledged, number = NUMBERS.unpack_from(plain)
        if acknowledged >= self.number:
            self.in_flight, self.handshake_packet = None, b""
            self.waits_since = self.transport.ctx.clock.now()
        if len(plain) > NUMBERS.size and self.session is not None and (not number or number == self.received + 1):
            self.received = max(self.received, number)
            self.is_busy = True
            try:
                self.session.receive_payloads([plain[NUMBERS.size :]], self.transport.ctx.clock.now())
            except RemoteProtocolError as exc:
                self.send_data(0, self.session.farewell(exc))
                self.end(str(exc), by_peer=False)
            self.is_busy = False
        counter = self.counter
        self.wake()
        if number and counter == self.counter:
            self.send_data(0, b"")

    def wake(self) -> None:
        if self.is_busy or self.session is None:
            return
        for payload in self.session.unreliable_payloads(MAX_PAYLOAD_BYTES, 16):
            self.send_data(0, payload)
        if self.in_flight is None and (made := self.session.reliable_payloads(MAX_PAYLOAD_BYTES, 1)):
            self.in_flight = made[0]
            self.number += 1
            self.send_data(self.number, made[0])
        elif self.in_flight is None and self.is_closing and not self.session.wants_to_send:
            self.forget()

    def send_data(self, number: int, payload: bytes) -> None:
        if self.keys is not None:
            header = HEADER.pack(DATA, self.id, self.counter)
            plain = NUMBERS.pack(self.received, number) + payload
            self.send(header + self.keys.send.seal(self.counter, header, plain))
            self.counter += 1

    def send(self, packet: bytes) -> None:
        self.endpoint.send_batch(None, self.remote, len(packet), [packet])

    def on_timer(self) -> None:
        if self.id not in self.transport.connections:
            return
        if self.in_flight is None:
            self.waits_since = self.transport.ctx.clock.now()
        elif self.transport.ctx.clock.now() - self.waits_since > LOST_S:
            self.end("the peer does not answer", by_peer=True)
            return
        self.timer = self.transport.ctx.call_later(AGAIN_S, self.on_timer)
        if self.handshake_packet and (self.session is None or self.opening.is_dialer):
            self.send(self.handshake_packet)
        if self.in_flight is not None:
            self.send_data(self.number, self.in_flight)

    def close(self, flush: bool) -> None:
        self.is_closing = True
        if flush:
            self.transport.ctx.call_later(LINGER_S, self.forget)
            self.wake()
        else:
            self.forget()

    def end(self, reason: str, by_peer: bool) -> None:
        self.forget()
        if self.session is not None and not self.is_closing:
            self.session.carrier_lost(reason, by_peer)

    def forget(self) -> None:
        self.timer()
        self.transport.connections.pop(self.id, None)
        self.transport.one_gone.set()

    def offer_path(self, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        self.endpoint, self.local, self.remote = endpoint, local or endpoint.local, remote
        if self.session is not None:
            self.session.paths_changed()
        return True


class StopAndWait:
    schemes, preference = ("saw",), 60

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.ctx = ctx
        self.connections: dict[bytes, Connection] = {}
        self.one_gone = asyncio.Event()

    async def close(self) -> None:
        while self.connections:  # until their last words are acknowledged, or they linger no more
            self.one_gone.clear()
            await self.one_gone.wait()

    @hookimpl
    def peerkit_register_transports(self) -> Sequence[DatagramTransport]:
        return [self]

    def attach(self, endpoint: DatagramEndpoint, acceptor: SessionAcceptor) -> None:
        endpoint.register(HANDSHAKE, DATA, partial(self.on_batch, endpoint, acceptor))

    def detach(self, endpoint: DatagramEndpoint) -> None:
        for connection in [c for c in self.connections.values() if c.endpoint is endpoint]:
            connection.end("the endpoint was closed", by_peer=False)

    def on_batch(
        self,
        endpoint: DatagramEndpoint,
        acceptor: SessionAcceptor,
        data: memoryview,
        segment_bytes: int,
        local: Address,
        remote: Address,
        now: float,
    ) -> None:
        for at in range(0, len(data), segment_bytes):
            packet = bytes(data[at : at + segment_bytes])
            connection = self.connections.get(packet[1:9])
            if connection is None and packet[0] == HANDSHAKE and len(packet) > 10 and packet[9] == 0:
                connection = self.accept(endpoint, acceptor, Address("saw", remote.host, remote.port), packet[1:9])
            if connection is not None:
                connection.receive(packet)

    def accept(
        self, endpoint: DatagramEndpoint, acceptor: SessionAcceptor, remote: Address, id: bytes
    ) -> Connection | None:
        connection = Connection(self, endpoint, remote, id)
        opening = acceptor.accept(remote, b"saw 1", connection.forget)
        if opening is None:
            connection.forget()
            return None
        connection.begin(opening)
        return connection

    def dial(self, address: Address, endpoint: DatagramEndpoint, attempt: DialAttempt) -> None:
        def begin(with_key: bool) -> None:
            if not attempt.is_over:
                connection = Connection(self, endpoint, address.without_peer(), self.ctx.rng.randbytes(8))
                try:
                    connection.begin(attempt.open(b"saw 1", connection.forget, with_key))
                except ConnectFailed:
                    connection.forget()

        begin(with_key=True)
        if attempt.knows_key:
            self.ctx.call_later(1.0, lambda: begin(with_key=False))


Make = Callable[[PluginContext[Settings]], StopAndWait]
STOP_AND_WAIT = PluginSpec(Settings, StopAndWait)
_carries: type[Carrier] = Connection
