"""`TcpTransport`: the schemes `tcp` and `tls` on the node's network.  Bytes only; the kernel runs the sessions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from peerkit.address import Address
from peerkit.errors import ConnectFailed
from peerkit.plugin import PluginContext
from peerkit.transport import Listener, Pipe, PipeAccept, PipeHandler

from .io.tls import client_context, server_tls
from .settings import TcpSettings

TCP, TLS = "tcp", "tls"


class TcpTransport:
    """One per node."""

    def __init__(self, ctx: PluginContext[TcpSettings]) -> None:
        self._ctx = ctx
        self._client = client_context()

    @property
    def schemes(self) -> Sequence[str]:
        return (TCP, TLS)

    @property
    def preference(self) -> int:
        return 50

    async def listen(self, address: Address, accept: PipeAccept) -> Listener:
        if self._ctx.settings.tls:
            address = replace(address, scheme=TLS)
        tls = None
        if address.scheme == TLS:
            folder, now_wall = self._ctx.data_dir, self._ctx.clock.wall()
            try:
                tls = await self._ctx.run_blocking(lambda: server_tls(folder, now_wall))
            except OSError as exc:
                raise ConnectFailed(str(address), f"no TLS key can be made in {folder}: {exc.strerror}") from exc
        return await self._ctx.network.listen_stream(address.host, address.port, address.scheme, accept, tls)

    async def dial(self, address: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        tls = self._client if address.scheme == TLS else None
        return await self._ctx.network.connect_stream(address, make_handler, tls)

    async def dial_from(self, local: Address, remote: Address, make_handler: Callable[[Pipe], PipeHandler]) -> Pipe:
        if self._ctx.settings.tls or remote.scheme == TLS:  # neither end would be the server
            raise ConnectFailed(str(remote), "TLS cannot be opened from both sides at once")
        return await self._ctx.network.meet_stream(local, remote, make_handler)


if TYPE_CHECKING:
    from peerkit.transport import SimultaneousTransport, StreamTransport

    _fits: type[StreamTransport] = TcpTransport
    _opens_from_both_sides: type[SimultaneousTransport] = TcpTransport
