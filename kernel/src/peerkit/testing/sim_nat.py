"""A NAT of the simulated network: flows and ports, as a router keeps them.

    packet from inside  ──▶ `translate`: its flow's external port, a new one by the kind's mapping ──▶ outside
    packet from outside ──▶ `let_in`: its flow's inner end, or the port's by the kind's filtering  ──▶ inside

A flow is a protocol, an inner end and a remote end; it lives as long as Linux's connection tracking lets it.  Streams
that are open outlive everything here: only how they begin is translated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..address import Address
from ..capabilities import NatFiltering, NatMapping
from .nat_kinds import NatKind

if TYPE_CHECKING:
    from .sim_host import SimHost
    from .sim_network import SimNetwork

End = tuple[str, int]  # an IP and a port
UNANSWERED_S = 30.0  # nf_conntrack_udp_timeout
ANSWERED_S = 120.0  # nf_conntrack_udp_timeout_stream
STREAM_S = 7_440.0  # RFC 5382 §5
FIRST_PORT = 1_024
_REBINDING_STEP = 8_000  # how far ports move when mappings were forgotten


@dataclass(slots=True)
class _Flow:
    inner: End
    port: int
    expires_at: float


class SimNat:
    """A router with one address outside.  `SimNetwork.nat` makes it.

    Attributes:
        ip: its address outside.
        outer: the NAT that it is itself behind.
        edge: the outermost of the NATs in a row, which is where the internet sees this one.
        is_up: whether packets come and go.
        position: as a host's.
    """

    def __init__(self, net: SimNetwork, ip: str, kind: NatKind, rng: random.Random, outer: SimNat | None) -> None:
        self.net = net
        self.ip = ip
        self.kind = kind
        self.outer = outer
        self.edge: SimNat = outer.edge if outer else self
        self.is_up = True
        self.position: float = outer.position if outer else rng.random()
        self._rng = rng
        self._rebindings = -1
        self.forget()

    def forget(self) -> None:
        """Lose every mapping, as in a restart; new ones take other ports than before."""
        self._rebindings += 1
        self._of_inner: dict[tuple[str, End, End], _Flow] = {}
        self._of_port: dict[tuple[str, int, End], _Flow] = {}
        self._ports: dict[tuple[str, End], int] = {}  # endpoint-independent: the port of an inner end
        self._owners: dict[tuple[str, int], _Flow] = {}  # the flow through which a port was used last
        self._addresses: dict[tuple[str, int, str], float] = {}  # until when a port lets in an address
        self._strays: dict[tuple[str, int, End], float] = {}  # whom the router itself talked to, until when
        self._next_port = self._moved(20_000)

    def move(self, ip: str) -> None:
        """Have another address outside: what is sent to the old one is lost, every mapping is forgotten."""
        self.net.readdress(self, ip)
        self.ip = ip
        self.forget()

    def translate(self, protocol: str, inner: End, remote: End) -> End | None:
        """From where a packet seems to come that leaves now; `None` when it does not pass."""
        if not self._passes(protocol):
            return None
        flow = self._live(self._of_inner.get((protocol, inner, remote)))
        if flow is None:
            flow = self._open(protocol, inner, remote, self._new_port(protocol, inner, remote))
            if self.kind.mapping is NatMapping.ENDPOINT_INDEPENDENT:
                self._ports.setdefault((protocol, inner), flow.port)
        flow.expires_at = max(flow.expires_at, self._until(protocol, UNANSWERED_S))
        self._owners[protocol, flow.port] = flow
        self._addresses[protocol, flow.port, remote[0]] = flow.expires_at
        return self.ip, flow.port

    def let_in(self, protocol: str, remote: End, port: int) -> End | None:
        """The inner end for which a packet to an external port is; `None` when it does not pass."""
        if not self._passes(protocol):
            return None
        flow = self._live(self._of_port.get((protocol, port, remote)))
        if flow is None:
            owner = self._live(self._owners.get((protocol, port)))
            if owner is None or not self._admits(protocol, remote, port):
                if self.kind.accepts_input:
                    self._strays[protocol, port, remote] = self._now + UNANSWERED_S
                return None
            flow = self._open(protocol, owner.inner, remote, port)
        flow.expires_at = max(flow.expires_at, self._until(protocol, ANSWERED_S))
        return flow.inner

    # the wire, for the streams and datagrams of this package

    def enter(self, protocol: str, source: Address, target: Address) -> tuple[SimHost, Address] | None:
        """Where a packet ends that has come to this router; `None` when it does not pass."""
        inner = self.let_in(protocol, (source.host, source.port), target.port) if self.is_up else None
        place = self.net.find(inner[0]) if inner else None
        if inner is None or place is None:
            return None
        return place.enter(protocol, source, Address(target.scheme, *inner))

    @property
    def refuses(self) -> bool:
        """Whether a stream that it does not let in hears so."""
        return self.is_up and self.kind.accepts_input

    def receive_datagrams(self, source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
        found = self.enter("udp", source, target)
        if found is not None:
            host, inner = found
            host.receive_datagrams(source, inner, data, segment_bytes)

    # tables

    @property
    def _now(self) -> float:
        return self.net.loop.time()

    def _until(self, protocol: str, datagrams_s: float) -> float:
        return self._now + (datagrams_s if protocol == "udp" else STREAM_S)

    def _live(self, flow: _Flow | None) -> _Flow | None:
        return flow if flow is not None and flow.expires_at > self._now else None

    def _passes(self, protocol: str) -> bool:
        return not (self.kind.blocks_udp and protocol == "udp")

    def _admits(self, protocol: str, remote: End, port: int) -> bool:
        """Whether the filter lets in somebody who was not written to from this port."""
        if self.kind.mapping is not NatMapping.ENDPOINT_INDEPENDENT:
            return False
        if self.kind.filtering is NatFiltering.ADDRESS_DEPENDENT:
            return self._addresses.get((protocol, port, remote[0]), 0.0) > self._now
        return self.kind.filtering is NatFiltering.ENDPOINT_INDEPENDENT

    def _open(self, protocol: str, inner: End, remote: End, port: int) -> _Flow:
        flow = self._of_inner[protocol, inner, remote] = _Flow(inner, port, self._until(protocol, UNANSWERED_S))
        self._of_port[protocol, port, remote] = flow
        return flow

    def _new_port(self, protocol: str, inner: End, remote: End) -> int:
        match self.kind.mapping:
            case NatMapping.SYMMETRIC:
                port = self._rng.randrange(FIRST_PORT, 65_536)
            case NatMapping.SYMMETRIC_SEQUENTIAL:
                port = self._next_port
            case _:
                port = self._ports.get((protocol, inner), self._moved(inner[1]))
        while self._is_taken(protocol, port, inner, remote):
            port = port + 1 if port < 65_535 else FIRST_PORT
        self._next_port = port + 1
        return port

    def _is_taken(self, protocol: str, port: int, inner: End, remote: End) -> bool:
        owner = self._live(self._owners.get((protocol, port)))
        is_other = owner is not None and owner.inner != inner
        return is_other or self._strays.get((protocol, port, remote), 0.0) > self._now

    def _moved(self, port: int) -> int:
        if not self._rebindings:
            return port
        return FIRST_PORT + (port + self._rebindings * _REBINDING_STEP) % (65_536 - FIRST_PORT)
