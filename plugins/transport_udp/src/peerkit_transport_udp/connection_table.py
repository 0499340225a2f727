"""Which connection a sealed packet belongs to; and the answer to packets of connections that nobody knows.

A packet bears an id that the reading side chose.  Ids that were told under protection are masked with the node key,
the first ones, which travel in the clear handshake, with a public key: each has its own table.  A batch comes from one
address, so nearly always from one connection: it is unmasked as a whole and handed on as a whole.

*Stateless reset*: a packet of an unknown connection is answered by random bytes that end with a token, derived from its
id under a key that survives a restart; the peer was told that token and gives the connection up.  The answer is shorter
than the packet, so that two nodes cannot answer each other for ever.  Source: RFC 9000 §10.3.
"""

import hashlib
import hmac
from collections.abc import Iterator

from peerkit.clock import Rng
from peerkit.identity import hkdf
from peerkit.limits import TokenBucket

from .connection import Connection
from .header_protection import KEY_BYTES, HeaderCipher, connection_ids, gather
from .packet_receiver import SEALED
from .paths import Route

PUBLIC_KEY = hashlib.sha256(b"peerkit udp v1 first connection ids").digest()[:KEY_BYTES]
TOKEN_BYTES = 16
MIN_RESET_BYTES = 42  # as long as the least acknowledgement, RFC 9000 §10.3 wants 21
RESETS_PER_S = 100.0  # answers to strangers are worth no more


class ConnectionTable:
    """Args:
        secret: 32 bytes that survive a restart of the node.

    Attributes:
        node_key: what we tell our peers.
        unknown: packets of connections that nobody knows.
    """

    def __init__(self, secret: bytes, rng: Rng) -> None:
        self.node_key = hkdf(secret, b"peerkit udp node key", KEY_BYTES)
        self._reset_key = hkdf(secret, b"peerkit udp reset", 32)
        self._node = HeaderCipher(self.node_key)
        self._public = HeaderCipher(PUBLIC_KEY)
        self._rng = rng
        self._first: dict[int, Connection] = {}
        self._issued: dict[int, Connection] = {}
        self._by_remote: dict[tuple[int, str, int], Connection] = {}
        self._all: dict[Connection, tuple[int, str, int]] = {}  # with the place under which it is in `_by_remote`
        self._resets = TokenBucket(RESETS_PER_S, RESETS_PER_S)
        self.unknown = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def connections(self) -> list[Connection]:
        return list(self._all)

    # -- ids -----------------------------------------------------------------------------------------------------

    def new_first_id(self) -> int:
        """An id for a handshake; 0 is none."""
        while True:
            id = self._rng.randrange(1, 1 << 32)
            if id not in self._first:
                return id

    def add(self, first_id: int, connection: Connection, registry: "ConnectionRegistry") -> None:
        self._first[first_id] = connection
        registry.bind(connection)
        self.moved(connection)

    def moved(self, connection: Connection) -> None:
        """Its active path is another one: a reset comes without an id, so the address must tell the connection."""
        route = connection.route
        place = id(route.endpoint), route.remote.host, route.remote.port
        self._leave(connection)
        self._all[connection] = place
        self._by_remote[place] = connection

    def remove(self, connection: Connection) -> None:
        """The connection is over.  Idempotent."""
        for own in connection.ids.own:
            for table in (self._first, self._issued):
                if table.get(own) is connection:
                    del table[own]
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        place = self._all.pop(connection, None)
        if place is not None and self._by_remote.get(place) is connection:
            del self._by_remote[place]

    def registry(self) -> "ConnectionRegistry":
        """Where a connection that is being made gets its ids."""
        return ConnectionRegistry(self, self._first, self._issued)

    def new_issued_id(self) -> tuple[int, bytes]:
        while True:
            id = self._rng.randrange(1, 1 << 32)
            if id not in self._issued:
                return id, self._token(id)

    def _token(self, id: int) -> bytes:
        return hmac.digest(self._reset_key, id.to_bytes(4, "big"), hashlib.sha256)[:TOKEN_BYTES]

    # -- packets -------------------------------------------------------------------------------------------------

    def split(self, batch: memoryview, segment_bytes: int) -> Iterator[tuple[Connection | int, memoryview, bytes]]:
        """Cut a batch into runs of one connection: the connection, the packets, their heads.

        A run of packets that belong to nobody comes with the id that its first would bear under the node key."""
        heads = gather(batch, segment_bytes)
        if not heads:
            return
        ids = connection_ids(self._node, heads)
        first = ids[0]
        connection = self._issued.get(first)
        if connection is not None and ids.count(first) == len(ids):
            yield connection, batch, heads
            return
        public_ids = connection_ids(self._public, heads)
        start, count = 0, len(ids)
        owners = [self._issued.get(id) or self._first.get(other) for id, other in zip(ids, public_ids, strict=True)]
        while start < count:
            owner, end = owners[start], start + 1
            while end < count and owners[end] is owner:
                end += 1
            run = batch[start * segment_bytes : end * segment_bytes]
            yield owner if owner is not None else ids[start], run, heads[32 * start : 32 * end]
            start = end

    def knows(self, route: Route) -> bool:
        """Whether a connection runs to that address: what comes from there without an id may itself be a reset."""
        return (id(route.endpoint), route.remote.host, route.remote.port) in self._by_remote

    def is_reset(self, run: memoryview, segment_bytes: int, route: Route) -> Connection | None:
        """The connection that packets of no known id reset, if they do."""
        connection = self._by_remote.get((id(route.endpoint), route.remote.host, route.remote.port))
        if connection is None or len(run) > segment_bytes or len(run) < MIN_RESET_BYTES:
            return None
        told = bytes(run[-TOKEN_BYTES:])
        for token in connection.ids.tokens:
            if hmac.compare_digest(told, token):
                return connection
        return None

    def reset(self, id: int, packet_bytes: int, now: float) -> bytes | None:
        """The answer to a packet of nobody, or `None`."""
        self.unknown += 1
        if packet_bytes <= MIN_RESET_BYTES or not self._resets.try_take(1.0, now):
            return None
        size = MIN_RESET_BYTES + self._rng.randrange(0, min(packet_bytes - MIN_RESET_BYTES, 32))
        noise = self._rng.randbytes(size - TOKEN_BYTES)
        return bytes((SEALED | noise[0] & 0x3F,)) + noise[1:] + self._token(id)


class ConnectionRegistry:
    """The ids of one connection; see `connection_ids.IdRegistry`."""

    def __init__(self, table: ConnectionTable, first: dict[int, Connection], issued: dict[int, Connection]) -> None:
        self._table = table
        self._first = first
        self._issued = issued
        self.connection: Connection | None = None
        self._early: list[int] = []

    def issue(self) -> tuple[int, bytes]:
        id, token = self._table.new_issued_id()
        if self.connection is not None:
            self._issued[id] = self.connection
        else:
            self._early.append(id)
        return id, token

    def bind(self, connection: Connection) -> None:
        """The connection has been made: its ids lead to it from now on."""
        self.connection = connection
        for id in self._early:
            self._issued[id] = connection

    def retire(self, id: int) -> None:
        for table in (self._first, self._issued):
            if table.get(id) is self.connection:
                del table[id]
