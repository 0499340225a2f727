"""Sockets that connect: to a listener, or to one that connects to us at the same time.

Of the latter, what comes before we connect would be refused by our own system; so we listen at that port too.  However
the two cross, one connection has the four numbers that both ends mean.  Behind a router that answered itself what came
too early, the other side may come from another port: hence every port of its host is taken, and the handshake tells.
"""

import asyncio
import errno
import random
import socket
import sys
from collections.abc import Awaitable

from ..address import Address
from ..errors import ConnectFailed
from .socket_address import SockAddr, to_sockaddr
from .system_error import reason

# What lets connections, and a listener for what comes to meet one of them, have the same port.  On Windows the first
# would let strangers on the machine take our port.
SHARED_PORT = () if sys.platform == "win32" else ("SO_REUSEADDR", "SO_REUSEPORT")
LEAST_PAUSE_S, MOST_PAUSE_S = 0.05, 0.2  # guess; random, so that two sides that miss once do not miss always
MAX_CONNECTS = 16  # afterwards we only listen: who names a false address makes us send its victim no more
BACKLOG = 4
# It came too early, or what we took has the same four numbers.
_TOO_EARLY = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EADDRNOTAVAIL, errno.ETIMEDOUT}


async def connected(
    loop: asyncio.AbstractEventLoop, family: socket.AddressFamily, remote: SockAddr, local: SockAddr | None = None
) -> socket.socket:
    """Raises `OSError`."""
    sock = _shared(family, local)
    try:
        await loop.sock_connect(sock, remote)
    except BaseException:
        sock.close()
        raise
    return sock


async def met(local: Address, remote: Address) -> socket.socket:
    """See `peerkit.network.Network.meet_stream`."""
    name = str(remote.without_peer())
    family, there = to_sockaddr(remote.host, remote.port, name)
    here = to_sockaddr(local.host, local.port, name)[1]
    loop = asyncio.get_running_loop()
    found: list[socket.socket | OSError] = []

    async def keep(attempt: Awaitable[socket.socket]) -> None:
        try:
            found.append(await attempt)
        except OSError as exc:
            found.append(exc)

    try:
        with _shared(family, here) as listener:
            listener.listen(BACKLOG)
            async with asyncio.TaskGroup() as group:
                attempts = [
                    group.create_task(keep(_connected_in_the_end(loop, family, there, here))),
                    group.create_task(keep(_accepted(loop, listener, there[0]))),
                ]
                await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
                for attempt in attempts:
                    attempt.cancel()
        first = found.pop(0)
    except OSError as exc:
        first = exc
    finally:
        for other in found:  # what came second, or to whoever waits no more
            if isinstance(other, socket.socket):
                other.close()
    if isinstance(first, OSError):
        raise ConnectFailed(name, reason(first)) from first
    return first


async def _connected_in_the_end(
    loop: asyncio.AbstractEventLoop, family: socket.AddressFamily, remote: SockAddr, local: SockAddr
) -> socket.socket:
    for _ in range(MAX_CONNECTS):
        try:
            return await connected(loop, family, remote, local)
        except OSError as exc:
            if exc.errno not in _TOO_EARLY:
                raise
            await asyncio.sleep(random.uniform(LEAST_PAUSE_S, MOST_PAUSE_S))
    await asyncio.Event().wait()  # the listener may still take one
    raise AssertionError("nobody sets it")


async def _accepted(loop: asyncio.AbstractEventLoop, listener: socket.socket, host: str) -> socket.socket:
    while True:
        sock, remote = await loop.sock_accept(listener)
        if remote[0] == host:
            return sock
        sock.close()


def _shared(family: socket.AddressFamily, local: SockAddr | None) -> socket.socket:
    """Every one that connects shares its port, or no later one could."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        for option in SHARED_PORT:
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        if local is not None:
            sock.bind(local)
    except BaseException:
        sock.close()
        raise
    return sock
