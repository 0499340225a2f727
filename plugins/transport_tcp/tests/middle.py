"""A man in the middle of TLS: ends the victim's connection with a certificate of his own, opens one to the real
listener, and passes everything on."""

import asyncio
import contextlib
import ssl
from typing import Self

from peerkit.address import Address
from peerkit.network import ServerTls
from plugins.transport_tcp.tests.beds import foreign_client


class Middle:
    """Attributes:
    address: to which the victim is led.
    seen: what the victim said.
    """

    address: Address

    def __init__(self, own: ServerTls, target: Address) -> None:
        self._own = own
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen = bytearray()

    async def __aenter__(self) -> Self:
        assert isinstance(self._own.context, ssl.SSLContext)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._own.context)
        self.address = Address("tls", "127.0.0.1", self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        onward_reader, onward_writer = await asyncio.open_connection(
            self._target.host, self._target.port, ssl=foreign_client()
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, onward_writer, self.seen))
                group.create_task(self._pass_on(onward_reader, writer, bytearray()))
        finally:
            writer.close()
            onward_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                seen += data
                writer.write(data)
        writer.close()
