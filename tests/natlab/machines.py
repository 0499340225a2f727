"""Hosts of the laboratory for `verdict`: sockets inside their namespaces, from our own process."""

import asyncio
import itertools
import socket
from collections.abc import Callable
from contextlib import ExitStack

from tests.natlab.laboratory import Host
from tests.natlab.verdict import Where

_FIRST_PORT = 4_001


class RealDatagrams:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        sock.bind(("0.0.0.0", 0))
        self.port = int(sock.getsockname()[1])

    async def send(self, data: bytes, target: Where) -> None:
        self._sock.sendto(data, target)

    async def receive(self) -> tuple[bytes, Where]:
        data, where = await asyncio.get_running_loop().sock_recvfrom(self._sock, 2_048)
        return data, (where[0], where[1])


class RealMachine:
    """Args:
    stack: closes the sockets.
    """

    def __init__(self, host: Host, stack: ExitStack) -> None:
        self.ip = host.ip
        self._host = host
        self._stack = stack
        self._ports = itertools.count(_FIRST_PORT)

    def free_port(self) -> int:
        return next(self._ports)

    def datagrams(self) -> RealDatagrams:
        return RealDatagrams(self._socket(socket.SOCK_DGRAM))

    async def listen(self, port: int, on_stream: Callable[[Where], None]) -> None:
        sock = self._stream(port)
        sock.listen()

        def accept() -> None:
            stream, where = sock.accept()
            self._stack.enter_context(stream)
            on_stream(where)

        loop = asyncio.get_running_loop()
        loop.add_reader(sock, accept)
        self._stack.callback(loop.remove_reader, sock)

    async def connect(self, port: int, target: Where) -> str:
        try:
            await asyncio.get_running_loop().sock_connect(self._stream(port), target)
        except ConnectionRefusedError:
            return "refused"
        return "connected"

    def _stream(self, port: int) -> socket.socket:
        sock = self._socket(socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("0.0.0.0", port))
        return sock

    def _socket(self, kind: int) -> socket.socket:
        return self._stack.enter_context(self._host.space.socket(socket.AF_INET, kind))
