"""One simulated machine: its IP, ports, sockets and what is on its disk.  It is the `Network` of the nodes on it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._io.sqlite_file import SqliteFile
from ..address import Address
from ..errors import ConnectFailed
from ..link import Gateway, LinkEndpoint, LinkHandler
from ..network import Network, ServerTls
from ..transport import DatagramEndpoint, Listener, Pipe, PipeAccept, PipeHandler
from .sim_connect import Meeting, connect, meet
from .sim_datagram import SimDatagramEndpoint
from .sim_link import SimLinkEndpoint, open_links
from .sim_nat import SimNat
from .sim_stream import SimListener, SimPipe

if TYPE_CHECKING:
    from .sim_network import SimNetwork

_WILDCARDS = ("0.0.0.0", "::")
_LOOPBACKS = ("127.0.0.1", "::1")
FIRST_FREE_PORT = 49_152  # RFC 6335 §6
MAX_ANSWERS = 8


class SimHost:
    """A machine with one IP, and loopback.

    Attributes:
        is_up: whether packets come and go.
        position: a number in 0..1 that decides its distance from others.
        outer: the NAT that it is behind.
        edge: where the internet sees it: the outermost NAT, or itself.
        databases: what its disk holds; survives a crash.
        disk_works: `False` makes every use of a database raise `StorageError`, as a full or damaged disk does.
        gateways: what `default_gateways` says; none unless a test sets some.
    """

    def __init__(self, net: SimNetwork, ip: str, rng: random.Random, outer: SimNat | None = None) -> None:
        self.net = net
        self.ip = ip
        self.rng = rng
        self.outer = outer
        self.edge: SimHost | SimNat = outer.edge if outer else self
        self.is_up = True
        self.position = rng.random()
        self.uplink_free_at = 0.0
        self.databases: dict[Path, SqliteFile] = {}
        self.disk_works = True
        self.listeners: dict[tuple[str, int], SimListener] = {}
        self.endpoints: dict[tuple[str, int], SimDatagramEndpoint] = {}
        self.link_endpoints: list[SimLinkEndpoint] = []
        self.gateways: tuple[Gateway, ...] = ()
        self.meetings: dict[Meeting, asyncio.Future[SimPipe]] = {}
        self.pipes: dict[SimPipe, None] = {}  # in the order they were opened: a set would not repeat
        self._next_port = FIRST_FREE_PORT

    # Network

    async def listen_stream(
        self, host: str, port: int, scheme: str, accept: PipeAccept, tls: ServerTls | None = None
    ) -> Listener:
        address = Address(scheme, host, port or self.free_port())
        self._check_bindable(address, self.listeners)
        listener = self.listeners[address.host, address.port] = SimListener(self, address, accept, tls)
        return listener

    async def connect_stream(
        self,
        address: Address,
        make_handler: Callable[[Pipe], PipeHandler],
        tls: object | None = None,
    ) -> Pipe:
        return await connect(self, address, make_handler, tls is not None)

    async def meet_stream(self, local: Address, remote: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        return await meet(self, local, remote, make_handler)

    async def open_datagrams(self, host: str, port: int) -> DatagramEndpoint:
        return self.bind_datagrams(host, port)

    async def open_links(self, port: int, group: str, handler: LinkHandler) -> LinkEndpoint:
        return open_links(self, port, handler)

    def default_gateways(self) -> Sequence[Gateway]:
        return self.gateways

    async def resolve(self, host: str) -> Sequence[str]:
        await asyncio.sleep(self.net.delay_s(self, self))
        answers = self.net.names.get(host)
        if not answers:
            raise ConnectFailed(host, "the name is not known")
        return tuple(answers[:MAX_ANSWERS])

    def interface_addresses(self) -> Sequence[str]:
        return ("127.0.0.1", self.ip)

    # for streams and datagrams

    def route(self, protocol: str, source: Address, target: Address) -> tuple[SimHost | SimNat, Address] | None:
        """Send a packet on its way.

        Returns:
            The host or the router that has the target's address, and from where the packet seems to come there; `None`
            when nothing arrives.
        """
        if target.host in _LOOPBACKS:
            return self, source
        place, nat = self.net.find(target.host), self.outer
        if place is not None and place.outer is nat:
            return place, source
        end = source.host, source.port
        while nat is not None:
            is_hairpin = place is nat
            if not nat.is_up or (is_hairpin and not nat.kind.hairpins):
                return None
            translated = nat.translate(protocol, end, (target.host, target.port))
            if translated is None:
                return None
            end = translated
            if place is not None and (is_hairpin or place.outer is nat.outer):
                return place, Address(source.scheme, *end)
            nat = nat.outer
        return None

    def enter(self, protocol: str, source: Address, target: Address) -> tuple[SimHost, Address] | None:
        """Where a packet ends that has come here, as `SimNat.enter`."""
        return self, target

    @property
    def refuses(self) -> bool:
        return False  # a listener does, or nobody answers

    def address_towards(self, ip: str) -> str:
        return ip if ip in _LOOPBACKS else self.ip

    def free_port(self) -> int:
        while True:
            port = self._next_port
            self._next_port = port + 1 if port < 65_535 else FIRST_FREE_PORT
            if all(port != used for used_by in (self.listeners, self.endpoints) for _, used in used_by):
                return port

    def find_listener(self, ip: str, port: int) -> SimListener | None:
        return self.listeners.get((ip, port)) or self.listeners.get((_wildcard(ip), port))

    def bind_datagrams(self, host: str, port: int) -> SimDatagramEndpoint:
        address = Address("udp", host, port or self.free_port())
        self._check_bindable(address, self.endpoints)
        endpoint = self.endpoints[address.host, address.port] = SimDatagramEndpoint(self, address)
        return endpoint

    def receive_datagrams(self, source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
        endpoint = self.endpoints.get((target.host, target.port)) or self.endpoints.get(
            (_wildcard(target.host), target.port)
        )
        if endpoint is not None and self.is_up:
            endpoint.receive(source, Address("udp", target.host, target.port), data, segment_bytes)

    def forget_sockets(self) -> None:
        """What a crash does."""
        for pipe in self.pipes:
            pipe.forget()
        for endpoint in self.endpoints.values():
            endpoint.is_open = False
        self.pipes.clear()
        self.listeners.clear()
        self.meetings.clear()
        self.endpoints.clear()
        self.link_endpoints.clear()

    def _check_bindable(
        self, address: Address, used: dict[tuple[str, int], SimListener] | dict[tuple[str, int], SimDatagramEndpoint]
    ) -> None:
        if address.host not in (self.ip, *_WILDCARDS, *_LOOPBACKS):
            raise ConnectFailed(str(address), "the address is not one of this machine")
        wildcard = _wildcard(address.host)
        for host, port in used:
            if port == address.port and (host == address.host or host == wildcard or address.host == _wildcard(host)):
                raise ConnectFailed(str(address), "the address is in use")


def _wildcard(ip: str) -> str:
    return "::" if ":" in ip else "0.0.0.0"


if TYPE_CHECKING:
    _fits: type[Network] = SimHost
