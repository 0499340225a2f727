"""What a host's NATs do, found out with plain sockets: the same questions to real routers and to simulated ones.

A host asks three observers: two ports of one address, and another address.  No clock is asked, so that a slow machine
changes no verdict: silence means that something which was sent later, and gets through, has come already.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from peerkit.capabilities import NatFiltering, NatMapping

T = TypeVar("T")

Where = tuple[str, int]


class Datagrams(Protocol):
    """A UDP socket.  Attributes: port: its own."""

    port: int

    async def send(self, data: bytes, target: Where) -> None: ...

    async def receive(self) -> tuple[bytes, Where]:
        """The next one and from where it seems to come."""
        ...


class Machine(Protocol):
    """A host.  Attributes: ip: the one it knows itself by."""

    ip: str

    def datagrams(self) -> Datagrams: ...

    def free_port(self) -> int:
        """For a stream's end; another one each time."""
        ...

    async def listen(self, port: int, on_stream: Callable[[Where], None]) -> None:
        """Take streams on this port from now on, and tell from where each seems to come."""
        ...

    async def connect(self, port: int, target: Where) -> str:
        """Try to open a stream from this port; it stays open.  Returns `connected` or `refused`."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Attributes:
        mapping, filtering: unknown when nothing passes at all.
        keeps_port: a mapping keeps its port also towards somebody whose packet was not let in before.
    """

    mapping: NatMapping
    filtering: NatFiltering
    keeps_port: bool = True


SYMMETRIC = (NatMapping.SYMMETRIC, NatMapping.SYMMETRIC_SEQUENTIAL)
NOTHING_PASSES = Verdict(NatMapping.UNKNOWN, NatFiltering.UNKNOWN)


@dataclass(frozen=True, slots=True)
class StreamVerdict:
    """
    Attributes:
        strangers: what somebody meets who connects to a mapped port that was used towards others only: `connected`,
            `refused` or `silence`.
        acquaintances: and somebody from an address that it was used towards.
    """

    mapping: NatMapping
    strangers: str
    acquaintances: str


async def udp_verdict(inside: Machine, observer: Machine, other: Machine) -> Verdict:
    """Args:
    observer, other: hosts with two addresses of the internet.
    """
    sock = inside.datagrams()
    asked = [_seen(sock, by.datagrams(), by.ip) for by in (observer, observer, other)]
    mapping = _mapping(await _before_another(inside, observer, *asked), (inside.ip, sock.port))
    if mapping is NatMapping.UNKNOWN:
        return NOTHING_PASSES
    sock, contacted, same_address, stranger = (
        machine.datagrams() for machine in (inside, observer, observer, other)
    )  # a mapping of its own
    external = await _seen(sock, contacted, observer.ip)
    came = set[bytes]()
    for source, name in ((stranger, b"stranger"), (same_address, b"same address"), (contacted, b"contacted")):
        await source.send(name, external)
    while b"contacted" not in came:
        came.add((await sock.receive())[0])
    if b"stranger" in came:
        filtering = NatFiltering.ENDPOINT_INDEPENDENT
    elif b"same address" in came:
        filtering = NatFiltering.ADDRESS_DEPENDENT
    else:
        filtering = NatFiltering.ADDRESS_AND_PORT_DEPENDENT
    keeps_port = mapping in SYMMETRIC or await _seen(sock, stranger, other.ip) == external
    return Verdict(mapping, filtering, keeps_port)


async def _seen(sock: Datagrams, by: Datagrams, ip: str) -> Where:
    """From where a socket's datagram seems to come."""
    await sock.send(b"who am I?", (ip, by.port))
    return (await by.receive())[1]


async def _before_another(
    inside: Machine, outside: Machine, *attempts: Coroutine[object, object, T]
) -> Sequence[T | None]:
    """What the attempts, begun in this order, came to while streams were opened from inside one after the other; `None`
    where they came to nothing."""
    tasks = [asyncio.ensure_future(attempt) for attempt in attempts]
    for _ in range(3):  # as many round trips
        await _connect_out(inside, inside.free_port(), outside, lambda where: None)
    results = [task.result() if task.done() else None for task in tasks]
    for task in tasks:
        task.cancel()
    return results


def _mapping(seen: Sequence[Where | None], local: Where) -> NatMapping:
    """Args:
    seen: from where each observer was reached, in this order.
    """
    first, second, third = seen
    if first is None or second is None or third is None:
        return NatMapping.UNKNOWN
    if first == second == third:
        return NatMapping.NONE if first == local else NatMapping.ENDPOINT_INDEPENDENT
    assert first != second, "no kind maps by address alone"
    is_counted = second[1] - first[1] == third[1] - second[1] == 1
    return NatMapping.SYMMETRIC_SEQUENTIAL if is_counted else NatMapping.SYMMETRIC


async def tcp_verdict(inside: Machine, observer: Machine, other: Machine) -> StreamVerdict:
    seen = list[Where]()
    here = inside.free_port()
    for machine in (observer, observer, other):
        await _connect_out(inside, here, machine, seen.append)
    mapping = _mapping(seen, (inside.ip, here))
    # A second port, used towards the observer alone.
    here, seen = inside.free_port(), []
    await _connect_out(inside, here, observer, seen.append)
    await inside.listen(here, lambda where: None)
    attempts = [machine.connect(machine.free_port(), seen[0]) for machine in (other, observer)]
    strangers, acquaintances = await _before_another(inside, observer, *attempts)
    return StreamVerdict(mapping, strangers or "silence", acquaintances or "silence")


async def _connect_out(inside: Machine, port: int, to: Machine, on_stream: Callable[[Where], None]) -> None:
    there = to.free_port()
    await to.listen(there, on_stream)
    result = await inside.connect(port, (to.ip, there))
    assert result == "connected", f"what begins inside passes, but met {result}"
