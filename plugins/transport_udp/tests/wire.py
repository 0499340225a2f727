"""Two connections in one process, a wire between them, and time by hand."""

import heapq
import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from peerkit_transport_udp.congestion import CongestionController, Cubic
from peerkit_transport_udp.connection import Connection
from peerkit_transport_udp.connection_ids import ConnectionIds
from peerkit_transport_udp.connection_settings import ConnectionSettings
from peerkit_transport_udp.connection_table import PUBLIC_KEY, ConnectionTable
from peerkit_transport_udp.header_protection import HeaderCipher
from peerkit_transport_udp.keys import ReceiveKeys, SendKeys
from peerkit_transport_udp.packet_receiver import PacketReceiver
from peerkit_transport_udp.packet_sender import Batch, PacketSender
from peerkit_transport_udp.parameters import Parameters
from peerkit_transport_udp.paths import Route

from peerkit.address import Address
from peerkit.errors import PeerkitError, RemoteProtocolError
from peerkit.protection import AeadProtection
from peerkit.security import Aead
from peerkit.transport import Buffer, DatagramEndpoint, DatagramHandler

HEAD = struct.Struct("!BIQI")  # a STREAM frame, so that payloads look like a session's
Fault = Callable[[bytes], Sequence[tuple[float, bytes]]]
"""What the wire makes of a datagram: (further delay, datagram)*."""


class Socket:
    """An endpoint that the test carries the packets of."""

    max_datagram_bytes = 65_507

    def __init__(self, host: str, port: int) -> None:
        self.local = Address("udp", host, port)

    def send_batch(self, local: Address | None, remote: Address, segment_bytes: int, buffers: Sequence[Buffer]) -> int:
        raise AssertionError("the test sends")

    def register(
        self, first: int, last: int, handler: DatagramHandler, turn_over: Callable[[], None] | None = None
    ) -> None: ...

    async def open_more(self, n: int) -> Sequence[DatagramEndpoint]:
        return []

    def close(self) -> None: ...


class Source:
    """A session: one long stream of numbered bytes to send, and what came of the other side's."""

    def __init__(self) -> None:
        self.total = 0
        self.sent = 0
        self.once: list[bytes] = []
        self.received: dict[int, bytes] = {}
        self.received_once: list[bytes] = []
        self.lost: tuple[str, bool] | None = None
        self.changes = 0
        self.breaks_on: int | None = None

    @property
    def wants_to_send(self) -> bool:
        return self.sent < self.total or bool(self.once)

    def unreliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        out, self.once = self.once[:count], self.once[count:]
        return out

    def reliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        out: list[bytes] = []
        while self.sent < self.total and len(out) < count:
            size = min(max_bytes - HEAD.size, self.total - self.sent)
            out.append(HEAD.pack(8, 1, self.sent, size) + body(self.sent, size))
            self.sent += size
        return out

    def refit(self, payload: Buffer, max_bytes: int) -> list[bytes]:
        _, _, offset, size = HEAD.unpack_from(payload)
        step = max_bytes - HEAD.size
        return [
            HEAD.pack(8, 1, offset + at, min(step, size - at)) + body(offset + at, min(step, size - at))
            for at in range(0, size, step)
        ]

    def receive_payloads(self, payloads: Sequence[Buffer], now: float) -> None:
        for payload in payloads:
            at = 0
            while at < len(payload):
                if payload[at] == 0x18:
                    break
                if payload[at] == 0x17:
                    self.received_once.append(bytes(payload[at:]))
                    break
                if len(payload) - at < HEAD.size:
                    raise RemoteProtocolError("a frame is cut short")
                _, _, offset, size = HEAD.unpack_from(payload, at)
                at += HEAD.size
                self.received[offset] = bytes(payload[at : at + size])
                at += size
        if self.breaks_on is not None and len(self.received) >= self.breaks_on:
            raise RemoteProtocolError("a rule was broken")

    @property
    def in_order(self) -> int:
        """Bytes that have come without a gap, all checked."""
        at = 0
        for offset in sorted(self.received):
            data = self.received[offset]
            if offset > at:
                break
            assert data == body(offset, len(data)), f"the bytes at {offset} were changed"
            at = max(at, offset + len(data))
        return at

    def farewell(self, error: PeerkitError) -> bytes:
        return b"\x18\0\6\0\0"

    def paths_changed(self) -> None:
        self.changes += 1

    def carrier_lost(self, reason: str, by_peer: bool) -> None:
        assert self.lost is None, "told twice"
        self.lost = (reason, by_peer)


