"""Two punches and the routers between them, driven by hand: time is passed in, nothing sleeps."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from peerkit_holepunch.plans import Plan
from peerkit_holepunch.probe import ProbeKey
from peerkit_holepunch.punch import Departure, PathFound, PeerHeard, Punch

from peerkit.address import Address
from peerkit.capabilities import NatFiltering, NatMapping
from peerkit.testing.nat_kinds import NATS, NatKind

KEY, ASKER_NONCE, TARGET_NONCE = b"k" * 32, b"a" * 16, b"t" * 16
TICK_S = 0.005


@dataclass
class Router:
    """One NAT before one side."""

    kind: NatKind
    ip: str
    rng: random.Random
    next_port: int = 20_000
    mappings: dict[tuple[int, Address | None], int] = field(default_factory=dict)
    opened: dict[int, set[Address]] = field(default_factory=dict)

    def outside(self, inside_port: int, remote: Address) -> Address:
        """Where a packet from inside to `remote` is seen to come from."""
        is_fixed = self.kind.mapping is NatMapping.ENDPOINT_INDEPENDENT
        key = (inside_port, None if is_fixed else remote)
        port = self.mappings.get(key)
        if port is None:
            port = self.mappings[key] = self._take(inside_port)
        self.opened.setdefault(port, set()).add(remote)
        return Address("udp", self.ip, port)

    def inside(self, port: int, source: Address) -> int | None:
        """Which port inside a packet is for; `None`: it is not let in."""
        opened = self.opened.get(port, set())
        match self.kind.filtering:
            case NatFiltering.ENDPOINT_INDEPENDENT:
                is_let_in = port in self.opened
            case NatFiltering.ADDRESS_DEPENDENT:
                is_let_in = any(remote.host == source.host for remote in opened)
            case _:
                is_let_in = source in opened
        if not is_let_in:
            return None
        return next(inside for (inside, _), outside in self.mappings.items() if outside == port)

    def _take(self, inside_port: int) -> int:
        if self.kind.mapping is NatMapping.ENDPOINT_INDEPENDENT:
            return inside_port
        if self.kind.mapping is NatMapping.SYMMETRIC_SEQUENTIAL:
            self.next_port += 1
            return self.next_port
        while True:
            port = self.rng.randrange(1_024, 65_536)
            if port not in self.mappings.values():
                return port


class Side:
    """A host with one shared socket (number 0), or with sockets of its own.

    Attributes:
        sent: every datagram that left.
    """

    def __init__(self, kind: str, ip: str, rng: random.Random) -> None:
        (nat,) = NATS[kind]
        self.router = Router(nat, ip, rng)
        self.shared_port = 4_433
        self.seen = self.router.outside(self.shared_port, Address("udp", "9.9.9.9", 9))  # by the coordinator
        self.ports: list[int] = [self.shared_port]
        self.sent: list[Departure] = []
        self.found: list[PathFound] = []
        self.heard: list[PeerHeard] = []
        self.punch: Punch

    def begin(self, is_asker: bool, plan: Plan, hosts: Sequence[str], rng: random.Random, sockets: int = 0) -> None:
        self.ports = [50_000 + i for i in range(sockets)] or [self.shared_port]
        self.punch = Punch(ProbeKey(KEY, ASKER_NONCE, TARGET_NONCE, is_asker), plan, hosts, rng)


class Between:
    """What lies between the two sides, `delay_s` one way."""

    def __init__(self, a: Side, b: Side, delay_s: float = 0.03) -> None:
        self.a, self.b, self.delay_s = a, b, delay_s
        self.now = 0.0
        self._flying: list[tuple[float, Callable[[], None]]] = []

    def run(self, until_s: float = 10.0) -> None:
        while self.now < until_s and not (self.a.punch.is_over and self.b.punch.is_over):
            due = [fly for at, fly in self._flying if at <= self.now]
            self._flying = [(at, fly) for at, fly in self._flying if at > self.now]
            for fly in due:
                fly()
            for side, other in ((self.a, self.b), (self.b, self.a)):
                side.punch.handle_timer(self.now)
                for departure in side.punch.datagrams_to_send(self.now):
                    self._fly(side, other, departure)
                while (event := side.punch.next_event()) is not None:
                    if isinstance(event, PathFound):
                        side.found.append(event)
                    elif isinstance(event, PeerHeard):
                        side.heard.append(event)
            self.now += TICK_S

    def _fly(self, side: Side, other: Side, departure: Departure) -> None:
        side.sent.append(departure)
        source = side.router.outside(side.ports[departure.socket], departure.remote)
        if departure.hop_limit or departure.remote.host != other.router.ip:
            return

        def arrive() -> None:
            port = other.router.inside(departure.remote.port, source)
            if port is not None and port in other.ports:
                other.punch.receive_datagram(other.ports.index(port), departure.data, source, self.now)

        self._flying.append((self.now + self.delay_s, arrive))
