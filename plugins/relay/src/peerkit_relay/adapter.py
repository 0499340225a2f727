"""The plugin object: the protocol's handlers, the hooks, and the two sides of a relay, each in a module of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.capabilities import DIAGNOSIS, DIALER, SESSION_CONTROL, Finding
from peerkit.datagram import CircuitTransport
from peerkit.errors import LimitExceeded, NotFound, PeerkitError, RemoteProtocolError, TrustDenied
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext, hookimpl
from peerkit.protocol import ProtocolSpec, Request
from peerkit.routine import Routine
from peerkit.session import Session
from peerkit.transport import DatagramEndpoint
from peerkit.trust import Action, Question

from . import codec
from .circuit import PROTOCOL
from .client import RelayClient, tell
from .codec import CircuitTerms, Close, Connect, Incoming, Reserve
from .keeper import Keeper
from .service import Circuit, RelayService
from .settings import RelaySettings

PREFERENCE = 10  # after every transport that needs nobody else
LOOK_S = 5.0  # between two looks at reservations and circuits
TELL_TARGET_S = 4.0


class RelayPlugin:
    """One per node; serves and asks."""

    def __init__(self, ctx: PluginContext[RelaySettings]) -> None:
        self._ctx = ctx
        self._control = ctx.require(SESSION_CONTROL)
        self._service = RelayService(ctx.settings, ctx.rng)
        self._client = RelayClient(ctx)
        self._keeper = Keeper(ctx.spawn, ctx.require(DIALER), self._control)
        ctx.provide(DIAGNOSIS, self)

    # -- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def peerkit_register_transports(self) -> Sequence[CircuitTransport]:
        return [self]

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [
            ProtocolSpec(
                PROTOCOL,
                "1.0.0",
                accepts=">=1.0,<2",
                on_request=self._asked,
                on_message=self._told,
                on_datagram=self._carried,
                max_request_bytes=codec.MAX_MESSAGE_BYTES,
            )
        ]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return [Routine(f"{self._ctx.name}.look", self._look, LOOK_S, first_after_s=1.0)]

    # -- circuits to others (CircuitTransport) -------------------------------------------------------------------

    @property
    def schemes(self) -> Sequence[str]:
        return ("relay",)

    @property
    def preference(self) -> int:
        return PREFERENCE

    async def open(self, address: Address) -> DatagramEndpoint:
        endpoint = await self._client.open(address)
        self._keep()
        return endpoint

    # -- what peers say ------------------------------------------------------------------------------------------

    async def _asked(self, request: Request) -> bytes:
        session = request.session
        match codec.decode_ask(request.payload):
            case Reserve():
                self._check_service(session)
                prefix = "" if session.remote.is_local else session.remote.prefix
                life_s = self._service.reserve(session.peer_id, prefix, self._ctx.clock.now())
                self._keep()
                return codec.encode_reservation(life_s)
            case Connect(target):
                self._check_service(session)
                return await self._lead(session, target)
            case Incoming() as incoming:
                self._client.arrived(session, incoming)
                self._keep()
                return b""
            case Close():
                raise RemoteProtocolError("a circuit's end is no request")

    def _check_service(self, session: Session) -> None:
        """Raises `TrustDenied`, `LimitExceeded`."""
        if not self._ctx.settings.serve or self._client.is_needed:
            raise LimitExceeded("this node does not serve as a relay")
        decision = self._ctx.check(Question(Action.RELAY, session.peer_id, session.remote))
        if not decision.allow:
            raise TrustDenied(Action.RELAY.value, decision.policy, "refused")

    async def _lead(self, session: Session, target: PeerId) -> bytes:
        """Make a circuit: the target must take it before the asker may use it."""
        there = self._control.find(target)
        if there is None:
            raise NotFound(f"{target.short} is not connected to this relay")
        circuit = self._service.connect(session.peer_id, target, self._ctx.clock.now())
        room = min(session.max_datagram_bytes, there.max_datagram_bytes, codec.MAX_DATAGRAM_BYTES)
        settings = self._ctx.settings
        terms = CircuitTerms(circuit.id, room - codec.HEADER.size, settings.circuit_s, settings.circuit_bytes)
        try:
            incoming = codec.encode_ask(Incoming(session.peer_id, terms))
            await there.request(PROTOCOL, incoming, TELL_TARGET_S)
        except PeerkitError as exc:
            self._service.close(circuit.id, target)
            raise NotFound(f"{target.short} did not take the circuit: {exc}") from exc
        self._keep()
        return codec.encode_circuit(terms)

    def _told(self, request: Request) -> None:
        ask = codec.decode_ask(request.payload)
        if not isinstance(ask, Close):
            raise RemoteProtocolError("a relay was told something that is a request")
        by = request.session.peer_id
        circuit = self._service.close(ask.circuit, by)
        if circuit is None:
            self._client.closed_by_relay(by, ask.circuit)
        else:
            self._end(circuit, ask.reason, but=by)

    def _carried(self, session: Session, datagram: bytes) -> None:
        if datagram.startswith(codec.FROM_RELAY_BYTE):
            self._client.receive(session.peer_id, datagram)
            return
        forwarded = self._service.forward(session.peer_id, datagram)
        if forwarded is not None:
            there = self._control.find(forwarded[0])
            try:
                if there is not None:
                    there.send_datagram(PROTOCOL, forwarded[1])
            except PeerkitError:
                self._service.dropped += 1  # the session takes less now than when the circuit was made, or is over

    # -- in the course of time -----------------------------------------------------------------------------------

    async def _look(self) -> None:
        now = self._ctx.clock.now()
        for circuit, reason in self._service.sweep(now):
            self._end(circuit, reason)
        for peer_id in self._service.peers:
            if self._control.find(peer_id) is None:
                for circuit in self._service.lost(peer_id):
                    self._end(circuit, f"{peer_id.short} has gone", but=peer_id)
        await self._client.sweep()
        await self._client.reserve()
        self._keep()

    def _end(self, circuit: Circuit, reason: str, but: PeerId | None = None) -> None:
        """Tell both ends, but the one that knows."""
        for peer_id in (circuit.dialer, circuit.target):
            session = self._control.find(peer_id) if peer_id != but else None
            if session is not None:
                self._ctx.spawn(tell(session, Close(circuit.id, reason)), f"end circuit {circuit.id:08x}")

    def _keep(self) -> None:
        self._keeper.keep_only(self._service.peers | self._client.relays)

    # -- what a person should know -------------------------------------------------------------------------------

    async def diagnose(self) -> Sequence[Finding]:
        client, service = self._client, self._service
        found = []
        if client.is_needed and client.reservations:
            names = ", ".join(relay.short for relay in client.reservations)
            text = f"strangers reach this node through {names}"
            found.append(Finding("relay", "ok", text, {"relays": [str(relay) for relay in client.reservations]}))
        elif client.is_needed and self._ctx.settings.relays:
            why = "; ".join(f"{relay.short}: {reason}" for relay, (reason, _) in client.refusals.items())
            text = f"no relay serves this node ({why or 'no peer that it knows is one'})"
            found.append(Finding("relay", "problem", text))
        if service.reservations or service.circuits:
            carried = sum(circuit.carried_bytes for circuit in service.circuits.values())
            text = f"this node relays for {len(service.reservations)} peers over {len(service.circuits)} circuits"
            found.append(Finding("relay", "info", text, {"carried_bytes": carried}))
        return found


if TYPE_CHECKING:
    _fits: type[CircuitTransport] = RelayPlugin
