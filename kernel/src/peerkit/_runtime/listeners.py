"""Where the node takes sessions in: the listening sockets of stream transports, and datagram endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..address import Address
from ..datagram import DatagramTransport
from ..errors import ConnectFailed, PeerkitError, PluginLoadError
from ..transport import Listener, Pipe, PipeHandler, StreamTransport
from .endpoints import Endpoints
from .plugin_call import call_plugin_async
from .session_context import SessionContext
from .session_opening import SessionDoor
from .stream_carrier import accept_pipe
from .tally import Tally

LISTEN_S = 30.0  # as long as a plugin may take to start
CLOSE_S = 5.0


class Listeners:
    """Args:
    transports, datagram_transports: by scheme.
    """

    def __init__(
        self,
        context: SessionContext,
        transports: Mapping[str, StreamTransport],
        datagram_transports: Mapping[str, DatagramTransport],
        endpoints: Endpoints,
    ) -> None:
        self._context = context
        self._streams = transports
        self._datagrams = datagram_transports
        self._endpoints = endpoints
        self._door = SessionDoor(context)
        self._open: list[tuple[Tally, Listener]] = []
        self._bound: list[Address] = []
        attached = {transport: context.transport_tally(scheme) for scheme, transport in datagram_transports.items()}
        endpoints.bind([(t, transport) for transport, t in attached.items()], self._door, SessionDoor(context))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What is bound, with real ports; wildcards stay wildcards."""
        return tuple(self._bound)

    async def listen(self, wanted: Sequence[Address]) -> None:
        """Bind all.

        Raises:
            PluginLoadError: some address has no transport or cannot be bound; every such address is named.
        """
        problems: list[str] = []
        self._door.is_open = True
        for address in wanted:
            try:
                if address.scheme in self._streams:
                    await self._listen_for_pipes(address)
                elif address.scheme in self._datagrams:
                    endpoint = await self._endpoints.open(address.host, address.port, True)
                    self._bound.append(replace(endpoint.local, scheme=address.scheme))
                else:
                    known = ", ".join(sorted([*self._streams, *self._datagrams])) or "none"
                    problems.append(f"node.listen: no enabled plugin speaks {address.scheme}:// (there is {known})")
            except ConnectFailed as exc:
                problems.append(f"node.listen: cannot listen on {address}: {exc.reason}")
            except TimeoutError:
                problems.append(f"node.listen: cannot listen on {address}: it took longer than {LISTEN_S:g} s")
            except PeerkitError as exc:
                problems.append(f"node.listen: cannot listen on {address}: {exc}")
        if problems:
            await self.close()
            raise PluginLoadError(problems)

    async def _listen_for_pipes(self, address: Address) -> None:
        transport = self._streams[address.scheme]

        async def bind() -> tuple[Listener, Sequence[Address]]:
            listener = await transport.listen(address, self._accept)
            return listener, listener.addresses

        tally = self._context.transport_tally(address.scheme)
        async with asyncio.timeout(LISTEN_S):
            listener, bound = await call_plugin_async(tally, f"listen of {address.scheme}", bind)
        self._open.append((tally, listener))
        self._bound += bound

    def _accept(self, pipe: Pipe) -> PipeHandler | None:
        return accept_pipe(self._context, self._door, pipe)

    async def close(self) -> None:
        """Take nobody in any more; sessions and datagram endpoints live on.  Idempotent."""
        self._door.is_open = False
        while self._open:
            tally, listener = self._open.pop(0)
            try:
                async with asyncio.timeout(CLOSE_S):
                    await call_plugin_async(tally, "the close of a listener", listener.close)
            except TimeoutError:
                tally.failed("the close of a listener", f"it took longer than {CLOSE_S:g} s")
            except PeerkitError as exc:
                self._context.log.warning("a listener did not close", plugin=tally.plugin, reason=str(exc))
