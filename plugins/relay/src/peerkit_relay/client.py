"""The asking side: reservations with relays while strangers cannot reach us, circuits to others and from others."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from peerkit.address import Address, Contact
from peerkit.capabilities import (
    ADDRESS_BOOK,
    DATAGRAM_ENDPOINTS,
    DIALER,
    OWN_ADDRESSES,
    REACHABILITY,
    SESSION_CONTROL,
)
from peerkit.errors import ConnectFailed, LimitExceeded, PeerkitError, TrustDenied
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.session import DialTarget, Session

from .circuit import PROTOCOL, CircuitEndpoint
from .codec import (
    HEADER,
    CircuitTerms,
    Close,
    Connect,
    Incoming,
    Reserve,
    decode_circuit,
    decode_reservation,
    encode_ask,
)
from .settings import RelaySettings

MAX_CIRCUITS = 64  # of ours, both ways: each is a socket to all that watch endpoints
UNUSED_S = 20.0  # a circuit without a session over it is closed after so long
DIAL_S = 5.0
SPENT = 0.75  # of a circuit's seconds or bytes: time to open the next one
OLD_RECORD_S = 120.0  # guess: so long others may still have a record of ours that names a relay
RETRY_S = 30.0  # a relay that refused is asked again after so long


@dataclass(frozen=True, slots=True)
class Lease:
    """A reservation that a relay granted."""

    renew_at: float
    ends_at: float


class RelayClient:
    """Attributes:
    reservations: by relay.
    refusals: relay → why it did not serve us, and when it may be asked again.
    circuits: our ends, by relay and id.
    """

    def __init__(self, ctx: PluginContext[RelaySettings]) -> None:
        self._ctx = ctx
        self._now = ctx.clock.now
        self._book = ctx.require(ADDRESS_BOOK)
        self._dialer = ctx.require(DIALER)
        self._control = ctx.require(SESSION_CONTROL)
        self._endpoints = ctx.require(DATAGRAM_ENDPOINTS)
        self._own = ctx.require(OWN_ADDRESSES)
        self._reach = ctx.find(REACHABILITY)
        self.reservations: dict[PeerId, Lease] = {}
        self.refusals: dict[PeerId, tuple[str, float]] = {}
        self.circuits: dict[tuple[PeerId, int], CircuitEndpoint] = {}
        self._unused_since: dict[CircuitEndpoint, float] = {}
        self._opened: dict[CircuitEndpoint, tuple[Address, float]] = {}  # those that we dialled, whereto and when

    # -- reservations --------------------------------------------------------------------------------------------

    @property
    def is_needed(self) -> bool:
        """Whether strangers cannot come to us otherwise: they tried in vain, or we have no public address.  One that a
        router translates counts only when somebody came in there: until then nobody knows whom it lets in."""
        if self._reach is not None and self._reach.is_public is not None:
            return not self._reach.is_public
        if not self._own.bound:
            return True
        known = [a for a in self._own.addresses if a.via is None and self._may_serve_from(a)]
        if self._reach is not None:
            interfaces = self._ctx.network.interface_addresses()
            known = [a for a in known if a.host in interfaces]
        return not known

    def _may_serve_from(self, address: Address) -> bool:
        """Whether strangers could come to that address, if nothing is in their way."""
        return not address.is_local or self._ctx.settings.on_private_networks

    async def reserve(self) -> None:
        """Have as many reservations as the settings ask for: renew, ask others, tell the record."""
        now = self._now()
        for relay in tuple(self.reservations):
            if self.reservations[relay].ends_at <= now or self._control.find(relay) is None:
                del self.reservations[relay]
        if not (is_needed := self.is_needed):
            for relay, lease in self.reservations.items():
                self.reservations[relay] = Lease(now, min(lease.ends_at, now + OLD_RECORD_S))
        else:
            due = [relay for relay in self.reservations if self.reservations[relay].renew_at <= now]
            wanted = self._ctx.settings.relays - len(self.reservations)
            fresh = [relay for relay in self._candidates() if self.refusals.get(relay, ("", 0.0))[1] <= now]
            for relay in due + fresh[: max(wanted, 0)]:
                await self._reserve_at(relay)
        advertised = self.reservations if is_needed else ()
        self._own.advertise(self._ctx.name, [a for relay in advertised for a in self._addresses_over(relay)])

    def _candidates(self) -> list[PeerId]:
        """Members that speak our protocol and have a public address, by the age of their membership."""
        found = [peer.id for peer in self._ctx.pool.peers() if PROTOCOL in peer.protocols]
        return [relay for relay in found if relay not in self.reservations and self._addresses_over(relay)]

    async def _reserve_at(self, relay: PeerId) -> None:
        now = self._now()
        try:
            async with self._dialer.transient(relay, DIAL_S) as session:
                life_s = decode_reservation(await session.request(PROTOCOL, encode_ask(Reserve()), DIAL_S))
        except PeerkitError as exc:
            self.refusals[relay] = (str(exc), now + RETRY_S)
            if len(self.refusals) > MAX_CIRCUITS:
                del self.refusals[next(iter(self.refusals))]
            return
        self.refusals.pop(relay, None)
        self.reservations[relay] = Lease(now + life_s / 2, now + life_s)

    def _addresses_over(self, relay: PeerId) -> Sequence[Address]:
        """Where others find the relay: its first public UDP address, and its TCP one where that has another port."""
        record = self._book.get(relay)
        known = record.addresses if record is not None and not record.is_client else ()
        direct = [a for a in known if a.via is None and self._may_serve_from(a)]
        first = {a.scheme: a for a in reversed(direct)}
        chosen = [first[scheme] for scheme in ("udp", "tcp") if scheme in first]
        return list(dict.fromkeys(Address("relay", a.host, a.port, None, relay) for a in chosen))

    # -- circuits ------------------------------------------------------------------------------------------------

    async def open(self, address: Address) -> CircuitEndpoint:
        """See `peerkit.datagram.CircuitTransport`."""
        relay, target = address.via, address.peer_id
        if relay is None or target is None:
            raise ConnectFailed(str(address), "the address does not name the relay and the peer behind it")
        if len(self.circuits) >= MAX_CIRCUITS:
            raise ConnectFailed(str(address), f"there are {MAX_CIRCUITS} circuits already")
        try:
            async with self._dialer.transient(self._way_to(relay, address), DIAL_S) as session:
                terms = decode_circuit(await session.request(PROTOCOL, encode_ask(Connect(target)), DIAL_S))
                endpoint = self._add(terms, address.without_peer(), relay, target)
                self._opened[endpoint] = (address, self._now())
                return endpoint
        except PeerkitError as exc:
            raise ConnectFailed(str(address.without_peer()), f"the relay does not lead there: {exc}") from exc

    def _way_to(self, relay: PeerId, address: Address) -> DialTarget:
        if self._control.find(relay) is not None:
            return relay
        ways = tuple(Address(scheme, address.host, address.port, relay) for scheme in ("udp", "tcp"))
        record = self._book.get(relay)
        known = tuple(a for a in record.addresses if a.via is None) if record is not None else ()
        return Contact(relay, tuple(dict.fromkeys((*ways, *(a.with_peer(relay) for a in known)))))

    def arrived(self, session: Session, incoming: Incoming) -> None:
        """A relay leads somebody to us.

        Raises:
            TrustDenied: we asked for no reservation there.
            LimitExceeded: there are too many circuits.
        """
        relay = session.peer_id
        if relay not in self.reservations:
            raise TrustDenied("relay", "relay", "there is no reservation with that relay")
        if len(self.circuits) >= MAX_CIRCUITS:
            raise LimitExceeded("there are too many circuits")
        if (relay, incoming.circuit.id) in self.circuits:
            raise LimitExceeded("that circuit is there already")
        remote = session.remote
        address = Address("relay", remote.host, remote.port, None, relay)
        self._endpoints.adopt(self._add(incoming.circuit, address, relay, incoming.dialer))

    def receive(self, relay: PeerId, datagram: bytes) -> None:
        """What a relay hands on, with its header; of no circuit of ours it is dropped."""
        if len(datagram) > HEADER.size:
            endpoint = self.circuits.get((relay, HEADER.unpack_from(datagram)[1]))
            if endpoint is not None:
                endpoint.receive(memoryview(datagram)[HEADER.size :], self._now())

    def closed_by_relay(self, relay: PeerId, circuit_id: int) -> None:
        endpoint = self.circuits.pop((relay, circuit_id), None)
        if endpoint is not None:
            self._endpoints.drop(endpoint)

    async def sweep(self) -> None:
        """Close the circuits over which there is no session; open the next one where the relay will soon end it."""
        now = self._now()
        for endpoint in tuple(self.circuits.values()):
            if self._control.find(endpoint.peer_id) is not None:
                self._unused_since.pop(endpoint, None)
            elif now - self._unused_since.setdefault(endpoint, now) >= UNUSED_S:
                self._endpoints.drop(endpoint)
        for endpoint, (address, opened_at) in tuple(self._opened.items()):
            terms = endpoint.terms
            if now - opened_at > SPENT * terms.life_s or endpoint.carried_bytes > SPENT * terms.max_bytes:
                await self._follow(endpoint, address)

    async def _follow(self, spent: CircuitEndpoint, address: Address) -> None:
        """Give the session over a circuit another one, and let the old one end by itself."""
        session = self._control.find(spent.peer_id)
        del self._opened[spent]
        if session is None:
            return
        try:
            endpoint = await self.open(address)
        except ConnectFailed as exc:
            self._ctx.log.info("no circuit follows", peer=spent.peer_id.short, reason=exc.reason)
            return
        self._endpoints.adopt(endpoint)
        if not self._control.offer_path(session, endpoint, None, address.without_peer()):
            self._endpoints.drop(endpoint)

    @property
    def relays(self) -> set[PeerId]:
        """Whose sessions are needed."""
        return {relay for relay, _ in self.circuits} | set(self.reservations)

    def _add(self, terms: CircuitTerms, address: Address, relay: PeerId, peer_id: PeerId) -> CircuitEndpoint:
        endpoint = CircuitEndpoint(terms, address, peer_id, lambda: self._control.find(relay), self._closed)
        self.circuits[relay, endpoint.id] = endpoint
        return endpoint

    def _closed(self, endpoint: CircuitEndpoint) -> None:
        """Our end is closed: tell the relay, unless it was the one who did it."""
        relay = endpoint.relay.via
        assert relay is not None
        self._unused_since.pop(endpoint, None)
        self._opened.pop(endpoint, None)
        session = self._control.find(relay)
        if self.circuits.pop((relay, endpoint.id), None) is not None and session is not None:
            self._ctx.spawn(tell(session, Close(endpoint.id, "closed")), f"close circuit {endpoint.id:08x}")


async def tell(session: Session, close: Close) -> None:
    """Say that a circuit is over; a session that is over has said so."""
    with suppress(PeerkitError):
        await session.send(PROTOCOL, encode_ask(close))
