"""The node's datagram sockets: opened for listening and for dialling, shared by all who registered first bytes.

Promises: `peerkit.capabilities.DatagramEndpoints`.  A datagram transport is attached to every endpoint of which it can
make use; one endpoint per family serves everything, so that the mapping which a stranger observes is the one in use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..address import Address
from ..capabilities import DatagramEndpoints
from ..datagram import DatagramTransport
from ..errors import ConnectFailed, PluginConflictError, PluginError
from ..network import Network
from ..transport import DatagramEndpoint
from .plugin_call import call_plugin
from .session_opening import SessionDoor
from .tally import Tally


class Endpoints:
    """`bind` completes it once the plugins have registered."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._watchers: list[tuple[Tally | str, Callable[[DatagramEndpoint], None]]] = []
        self._transports: Sequence[tuple[Tally | str, DatagramTransport]] = ()
        self._door: SessionDoor
        self._shut_door: SessionDoor
        self._open: dict[DatagramEndpoint, None] = {}
        self._closed = False

    def bind(
        self, transports: Sequence[tuple[Tally | str, DatagramTransport]], door: SessionDoor, shut_door: SessionDoor
    ) -> None:
        """Args:
        transports: with the plugin of each.
        door: where strangers come in.
        shut_door: one that stays shut, for endpoints that only dial: a node that listens on loopback alone must not
            take strangers on a wildcard socket because it dialled somebody.
        """
        self._transports = tuple(transports)
        self._door, self._shut_door = door, shut_door

    def watch(self, opened: Callable[[DatagramEndpoint], None], plugin: Tally | str = "the application") -> None:
        """For whom is not a plugin; a plugin has an `EndpointsOfPlugin`."""
        self._watchers.append((plugin, opened))
        for endpoint in tuple(self._open):
            _tell(plugin, opened, endpoint)

    def for_plugin(self, tally: Tally) -> DatagramEndpoints:
        return EndpointsOfPlugin(self, tally)

    async def open(self, host: str, port: int, is_listening: bool) -> DatagramEndpoint:
        """Bind and give to everybody.  Raises `ConnectFailed`, `PluginConflictError`."""
        endpoint = await self._network.open_datagrams(host, port)
        if self._closed:
            endpoint.close()
            raise ConnectFailed(host, "the node is stopping")
        try:
            self._share(endpoint, self._door if is_listening else self._shut_door)
        except BaseException:
            self.drop(endpoint)
            raise
        return endpoint

    async def towards(self, remote: Address) -> DatagramEndpoint:
        found = self._find(remote)
        if found is not None:
            return found
        ip = remote.ip
        if ip is None:
            raise ConnectFailed(str(remote.without_peer()), "only a numeric host can be reached by datagrams")
        opened = await self.open("0.0.0.0" if ip.version == 4 else "::", 0, False)
        found = self._find(remote)
        assert found is not None
        if found is not opened:  # somebody else opened one meanwhile
            self.drop(opened)
        return found

    def _find(self, remote: Address) -> DatagramEndpoint | None:
        ip = remote.ip
        for endpoint in self._open:
            ours = endpoint.local.ip
            if ip is None or ours is None or ours.version != ip.version or endpoint.local.scheme == "relay":
                continue
            if ours.is_unspecified or ours.is_loopback == ip.is_loopback:
                return endpoint
        return None

    def adopt(self, endpoint: DatagramEndpoint) -> None:
        if endpoint not in self._open:
            self._share(endpoint, self._door)

    def _share(self, endpoint: DatagramEndpoint, door: SessionDoor) -> None:
        self._open[endpoint] = None
        for plugin, transport in self._transports:
            call_plugin(plugin, "attach", transport.attach, endpoint, door)
        for watcher, opened in self._watchers:
            _tell(watcher, opened, endpoint)

    def drop(self, endpoint: DatagramEndpoint) -> None:
        if self._open.pop(endpoint, self) is self:
            return
        for plugin, transport in self._transports:
            with contextlib.suppress(PluginError):  # told; the others are to be asked all the same
                call_plugin(plugin, "detach", transport.detach, endpoint)
        endpoint.close()

    def close(self) -> None:
        """Idempotent."""
        self._closed = True
        for endpoint in tuple(self._open):
            self.drop(endpoint)


def _tell(plugin: Tally | str, opened: Callable[[DatagramEndpoint], None], endpoint: DatagramEndpoint) -> None:
    """Raises `PluginConflictError`: two want the same first bytes."""
    try:
        call_plugin(plugin, "a new datagram endpoint", opened, endpoint)
    except PluginConflictError:
        raise
    except PluginError:  # told; a plugin that cannot use the socket keeps nobody else from it
        pass


class EndpointsOfPlugin:
    """The endpoints as one plugin has them: its mistakes are its own."""

    def __init__(self, endpoints: Endpoints, tally: Tally) -> None:
        self._endpoints = endpoints
        self._tally = tally
        self.towards = endpoints.towards
        self.adopt = endpoints.adopt
        self.drop = endpoints.drop

    def watch(self, opened: Callable[[DatagramEndpoint], None]) -> None:
        self._endpoints.watch(opened, self._tally)


if TYPE_CHECKING:
    _fits: type[DatagramEndpoints] = Endpoints
    _is_handed_out: type[DatagramEndpoints] = EndpointsOfPlugin
