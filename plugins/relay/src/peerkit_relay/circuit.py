"""Our end of a circuit: a datagram endpoint whose wire is a session with the relay.

What is sent here travels as unreliable datagrams of that session; losses, order and congestion are the inner session's
concern, as on any wire.  A circuit belongs to the relay, not to one session with it: when that is replaced by another
(after a change of networks), the circuit goes on.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.errors import ConnectFailed, PeerkitError
from peerkit.first_byte import FirstByteRegistry
from peerkit.identity import PeerId
from peerkit.session import Session
from peerkit.transport import Buffer, DatagramEndpoint, DatagramHandler

from .codec import HEADER, TO_RELAY, CircuitTerms

PROTOCOL = "peerkit/relay"


class CircuitEndpoint:
    """Args:
        relay: where the relay is, `relay://RELAY@host:port`: also the address of whatever comes out of the circuit.
        peer_id: who is at the other end, as the relay says; the handshake proves it.
        find: the open session with the relay, if there is one.
        closed: called once, when somebody closes this end.

    Attributes:
        carried_bytes: both ways together, nearly as the relay counts.
        dropped: datagrams that no session took.
    """

    def __init__(
        self,
        terms: CircuitTerms,
        relay: Address,
        peer_id: PeerId,
        find: Callable[[], Session | None],
        closed: Callable[["CircuitEndpoint"], None],
    ) -> None:
        self.id = terms.id
        self.terms = terms
        self.peer_id = peer_id
        self.relay = relay
        self.carried_bytes = 0
        self.dropped = 0
        self._find = find
        self._closed = closed
        self._session: Session | None = None
        self._header = HEADER.pack(TO_RELAY, terms.id)
        self._handlers = FirstByteRegistry()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<CircuitEndpoint {self.id:08x} to {self.peer_id.short} over {self.relay}>"

    @property
    def local(self) -> Address:
        return self.relay

    @property
    def max_datagram_bytes(self) -> int:
        return self.terms.max_datagram_bytes

    def send_batch(self, local: Address | None, remote: Address, segment_bytes: int, buffers: Sequence[Buffer]) -> int:
        session = self._session
        if session is None or not session.is_open:
            session = self._session = None if self._is_closed else self._find()
        data = memoryview(b"".join(buffers))
        starts = range(0, len(data), segment_bytes)
        sent = 0
        if session is not None:
            try:
                for start in starts:
                    segment = data[start : start + segment_bytes]
                    session.send_datagram(PROTOCOL, b"".join((self._header, segment)))
                    sent += 1
            except PeerkitError:  # it ended, or takes less than it did: as on a wire, what does not fit is lost
                pass
        self.carried_bytes += len(data)
        self.dropped += len(starts) - sent
        return sent

    def receive(self, datagram: memoryview, now: float) -> None:
        """What came out of the circuit, without its header."""
        self.carried_bytes += len(datagram)
        if not self._is_closed:
            self._handlers.dispatch(datagram, len(datagram), self.relay, self.relay, now)
            self._handlers.turn_over()

    def register(
        self, first: int, last: int, handler: DatagramHandler, turn_over: Callable[[], None] | None = None
    ) -> None:
        self._handlers.register(first, last, handler, turn_over)

    async def open_more(self, n: int) -> Sequence[DatagramEndpoint]:
        raise ConnectFailed(str(self.relay), "a circuit has no ports")

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._session = None
            self._closed(self)


if TYPE_CHECKING:
    _fits: type[DatagramEndpoint] = CircuitEndpoint
