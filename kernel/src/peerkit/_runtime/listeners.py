"""Where the node takes sessions in: the listening sockets of stream transports, and datagram endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..address import Address
from ..datagram import DatagramTransport
from ..errors import ConnectFailed, PeerkitError, PluginLoadError
from ..transport import Listener, Pipe, PipeHandler, StreamTransport
from .endpoints import Endpoints
from .session_context import SessionContext
from .session_opening import SessionDoor
from .stream_carrier import accept_pipe


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
        self._open: list[Listener] = []
        self._bound: list[Address] = []
        endpoints.bind(tuple(datagram_transports.values()), self._door, SessionDoor(context))

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
                    listener = await self._streams[address.scheme].listen(address, self._accept)
                    self._open.append(listener)
                    self._bound += listener.addresses
                elif address.scheme in self._datagrams:
                    endpoint = await self._endpoints.open(address.host, address.port, True)
                    self._bound.append(replace(endpoint.local, scheme=address.scheme))
                else:
                    known = ", ".join(sorted([*self._streams, *self._datagrams])) or "none"
                    problems.append(f"node.listen: no enabled plugin speaks {address.scheme}:// (there is {known})")
            except ConnectFailed as exc:
                problems.append(f"node.listen: cannot listen on {address}: {exc.reason}")
            except PeerkitError as exc:
                problems.append(f"node.listen: cannot listen on {address}: {exc}")
        if problems:
            await self.close()
            raise PluginLoadError(problems)

    def _accept(self, pipe: Pipe) -> PipeHandler | None:
        return accept_pipe(self._context, self._door, pipe)

    async def close(self) -> None:
        """Take nobody in any more; sessions and datagram endpoints live on.  Idempotent."""
        self._door.is_open = False
        for listener in self._open:
            await listener.close()
        self._open.clear()
