"""What a datagram transport gives the kernel, and what the kernel gives it.

The kernel owns the sockets and the sessions; the transport owns packets, acknowledgements, loss recovery, congestion
and paths.  A transport plugin offers a `DatagramTransport` through the same hook as a stream transport.  How a session
comes to be, with the transport's part on the left:

    dialer                                                acceptor
    dial(address, endpoint, attempt)                      attach(endpoint, acceptor)
    opening = attempt.open(binding, ended)
    send opening.messages_to_send()          ──────▶      a first packet: opening = acceptor.accept(remote, …)
                                                          (`None`: refused, in silence)
                                                          opening.receive_message(message)
    opening.receive_message(message)         ◀──────      send opening.messages_to_send()
    opening.keys are there: protect packets               opening.keys are there: open packets, send none
    session = opening.confirm(carrier)       ──────▶      a packet opens: session = opening.confirm(carrier)

Messages may be lost, doubled and forged: the transport sends them again until they are answered, and a message that
does not verify changes nothing.  The same first message gets the same answer again, from the transport's store.

Not here: `DatagramEndpoint`, `Carrier` and `FrameSource` (`transport.py`), paths from outside (`capabilities.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .address import Address
from .identity import PeerId
from .security import PacketProtection, PlaintextWrapper
from .transport import Carrier, DatagramEndpoint, FrameSource


class SessionKeys(Protocol):
    """What protects the packets of one session, once the handshake is complete on this side.

    Attributes:
        send, receive: the first generation of each direction.  One counter space per direction and generation, for all
            paths; take `next_generation()` after `max_packets` or `life_s`, whichever comes first.
        wrappers: applied to a payload in order before it is sealed, in reverse after it was opened; mostly none.
        life_s: how long one generation may seal.
    """

    @property
    def send(self) -> PacketProtection: ...
    @property
    def receive(self) -> PacketProtection: ...
    @property
    def wrappers(self) -> Sequence[PlaintextWrapper]: ...
    @property
    def life_s(self) -> float: ...

    def export(self, label: bytes, length: int = 32) -> bytes:
        """A secret of this session, the same at both ends: for header masks, tickets, reset tokens."""
        ...


class SessionOpening(Protocol):
    """One handshake on its way to a session.  The transport moves its messages; the kernel asks the trust gate, agrees
    on terms, keeps the deadline and counts.

    It is over after `confirm`, after `abandon`, or when the kernel gives it up; then no method but `abandon` may be
    called.
    """

    @property
    def is_dialer(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    @property
    def peer_id(self) -> PeerId | None:
        """Who is proven; `None` while nobody is.  Before `keys` are there it may be somebody whose old message was
        replayed."""
        ...

    def messages_to_send(self) -> Sequence[bytes]:
        """Messages that are due now, in order, at most 8 KiB each; ask after the opening was made and after each
        `receive_message`.  Each is given once: keep it to send it again."""
        ...

    def receive_message(self, message: bytes) -> None:
        """Take the other side's next message, whole.

        Raises:
            RemoteProtocolError: it does not verify, and nothing has changed: go on waiting, as it may be forged.  When
                `is_over` is true afterwards, the peer is proven and our terms do not meet: the opening has ended.
            TrustDenied: the gate refused that peer.  The opening has ended; answer nothing.
        """
        ...

    @property
    def keys(self) -> SessionKeys | None:
        """Set once the handshake is complete on this side."""
        ...

    def confirm(self, carrier: Carrier) -> FrameSource:
        """Make the session.  A dialer calls this as soon as there are `keys`, before it seals its first packet; an
        acceptor when the first packet of the dialer opens under them, never sooner: until then nobody hears of it.

        The session has something to say at once: pull it.  It may call `carrier.wake` and `carrier.close` before this
        returns.

        Raises:
            ConnectFailed: of a dialer: another way to the same peer was faster.  The opening has ended; send nothing.
            TrustDenied: of an acceptor: by now the gate refuses the peer.  The opening has ended; stay silent.
        """
        ...

    def abandon(self, reason: str) -> None:
        """Give up an opening that is not confirmed, and free its place.  Idempotent; `ended` is not called.

        Of a dialer, when it was the last opening of its attempt: the attempt has failed for that reason."""
        ...


class SessionAcceptor(Protocol):
    """Takes the first packets of strangers."""

    @property
    def is_busy(self) -> bool:
        """Many handshakes are on their way: let strangers prove their address by a cookie before `accept` is asked."""
        ...

    def accept(self, remote: Address, binding: bytes, ended: Callable[[], None]) -> SessionOpening | None:
        """Somebody sent the first message of a handshake.  Asks the trust gate for the address and takes a place among
        the handshakes; each call counts against the budgets of that address and of the node, so ask once for one first
        message and remember its opening.

        Args:
            binding: not empty; what both ends of this transport have the same, and must not be bent on the way: the
                packet format with its version and the version that was first offered.  It goes into the prologue.
            ended: called at most once, when the kernel gives the opening up (its deadline passed, the node stops):
                forget it.

        Returns:
            `None`: refused.  Send nothing, not even an error.
        """
        ...


class DialAttempt(Protocol):
    """One address of a peer that is being dialled.  The kernel keeps the deadline: when it passes, or the dial is
    cancelled, or another address was faster, every opening of the attempt is `ended`."""

    @property
    def address(self) -> Address: ...

    @property
    def expected_peer(self) -> PeerId | None:
        """Who must answer; `None` when only the address is known."""
        ...

    @property
    def knows_key(self) -> bool:
        """Whether the peer's handshake key is known: one round trip, unless the key has changed since."""
        ...

    @property
    def is_over(self) -> bool:
        """Won, failed or cancelled: nothing may be sent for it any more."""
        ...

    def open(self, binding: bytes, ended: Callable[[], None], with_key: bool = True) -> SessionOpening:
        """Begin a handshake; several may run beside each other, and the first that is confirmed ends the rest.

        Args:
            binding, ended: as for `SessionAcceptor.accept`.
            with_key: use the peer's handshake key if it is known.  When that has no answer within one retransmission
                time, open a second one without it.

        Raises:
            ConnectFailed: the attempt is over.
        """
        ...

    def fail(self, reason: str) -> None:
        """This address leads nowhere (another version, a refusal): end all openings, let the kernel try the next.
        Idempotent."""
        ...


