"""Capabilities: named interfaces that one plugin provides and others require, so that plugins work together without
knowing each other.

A capability is a typed token.  `ctx.provide(TOKEN, obj)` and `ctx.require(TOKEN)` are checked by mypy on both sides.
While a provider is down, calls raise `Unavailable`.  Only those that have a provider and a consumer are here; anyone
may publish another in a package of interfaces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Literal, Protocol, TypeVar

from .address import Address
from .identity import PeerId
from .record import PeerRecord
from .session import DialTarget, Session
from .transport import DatagramEndpoint

T = TypeVar("T")


@dataclass(frozen=True)  # no slots: `Capability[X](…)` could not be made on Python 3.11
class Capability(Generic[T]):
    """A token.

    Attributes:
        name: `<who>.<what>/<version>`; a new version is a new capability.
        many: several plugins may provide it at once (`require_all`); otherwise two providers are an error that names
            both.
    """

    name: str
    many: bool = False


class Dialer(Protocol):
    """The kernel's way to a peer.  Everything goes through the pool and its trust gate."""

    def transient(self, target: DialTarget, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Session]:
        """Borrow a session to `target` for a few requests: the member session if there is one, else an open transient
        one, else a new one (kept for 10 s of idleness, shared by all borrowers).

        Raises `PeerUnreachable`, `ConnectFailed`, `DeadlineExceeded`, `TrustDenied`, `LimitExceeded`.
        """
        ...

    def probe(self, address: Address, timeout_s: float = 5.0) -> AbstractAsyncContextManager[Session]:
        """A session of its own to exactly this address, whatever sessions there are and however often it failed before:
        proof that who is named there (`address.peer_id`) answers there.  Nobody else gets it; it ends with the block,
        and a failure does not count against the address.  Raises as `transient` does.
        """
        ...


class DatagramEndpoints(Protocol):
    """The node's datagram sockets, which everybody shares, so that the mapping which a stranger observes is the mapping
    in use.  Each is opened and closed by the kernel."""

    def watch(self, opened: Callable[[DatagramEndpoint], None]) -> None:
        """Call `opened` for every endpoint, those that are open and those to come, before anything is sent from it: the
        place to `register` one's first bytes.  In a factory or in `start`."""
        ...

    async def towards(self, remote: Address) -> DatagramEndpoint:
        """One that can reach `remote`: of its family, bound to a wildcard, or to loopback when `remote` is loopback.
        The first that `[node] listen` names, else one on a port of the system's choice.  Raises `ConnectFailed`."""
        ...

    def adopt(self, endpoint: DatagramEndpoint) -> None:
        """Let every watcher and datagram transport use an endpoint that somebody else made (a socket of
        `DatagramEndpoint.open_more`, a relay's circuit).  The node takes connections there if it listens anywhere."""
        ...

    def drop(self, endpoint: DatagramEndpoint) -> None:
        """Take an adopted endpoint from everybody and close it.  Idempotent."""
        ...


