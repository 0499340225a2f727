"""How a simulated stream begins: the way through routers to a listener, or to an attempt that comes to meet ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..address import Address
from ..errors import ConnectFailed
from ..transport import Pipe, PipeHandler
from .sim_stream import SimPipe

if TYPE_CHECKING:
    from .sim_host import SimHost

CONNECT_TIMEOUT_S = 60.0  # a SYN into the void; callers have shorter deadlines
SYN_AGAIN_S = 1.0  # RFC 6298 §2
REFUSED = "connection refused"

PAUSE_S = 0.05, 0.2  # as `_io/outgoing_socket.py`

Meeting = tuple[int, str]
"""Our port, and the host that may come to it."""


async def connect(
    source: SimHost, address: Address, make_handler: Callable[[Pipe], PipeHandler], with_tls: bool, port: int = 0
) -> SimPipe:
    """Open a stream, from a free port or the one that is named, which takes a round trip.  Raises `ConnectFailed`."""
    here = Address(address.scheme, source.address_towards(address.host), port or source.free_port())
    arrival = await _send(source, here, address)
    near = await _call(arrival, with_tls)
    near.attach(make_handler(near))
    return near


async def meet(
    source: SimHost, local: Address, address: Address, make_handler: Callable[[Pipe], PipeHandler]
) -> SimPipe:
    """See `peerkit.network.Network.meet_stream`."""
    here = Address(address.scheme, source.address_towards(address.host), local.port)
    ours = here.port, address.host
    if ours in source.meetings:
        raise ConnectFailed(str(address.without_peer()), "the address is in use")
    met = source.meetings[ours] = source.net.loop.create_future()
    knocking = source.net.loop.create_task(_knock_on(source, here, address))
    try:
        await asyncio.wait((knocking, met), return_when=asyncio.FIRST_COMPLETED)
        near = met.result() if met.done() else knocking.result()
    finally:
        knocking.cancel()
        source.meetings.pop(ours, None)
    near.attach(make_handler(near))
    return near


@dataclass(frozen=True, slots=True)
class _Arrival:
    """The first packet of a stream has come to a host.

    Attributes:
        address: as the source wrote it.
        there: what it is on the target.
        seen: from where it seems to come.
    """

    source: SimHost
    here: Address
    address: Address
    target: SimHost
    there: Address
    seen: Address

    def back_s(self) -> float:
        """Until an answer is at the source."""
        net = self.source.net
        return net.stream_arrives_at(self.target, self.source, 0) - net.loop.time()

    def join(self, scheme: str, binding: bytes = b"") -> tuple[SimPipe, SimPipe]:
        """Both ends of the stream, the source's first."""
        near = SimPipe(self.source, self.here, self.address.without_peer(), binding)
        far = SimPipe(
            self.target,
            Address(scheme, self.there.host, self.there.port),
            Address(scheme, self.seen.host, self.seen.port),
            binding,
        )
        near.peer, far.peer = far, near
        self.source.net.streams += 1
        return near, far


async def _send(source: SimHost, here: Address, address: Address) -> _Arrival:
    """Raises `ConnectFailed`."""
    net = source.net
    name = str(address.without_peer())
    way = source.route("tcp", here, address)
    if way is None and net.find(address.host) is None:
        await asyncio.sleep(net.delay_s(source, source))
        raise ConnectFailed(name, "no route to host")
    if way is None:
        raise await _unanswered(name)
    edge, seen = way
    await asyncio.sleep(net.stream_arrives_at(source, edge, 0) - net.loop.time())
    entered = None if net.is_blocked(source, edge) else edge.enter("tcp", seen, address)
    if entered is None:
        if not edge.refuses:
            raise await _unanswered(name)
        await asyncio.sleep(net.delay_s(source, edge))
        raise ConnectFailed(name, REFUSED)
    return _Arrival(source, here, address, *entered, seen)


async def _call(arrival: _Arrival, with_tls: bool) -> SimPipe:
    """Be taken by a listener.  Raises `ConnectFailed`."""
    name = str(arrival.address.without_peer())
    listener = arrival.target.find_listener(arrival.there.host, arrival.there.port)
    back_s = arrival.back_s()
    if listener is None:
        await asyncio.sleep(back_s)
        raise ConnectFailed(name, REFUSED)
    tls = listener.tls if with_tls else None
    if with_tls is not (tls is not None) or (tls is None and listener.tls and listener.tls.scheme == listener.scheme):
        await asyncio.sleep(back_s)
        raise ConnectFailed(name, "one side speaks TLS and the other does not")
    near, far = arrival.join(tls.scheme, tls.binding) if tls else arrival.join(listener.scheme)
    handler = listener.accept(far)
    if handler is None:
        far.abort()
    else:
        far.attach(handler)
    return await _taken(near, back_s)


async def _knock_on(source: SimHost, here: Address, address: Address) -> SimPipe:
    """Until the other side, or a listener, takes it.  Raises `ConnectFailed` when there is no way."""
    while True:
        try:
            async with asyncio.timeout(SYN_AGAIN_S):
                arrival = await _send(source, here, address)
            return await _knock(arrival)
        except TimeoutError:
            pass
        except ConnectFailed as exc:
            if exc.reason != REFUSED:
                raise
            await asyncio.sleep(source.net.rng.uniform(*PAUSE_S))


async def _knock(arrival: _Arrival) -> SimPipe:
    """Raises `ConnectFailed`."""
    met = arrival.target.meetings.pop((arrival.there.port, arrival.seen.host), None)
    if met is None:
        return await _call(arrival, with_tls=False)
    arrival.source.meetings.pop((arrival.here.port, arrival.address.host), None)  # two attempts make one stream
    near, far = arrival.join(arrival.address.scheme)
    met.set_result(far)
    return await _taken(near, arrival.back_s())


async def _taken(near: SimPipe, back_s: float) -> SimPipe:
    """The source learns that its stream is open; who does not wait for it leaves nothing behind."""
    try:
        await asyncio.sleep(back_s)
    except asyncio.CancelledError:
        near.abort()
        raise
    return near


async def _unanswered(name: str) -> ConnectFailed:
    await asyncio.sleep(CONNECT_TIMEOUT_S)
    return ConnectFailed(name, "connection timed out")