class CircuitTransport(Protocol):
    """Leads datagrams to peers that no socket reaches: over a third node.

    Offered through the same hook as transports.  The preferred datagram transport runs its sessions on what this opens,
    so that the third node carries nothing but sealed packets, and a session can move from a circuit to a direct path.
    """

    @property
    def schemes(self) -> Sequence[str]: ...

    @property
    def preference(self) -> int:
        """As `StreamTransport.preference`; less than every transport that needs nobody else."""
        ...

    async def open(self, address: Address) -> DatagramEndpoint:
        """A circuit to `address.peer_id`.  The kernel adopts the endpoint, sends to `address.without_peer()`, and drops
        the endpoint if the dial comes to nothing; its end is the transport's to find.  The kernel sets the deadline by
        cancelling.

        Raises:
            ConnectFailed: with the reason.
        """
        ...


class DatagramTransport(Protocol):
    """Runs sessions on datagram endpoints.  The kernel opens and closes the endpoints: for the addresses of its schemes
    in `[node] listen`, and for dialling where none of them can reach the address."""

    @property
    def schemes(self) -> Sequence[str]: ...

    @property
    def preference(self) -> int:
        """As `StreamTransport.preference`; a transport that is faster than TCP has more than 50."""
        ...

    def attach(self, endpoint: DatagramEndpoint, acceptor: SessionAcceptor) -> None:
        """Use an endpoint from now on: register the transport's first bytes there.  Called once for each endpoint
        before anything is dialled through it.  On an endpoint that is only for dialling, `acceptor` refuses all.

        Raises:
            PluginConflictError: those first bytes are taken.
        """
        ...

    def detach(self, endpoint: DatagramEndpoint) -> None:
        """The endpoint is about to close: forget what was attached, end the connections that have no other.
        Idempotent."""
        ...

    def dial(self, address: Address, endpoint: DatagramEndpoint, attempt: DialAttempt) -> None:
        """Begin to dial, and return at once; `attempt` learns how it went.

        Raises:
            ConnectFailed: nothing can be sent there from this endpoint.
        """
        ...