def body(offset: int, size: int) -> bytes:
    """The stream's bytes: each place has its own."""
    first = offset // 8
    words = struct.pack(f"!{size // 8 + 2}Q", *range(first, first + size // 8 + 2))
    return words[offset % 8 : offset % 8 + size]


@dataclass(slots=True)
class End:
    """One side."""

    connection: Connection
    source: Source
    table: ConnectionTable
    socket: Socket
    host: str
    port: int


class Wire:
    """Args:
    delay_s: one way.
    fault: what happens to each datagram.
    mtu: larger ones vanish.
    """

    def __init__(
        self,
        delay_s: float = 0.02,
        fault: Fault | None = None,
        max_datagram_bytes: int = 1_400,
        mtu: int = 1_500,
        max_packets: int | None = None,
        make_controller: Callable[[int], CongestionController] = Cubic,
        seed: int = 1,
        padding_bytes: int = 0,
    ) -> None:
        self.now = 100.0
        self.delay_s = delay_s
        self.fault = fault
        self.mtu = mtu
        self.sent: list[tuple[int, bytes]] = []  # side and datagram, when `is_recording`
        self.is_recording = False
        self.dead: set[Address] = set()  # where nothing arrives
        self._queue: list[tuple[float, int, int, bytes, str, int]] = []
        self._count = 0
        rng = random.Random(seed)
        sockets = Socket("20.0.0.1", 1_000), Socket("30.0.0.2", 2_000)
        secrets = b"1" * 32, b"2" * 32
        flows = HeaderCipher(b"f" * 16), HeaderCipher(b"g" * 16)
        self.ends: list[End] = []
        for at in (0, 1):
            socket, other = sockets[at], sockets[1 - at]
            table = ConnectionTable(bytes((at,)) * 32, rng)
            source = Source()
            registry = table.registry()
            connection = Connection(
                ConnectionSettings(
                    Parameters(table.node_key, max_datagram_bytes, 30), make_controller, padding_bytes=padding_bytes
                ),
                PacketSender(
                    SendKeys(_protection(secrets[at]), 3_600.0, self.now, max_packets),
                    flows[at],
                    HeaderCipher(PUBLIC_KEY),
                ),
                PacketReceiver(ReceiveKeys(_protection(secrets[1 - at])), flows[1 - at]),
                ConnectionIds(registry, 10 + at, 11 - at),
                Route(socket, None, other.local),
                at == 0,
                partial(_given, source),
                rng,
                self.now,
            )
            table.add(10 + at, connection, registry)
            self.ends.append(End(connection, source, table, socket, socket.local.host, socket.local.port))
        self.ends[0].connection.confirm()

    @property
    def a(self) -> End:
        return self.ends[0]

    @property
    def b(self) -> End:
        return self.ends[1]

    # -- carrying ------------------------------------------------------------------------------------------------

    def send(self) -> int:
        """Take what both sides want to send; returns how many datagrams."""
        before = self._count
        for at, end in enumerate(self.ends):
            for batch in end.connection.batches_to_send(self.now):
                for datagram in datagrams(batch) if batch.route.remote not in self.dead else ():
                    self._put(at, datagram, end.host, end.port)
        return self._count - before

    def _put(self, at: int, datagram: bytes, host: str, port: int) -> None:
        self._count += 1
        if self.is_recording:
            self.sent.append((at, datagram))
        if len(datagram) > self.mtu:
            return
        for late_s, piece in self.fault(datagram) if self.fault else ((0.0, datagram),):
            self._count += 1
            due = self.now + self.delay_s + late_s
            heapq.heappush(self._queue, (due, self._count, 1 - at, piece, host, port))

    def deliver(self, to: int, data: bytes, host: str, port: int, segment_bytes: int = 0) -> None:
        """Hand bytes to one side as if they came from there."""
        end = self.ends[to]
        route = Route(end.socket, end.socket.local, Address("udp", host, port))
        segment_bytes = segment_bytes or len(data)
        for owner, run, heads in end.table.split(memoryview(data), segment_bytes):
            if isinstance(owner, Connection):
                owner.receive_batch(run, segment_bytes, heads, route, self.now)

    def step(self) -> None:
        """Send, then go on to the next arrival or timer."""
        self.send()
        timer = min(end.connection.next_timer() for end in self.ends)
        if self._queue and self._queue[0][0] <= timer:
            self.now = max(self.now, self._queue[0][0])
            while self._queue and self._queue[0][0] <= self.now:
                _, _, to, data, host, port = heapq.heappop(self._queue)
                self.deliver(to, data, host, port)
        else:
            assert not math.isinf(timer), "nothing would ever happen again"
            self.now = max(self.now, timer)
            for end in self.ends:
                end.connection.on_timer(self.now)

    def run_for(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            before = self.now
            self.step()
            assert self.now >= before
        self.send()

    def run_until(self, done: Callable[[], bool], within_s: float = 600.0) -> None:
        until = self.now + within_s
        steps = 0
        while not done():
            self.step()
            steps += 1
            assert self.now < until, f"not done after {within_s} s"
            assert steps < 200_000, "it spins"

    def transfer(self, nbytes: int, within_s: float = 600.0) -> float:
        """Send so much from `a` to `b`; returns the seconds that it took."""
        began, source = self.now, self.a.source
        source.total += nbytes
        self.run_until(self._has_all, within_s)
        return self.now - began

    def _has_all(self) -> bool:
        source = self.a.source
        if source.sent < source.total or self.a.connection.recovery.log.holds_reliable:
            return False
        return self.b.source.in_order == source.total


def datagrams(batch: Batch) -> list[bytes]:
    data = b"".join(batch.buffers)
    return [data[at : at + batch.segment_bytes] for at in range(0, len(data), batch.segment_bytes)]


def random_faults(loss: float, seed: int = 1, doubled: float = 0.0, late: float = 0.0, late_s: float = 0.0) -> Fault:
    """Datagrams are lost, doubled, or come late (and so out of order), each with its probability."""
    rng = random.Random(seed)

    def fault(datagram: bytes) -> Sequence[tuple[float, bytes]]:
        if rng.random() < loss:
            return ()
        delay_s = rng.random() * late_s if rng.random() < late else 0.0
        return ((delay_s, datagram),) * (2 if rng.random() < doubled else 1)

    return fault


def _given(source: Source) -> Source:
    return source


def _protection(secret: bytes) -> AeadProtection:
    return AeadProtection(secret, Aead.AES_256_GCM)
