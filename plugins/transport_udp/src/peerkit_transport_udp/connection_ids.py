"""The ids by which both ends find one connection, and their renewal.

Each side chooses the ids that the other writes on its packets.  The first one travels in the handshake, where everybody
can read it; as soon as the other side has told its node key and further ids, those are used, masked, and the first is
retired.  Every path begins with an id of its own: a watcher of both cannot tell by it that they belong together.

Bounds: ≤ 4 ids of ours are in use, ≤ 8 of the peer's are kept; a peer that retires ids without end costs us one
for one.
"""

from collections import deque
from collections.abc import Collection, Iterator
from typing import Protocol

from peerkit.errors import RemoteProtocolError

from . import frames

SPARE_IDS = 3  # that the peer may use besides the first: one for now, two for paths to come
MAX_PEER_IDS = 8


class IdRegistry(Protocol):
    """Where packets are told apart; one per endpoint or node."""

    def issue(self) -> tuple[int, bytes]:
        """A new id of this connection, and the token that proves a reset of it."""
        ...

    def retire(self, connection_id: int) -> None: ...


class ConnectionIds:
    """Args:
        peer_id: the first id that the peer chose.

    Attributes:
        peer_id: the id to write on packets for a path that has none of its own.
        tokens: by which the peer may reset the connection.
        has_switched: whether the peer's ids are masked with its node key now.
    """

    __slots__ = ("_highest", "_issued", "_next", "_registry", "_spare", "_used", "has_switched", "peer_id", "tokens")

    def __init__(self, registry: IdRegistry, own_id: int, peer_id: int) -> None:
        self.peer_id = peer_id
        self.tokens: set[bytes] = set()
        self.has_switched = False
        self._registry = registry
        self._issued = {0: own_id}
        self._next = 1  # sequence number of our next id
        self._spare: deque[tuple[int, int, bytes]] = deque()
        self._used: dict[int, tuple[int, bytes]] = {peer_id: (0, b"")}  # the peer's ids in use: sequence number, token
        self._highest = 0

    # -- ours ----------------------------------------------------------------------------------------------------

    def issue(self, count: int = SPARE_IDS) -> Iterator[bytes]:
        """Frames that give the peer further ids."""
        for _ in range(count):
            own_id, token = self._registry.issue()
            self._issued[self._next] = own_id
            yield frames.new_id(self._next, own_id, token)
            self._next += 1

    def retire(self, sequence: int) -> Iterator[bytes]:
        """The peer needs this one no more; it gets another instead of all but the first.

        Raises:
            RemoteProtocolError: it was never given.
        """
        if sequence >= self._next:
            raise RemoteProtocolError(f"the peer retires connection id {sequence}, which it never had")
        own_id = self._issued.pop(sequence, None)
        if own_id is None:
            return iter(())  # a copy of a frame that came before
        self._registry.retire(own_id)
        return self.issue(1) if sequence else iter(())

    @property
    def own(self) -> list[int]:
        return list(self._issued.values())

    # -- the peer's ----------------------------------------------------------------------------------------------

    def replace_first(self, peer_id: int) -> None:
        """Before anything came from the peer: its first id is another than we were told."""
        self._used = {peer_id: self._used[self.peer_id]}
        self.peer_id = peer_id

    def learn(self, sequence: int, connection_id: int, token: bytes) -> None:
        """The peer gives another id.  Raises `RemoteProtocolError` when it gives too many."""
        if sequence <= self._highest or any(known == sequence for known, _, _ in self._spare):
            return
        if len(self._spare) >= MAX_PEER_IDS:
            raise RemoteProtocolError("the peer gives more connection ids than are asked for")
        self._spare.append((sequence, connection_id, token))

    @property
    def has_spare(self) -> bool:
        return bool(self._spare)

    def take(self) -> int:
        """An id that was used on no path yet; the present one when there is none."""
        if self._spare:
            sequence, self.peer_id, token = self._spare.popleft()
            self._highest = max(self._highest, sequence)
            self._used[self.peer_id] = sequence, token
            self.tokens.add(token)
        return self.peer_id

    def retire_unused(self, in_use: Collection[int]) -> list[bytes]:
        """Frames that give back the ids with which no path writes any more; the peer then gives others."""
        given_back = [peer_id for peer_id in self._used if peer_id not in in_use and peer_id != self.peer_id]
        out = []
        for peer_id in given_back:
            sequence, token = self._used.pop(peer_id)
            self.tokens.discard(token)
            out.append(frames.retire_id(sequence))
        return out
