"""All of one node's UDP: which handshake or connection a packet belongs to, and whose turn it is to send.

In: batches from endpoints, dials, time.  Out: batches to send.  Not here: sockets and the loop (`adapter.py`).

Bytes from outside never raise: what is malformed or forged is counted in `dropped`.
"""

from collections.abc import Callable

from peerkit.address import Address
from peerkit.clock import Rng
from peerkit.datagram import DialAttempt, SessionAcceptor, SessionOpening
from peerkit.errors import PeerkitError
from peerkit.transport import Carrier, DatagramEndpoint

from . import handshake_packets
from .acceptor import Acceptor
from .admission import Admission
from .connection import Connection
from .connection_ids import ConnectionIds
from .connection_settings import ConnectionSettings
from .connection_table import PUBLIC_KEY, ConnectionTable
from .dialer import Dialer
from .handshake_packets import Cookie, Message, Versions
from .header_protection import KEY_BYTES, HeaderCipher
from .keys import ReceiveKeys, SendKeys
from .packet_receiver import PacketReceiver
from .packet_sender import Batch, PacketSender
from .paths import Route
from .timers import Timers

Machine = Connection | Dialer | Acceptor


class Dispatcher:
    """Args:
        make_carrier: what the session sees of a connection.
        max_packets_per_key: `None`: as many as the cipher allows.

    Attributes:
        dropped: packets that were malformed or did not verify.
    """

    def __init__(
        self,
        settings: Callable[[bytes], ConnectionSettings],
        secret: bytes,
        rng: Rng,
        make_carrier: Callable[[Connection], Carrier],
        max_packets_per_key: int | None = None,
    ) -> None:
        self.table = ConnectionTable(secret, rng)
        self.admission = Admission(rng.randbytes(32))
        self.acceptor = Acceptor(self.admission, self.table.new_first_id, self._make_connection, self.wake)
        self.dropped = 0
        self._settings = settings(self.table.node_key)
        self._rng = rng
        self._make_carrier = make_carrier
        self._max_packets = max_packets_per_key
        self._public = HeaderCipher(PUBLIC_KEY)
        self._doors: dict[DatagramEndpoint, SessionAcceptor] = {}
        self._dialers: dict[int, Dialer] = {}
        self._timers = Timers()
        self._dirty: dict[Machine, None] = {}
        self._ready: list[Batch] = []

    # -- endpoints and dials -------------------------------------------------------------------------------------

    def attach(self, endpoint: DatagramEndpoint, door: SessionAcceptor) -> None:
        self._doors[endpoint] = door

    def detach(self, endpoint: DatagramEndpoint, now: float) -> None:
        """Idempotent."""
        if self._doors.pop(endpoint, None) is None:
            return
        for connection in self.table.connections:
            connection.drop_endpoint(endpoint, now)
            self.wake(connection)

    def dial(self, address: Address, endpoint: DatagramEndpoint, attempt: DialAttempt, now: float) -> None:
        """Begin; what is to be sent waits in `batches_to_send`.  Raises `ConnectFailed` when the attempt is over."""
        route = Route(endpoint, None, address.without_peer())
        self._begin(attempt, route, attempt.knows_key, now)

    def _begin(self, attempt: DialAttempt, route: Route, with_key: bool, now: float) -> None:
        def beside(later: float) -> None:
            if not attempt.is_over:
                self._begin(attempt, route, False, later)

        own_id = self.table.new_first_id()
        dialer = Dialer(
            attempt, route, own_id, with_key, self._make_connection, beside if with_key else None, self.wake, now
        )
        self._dialers[own_id] = dialer
        self.wake(dialer)

    def _make_connection(
        self, opening: SessionOpening, own_id: int, peer_id: int, route: Route, is_proven: bool, now: float
    ) -> Connection:
        keys = opening.keys
        assert keys is not None
        flows = [HeaderCipher(keys.export(label, KEY_BYTES)) for label in (b"udp mask dialer", b"udp mask acceptor")]
        if not opening.is_dialer:
            flows.reverse()
        sender = PacketSender(
            SendKeys(keys.send, keys.life_s, now, self._max_packets), flows[0], self._public, keys.wrappers
        )
        receiver = PacketReceiver(ReceiveKeys(keys.receive), flows[1], keys.wrappers)
        registry = self.table.registry()
        ids = ConnectionIds(registry, own_id, peer_id)
        connection = Connection(
            self._settings,
            sender,
            receiver,
            ids,
            route,
            is_proven,
            lambda: opening.confirm(self._make_carrier(connection)),
            self._rng,
            now,
        )
        if opening.is_dialer:
            connection.confirm()  # before anything is sealed, so that of several ways one is taken
        self.table.add(own_id, connection, registry)
        self.wake(connection)
        return connection

    # -- packets -------------------------------------------------------------------------------------------------

    def receive_sealed(
        self,
        endpoint: DatagramEndpoint,
        batch: memoryview,
        segment_bytes: int,
        local: Address,
        remote: Address,
        now: float,
    ) -> None:
        """Packets whose first byte is in 0x40..0x7F."""
        route = Route(endpoint, local, remote)
        for owner, run, heads in self.table.split(batch, segment_bytes):
            if isinstance(owner, Connection):
                if owner.receive_batch(run, segment_bytes, heads, route, now):
                    self._dirty[owner] = None
                    continue
                self.dropped += 1
            connection = self.table.is_reset(run, segment_bytes, route)
            if connection is not None:
                connection.was_reset()
                self.wake(connection)
            elif not isinstance(owner, Connection) and not self.table.knows(route):
                answer = self.table.reset(owner, len(run), now)
                if answer is not None:
                    self._ready.append(Batch(route, len(answer), [answer], len(answer)))

    def receive_handshake(
        self,
        endpoint: DatagramEndpoint,
        batch: memoryview,
        segment_bytes: int,
        local: Address,
        remote: Address,
        now: float,
    ) -> None:
        """Packets whose first byte is in 0x80..0x8F."""
        route = Route(endpoint, local, remote)
        for at in range(0, len(batch), segment_bytes):
            packet = batch[at : at + segment_bytes]
            try:
                self._receive_handshake(handshake_packets.decode(packet), len(packet), route, now)
            except PeerkitError:  # malformed, forged, or of a peer whom we refuse: silence
                self.dropped += 1

    def _receive_handshake(
        self, packet: Message | Versions | Cookie, packet_bytes: int, route: Route, now: float
    ) -> None:
        dialer = self._dialers.get(packet.to)
        if dialer is not None:
            if dialer.route.remote == route.remote:
                self.wake(dialer)  # before its connection: its last message must arrive first
                dialer.receive(packet, now)
        elif isinstance(packet, Message):
            door = self._doors.get(route.endpoint)
            if door is not None:
                self._ready += self.acceptor.receive(packet, packet_bytes, route, door, now)
                self._timers.arm(self.acceptor)

    # -- sending -------------------------------------------------------------------------------------------------

    def wake(self, machine: Machine) -> None:
        """It may have something to send, or another deadline."""
        self._dirty[machine] = None

    @property
    def wants_turn(self) -> bool:
        return bool(self._dirty or self._ready)

    def batches_to_send(self, now: float) -> list[Batch]:
        """Everything that may leave now."""
        out, self._ready = self._ready, []
        while self._dirty:
            dirty, self._dirty = self._dirty, {}
            for machine in dirty:
                if isinstance(machine, Connection):
                    out += machine.batches_to_send(now)
                    if machine.has_moved:
                        machine.has_moved = False
                        self.table.moved(machine)
                    if machine.is_over:
                        self.table.remove(machine)
                elif isinstance(machine, Dialer):
                    out += machine.batches_to_send(now)
                    if machine.is_over:
                        self._dialers.pop(machine.own_id, None)
                self._timers.arm(machine)
        return out

    def next_timer(self) -> float:
        return self._timers.next_timer()

    def on_timer(self, now: float) -> None:
        """Then ask for `batches_to_send`."""
        for machine in self._timers.take_due(now):
            assert isinstance(machine, Connection | Dialer | Acceptor)
            machine.on_timer(now)
            self._dirty[machine] = None
