"""The node's listening sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..address import Address
from ..errors import ConnectFailed, PeerkitError, PluginLoadError
from ..transport import Listener, Pipe, PipeHandler, StreamTransport
from .session_context import SessionContext
from .stream_carrier import accept_pipe


class Listeners:
    """Args:
    transports: by scheme.
    """

    def __init__(self, context: SessionContext, transports: Mapping[str, StreamTransport]) -> None:
        self._context = context
        self._transports = transports
        self._open: list[Listener] = []

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What is bound, with real ports; wildcards stay wildcards."""
        return tuple(address for listener in self._open for address in listener.addresses)

    async def listen(self, wanted: Sequence[Address]) -> None:
        """Bind all.

        Raises:
            PluginLoadError: some address has no transport or cannot be bound; every such address is named.
        """
        problems: list[str] = []
        for address in wanted:
            transport = self._transports.get(address.scheme)
            if transport is None:
                known = ", ".join(sorted(self._transports)) or "none"
                problems.append(f"node.listen: no enabled plugin speaks {address.scheme}:// (there is {known})")
                continue
            try:
                self._open.append(await transport.listen(address, self._accept))
            except ConnectFailed as exc:
                problems.append(f"node.listen: cannot listen on {address}: {exc.reason}")
            except PeerkitError as exc:
                problems.append(f"node.listen: cannot listen on {address}: {exc}")
        if problems:
            await self.close()
            raise PluginLoadError(problems)

    def _accept(self, pipe: Pipe) -> PipeHandler | None:
        return accept_pipe(self._context, pipe)

    async def close(self) -> None:
        """Idempotent."""
        for listener in self._open:
            await listener.close()
        self._open.clear()