class SessionControl(Protocol):
    """Moves sessions to better paths."""

    def find(self, peer_id: PeerId) -> Session | None:
        """The open session with a peer: the member session, else a transient one."""
        ...

    def offer_path(self, session: Session, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        """Another way to the peer of `session`, from hole punching or a relay.  Its transport validates it and moves
        when it is better; `SessionPathsChanged` tells.  `False`: the session cannot move (it is on a pipe, or over).

        Args:
            endpoint: one of the node's, or an adopted one.
            local: our address on a wildcard endpoint, or `None`.
        """
        ...

    async def meet(self, session: Session, local: Address, remote: Address) -> None:
        """Connect to the peer of `session` at the moment at which it connects to us: both ends call this at once, each
        with its own address and the other's as a third peer sees them.  The two attempts become one connection with a
        session of its own, dialled by the end that dialled `session`.  It takes the place of `session`, which serves
        what it has begun and ends when it is idle; `SessionPathsChanged` tells.  Returns when there is a connection,
        at the end that dialled: when the new session has taken its place.

        Args:
            local: what a connection of ours has already, so that a router gives this one the same port.

        Raises:
            ConnectFailed: with the reason.  While the other side is not there yet, it goes on.
            EndpointClosed: the session is over.
            TrustDenied, LimitExceeded: as for other dials.
        """
        ...


class OwnAddresses(Protocol):
    """Where this node can be reached, as its record says."""

    @property
    def bound(self) -> Sequence[Address]:
        """What the listeners are bound to, with real ports; a wildcard stays a wildcard.  Empty before the node listens
        and when it listens nowhere."""
        ...

    @property
    def addresses(self) -> Sequence[Address]:
        """What our record says now: what plugins found first, then the listeners' (a wildcard as every address of the
        machine)."""
        ...

    def advertise(self, source: str, addresses: Sequence[Address]) -> None:
        """Replace what `source`, a plugin's name, has found.  When that changes the record it is made anew, and our
        peers are told.  A record keeps 16 addresses, 3 of relays."""
        ...

    def judge(self, is_reachable: bool | None) -> None:
        """Whether strangers reach us; `None` while nobody has tried.  `False` makes our record a client's, which enters
        no routing table."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should know when something does not work.

    Attributes:
        topic: what it is about, a word or two: `NAT`, `port mapping`, `peer p2xk…`.
        verdict: `problem` asks for an act of the owner, `warning` costs something, the others are as they should be.
        text: one sentence, with the cause when there is one.
        details: figures and names for programs; values are JSON.
    """

    topic: str
    verdict: Literal["ok", "info", "warning", "problem"]
    text: str
    details: Mapping[str, object] = field(default_factory=dict)


class Diagnosis(Protocol):
    """What a plugin knows about how well the node is reached; `peerkit doctor` asks all."""

    async def diagnose(self) -> Sequence[Finding]:
        """Look now, in at most 10 s."""
        ...


class NetworkKey(Protocol):
    """Secrets that all members of this network have in common.  In a public network everybody who knows its name can
    compute them; in a private one only who has its pre-shared key."""

    def derive(self, label: bytes, length: int = 32) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A port that the router forwards to us.

    Attributes:
        internal, external: our listener there and here.  An external host that is not public tells of a second NAT.
        protocol: how the router was asked: `pcp`, `nat_pmp` or `upnp`.
        gateway: the router.
        expires_at: of `Clock.now`, unless renewed.
    """

    internal: Address
    external: Address
    protocol: str
    gateway: str
    expires_at: float


class PortMapper(Protocol):
    """Asks the router for port mappings."""

    def mappings(self) -> Sequence[PortMapping]:
        """Those in force now."""
        ...


class AddressBook(Protocol):
    """Peer records that this node knows; bounded, kept on disk."""

    def get(self, peer_id: PeerId) -> PeerRecord | None: ...

    def add(self, record: PeerRecord) -> bool:
        """Keep a verified record if it is newer than what we have; `False` otherwise."""
        ...

    def own(self) -> PeerRecord:
        """Our own current record."""
        ...

    def records(self) -> Sequence[PeerRecord]: ...


@dataclass(frozen=True, slots=True)
class Lookup:
    """The outcome of an iterative lookup.

    Attributes:
        closest: up to k live records, nearest first.
        hops: length of the chain of answers that led to the nearest peer (0: it was in the table).
        queried: peers asked.
        exact: whether every one of the k nearest answered.
    """

    closest: tuple[PeerRecord, ...]
    hops: int
    queried: int
    exact: bool


class PeerRouting(Protocol):
    """Finds peers by id or by nearness to a key."""

    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None: ...

    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        """The peers nearest to a 32-byte key (XOR of the key and the hash of the peer id)."""
        ...


class ContentRouting(Protocol):
    """Finds who has content."""

    async def provide(self, key: bytes) -> int:
        """Say that we provide `key` (32 bytes), again and again until `unprovide`, across restarts too.  Returns how
        many peers keep our signed record now."""
        ...

    async def unprovide(self, key: bytes) -> None: ...

    def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        """Verified records of providers as they are found, ourselves left out; ends when the lookup does."""
        ...


@dataclass(frozen=True, slots=True)
class MutableRecord:
    """A signed value that its author may replace by one with a higher sequence."""

    author: PeerId
    salt: bytes
    sequence: int
    value: bytes


class RecordStore(Protocol):
    """Small values kept by the peers nearest to their key."""

    async def put_immutable(self, value: bytes) -> bytes:
        """Store up to 8 KiB under its hash; returns the 32-byte key.  Raises `LimitExceeded` when longer."""
        ...

    async def get_immutable(self, key: bytes) -> bytes:
        """Raises `NotFound`."""
        ...

    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None = None) -> int:
        """Sign and store up to 1 KiB under (our id, salt); returns the sequence used."""
        ...

    async def get_mutable(self, author: PeerId, salt: bytes) -> MutableRecord:
        """The newest that can be found.  Raises `NotFound`."""
        ...


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """One piece of content of this node.  `content_id` is the text form."""

    content_id: str
    name: str
    size_bytes: int
    type: str  # a MIME type, or "folder"
    listed: bool
    complete: bool


class BlobStore(Protocol):
    """Content by id: what this node shares and what it fetched."""

    def listing(self) -> Sequence[BlobInfo]:
        """Everything shared, newest first."""
        ...

    def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """Verified bytes of local content.  Raises `NotFound`, `VerificationFailed`."""
        ...


class NatMapping(Enum):
    """How the routers before us choose the external port of one socket of ours.  Words of RFC 4787 §4.1, where
    address-dependent and address-and-port-dependent mapping are both "symmetric" here: a peer that was told what
    another one saw sends to the wrong port in either case."""

    UNKNOWN = "unknown"  # too few observers
    NONE = "none"  # no translation: peers see an address of our own interfaces
    ENDPOINT_INDEPENDENT = "endpoint_independent"  # all peers see the same external address and port
    SYMMETRIC = "symmetric"  # every peer sees another port, and nobody can tell the next
    SYMMETRIC_SEQUENTIAL = "symmetric_sequential"  # every peer sees another port, `port_step` after the last one


class NatFiltering(Enum):
    """Whose packets the routers before us let in to a mapping that exists.  Words of RFC 4787 §5."""

    UNKNOWN = "unknown"
    ENDPOINT_INDEPENDENT = "endpoint_independent"  # anybody's, or there is no filter
    ADDRESS_DEPENDENT = "address_dependent"  # from every port of an IP that we sent to
    ADDRESS_AND_PORT_DEPENDENT = "address_and_port_dependent"  # only from where we sent to


class Reachability(Protocol):
    """What the outside sees of this node, as peers told and tried.  All properties are read at once, without I/O."""

    def observed(self, scheme: str) -> Sequence[Address]:
        """External addresses of our sockets as peers see them now, most witnesses first, then the newest first.

        Args:
            scheme: `udp`: of the shared endpoints, port included.  A stream's scheme: the IPs that peers see, with the
                port on which we listen for it, which is a guess where a router translates; none when we do not listen.
        """
        ...

    @property
    def mapping(self) -> NatMapping:
        """Of the shared UDP socket (of IPv4 where there is one)."""
        ...

    @property
    def filtering(self) -> NatFiltering:
        """Of the shared UDP socket."""
        ...

    @property
    def port_step(self) -> int:
        """How far the next mapping's port lies from the last seen one; 0 unless the mapping is sequential."""
        ...

    @property
    def is_public(self) -> bool | None:
        """Whether strangers reach us directly; `None` while nobody has tried enough."""
        ...


DIALER: Capability[Dialer] = Capability("peerkit.dialer/1")
ADDRESS_BOOK: Capability[AddressBook] = Capability("peerkit.address_book/1")
DATAGRAM_ENDPOINTS: Capability[DatagramEndpoints] = Capability("peerkit.datagram_endpoints/1")
SESSION_CONTROL: Capability[SessionControl] = Capability("peerkit.session_control/1")
OWN_ADDRESSES: Capability[OwnAddresses] = Capability("peerkit.own_addresses/1")
DIAGNOSIS: Capability[Diagnosis] = Capability("peerkit.diagnosis/1", many=True)
NETWORK_KEY: Capability[NetworkKey] = Capability("peerkit.network_key/1")
PORT_MAPPER: Capability[PortMapper] = Capability("peerkit.port_mapper/1")
PEER_ROUTING: Capability[PeerRouting] = Capability("peerkit.peer_routing/1")
CONTENT_ROUTING: Capability[ContentRouting] = Capability("peerkit.content_routing/1")
RECORD_STORE: Capability[RecordStore] = Capability("peerkit.record_store/1")
BLOB_STORE: Capability[BlobStore] = Capability("peerkit.blob_store/1")
REACHABILITY: Capability[Reachability] = Capability("peerkit.reachability/1")

KernelCapability = (
    Capability[Dialer]
    | Capability[AddressBook]
    | Capability[DatagramEndpoints]
    | Capability[OwnAddresses]
    | Capability[SessionControl]
)
KERNEL_CAPABILITIES: Mapping[str, KernelCapability] = {
    DIALER.name: DIALER,
    ADDRESS_BOOK.name: ADDRESS_BOOK,
    DATAGRAM_ENDPOINTS.name: DATAGRAM_ENDPOINTS,
    OWN_ADDRESSES.name: OWN_ADDRESSES,
    SESSION_CONTROL.name: SESSION_CONTROL,
}
