"""Mappings and IPv6 pinholes by UPnP IGD."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from peerkit.clock import Rng
from peerkit.errors import RemoteProtocolError
from peerkit.link import Gateway
from peerkit.network import Network

from .. import igd
from ..mapping import PERMANENT_S, TCP, UDP, Granted, Mapper, MappingFailed, Wanted
from ..xml_tree import Element
from .http_client import fetch
from .router_search import search

DESCRIPTION = "Peerkit"  # what the router's list of mappings shows
PORT_TRIES = 5
FIRST_PORT, LAST_PORT = 49_152, 65_535  # RFC 6335 §6
_NAMES = {UDP: "UDP", TCP: "TCP"}


class IgdMapper:
    """See `Mapper`.  Over IPv6 it opens pinholes in the router's firewall, since there is nothing to translate."""

    name = "upnp"

    def __init__(self, network: Network, gateway: Gateway, rng: Rng) -> None:
        self._network = network
        self._gateway = gateway
        self._rng = rng
        self._service: igd.Service | None = None

    async def probe(self) -> None:
        url = await search(self._network, self._gateway)
        status, body = await fetch(self._network, "GET", url, {})
        try:
            if status != 200:
                raise RemoteProtocolError(f"its description has HTTP status {status}")
            found = igd.services(body, url.host, f"http://{url.host_header}{url.path}")
        except RemoteProtocolError as exc:
            raise MappingFailed(f"the router's description is refused: {exc}") from exc
        wanted = (igd.FIREWALL_V6,) if ":" in self._gateway.host else igd.CONNECTIONS
        self._service = next((found[kind] for kind in wanted if kind in found), None)
        if self._service is None:
            raise MappingFailed("the router's description names no service for mappings")

    async def map(self, wanted: Wanted, before: Granted | None, lease_s: int) -> Granted:
        if wanted.ip_version == 6:
            return await self._map_pinhole(wanted, before, lease_s)
        host = (await self._act("GetExternalIPAddress", {})).find_text("NewExternalIPAddress")
        ports = [before.port if before else wanted.internal.port]
        ports += [self._rng.randrange(FIRST_PORT, LAST_PORT) for _ in range(PORT_TRIES)]
        refused: igd.ActionRefused | None = None
        for port in ports:
            try:
                return await self._add(wanted, host, port, lease_s)
            except igd.ActionRefused as exc:
                refused = exc
                if exc.error != igd.CONFLICT:
                    break
        raise MappingFailed(f"the router refuses: {refused}")

    async def unmap(self, wanted: Wanted, granted: Granted) -> None:
        if wanted.ip_version == 6:
            await self._act("DeletePinhole", {"UniqueID": granted.handle})
        else:
            await self._act("DeletePortMapping", self._entry(wanted, granted.port))

    async def is_kept(self, wanted: Wanted, granted: Granted) -> bool:
        """A pinhole cannot be asked for everywhere: to renew it tells as much, by whatever refusal (miniupnpd has
        another one than the standard)."""
        try:
            if wanted.ip_version == 6:
                lease_s = granted.lifetime_s
                await self._try("UpdatePinhole", {"UniqueID": granted.handle, "NewLeaseTime": lease_s})
                return True
            found = await self._try("GetSpecificPortMappingEntry", self._entry(wanted, granted.port))
            host = (await self._try("GetExternalIPAddress", {})).find_text("NewExternalIPAddress")
        except igd.ActionRefused as exc:
            if wanted.ip_version == 6 or exc.error == igd.NO_SUCH_ENTRY:
                return False
            raise MappingFailed(f"the router refuses: {exc}") from exc
        is_ours = found.find_text("NewInternalClient") == wanted.internal.host
        return is_ours and found.find_text("NewInternalPort") == str(wanted.internal.port) and host == granted.host

    def close(self) -> None: ...

    async def _add(self, wanted: Wanted, host: str, port: int, lease_s: int) -> Granted:
        """Raises `ActionRefused`, `MappingFailed`."""
        arguments = self._entry(wanted, port) | {
            "NewInternalPort": wanted.internal.port,
            "NewInternalClient": wanted.internal.host,
            "NewEnabled": 1,
            "NewPortMappingDescription": DESCRIPTION,
            "NewLeaseDuration": lease_s,
        }
        try:
            await self._try("AddPortMapping", arguments)
        except igd.ActionRefused as exc:
            if exc.error != igd.ONLY_PERMANENT:
                raise
            lease_s = PERMANENT_S  # IGD 1 allows only that on some routers
            await self._try("AddPortMapping", arguments | {"NewLeaseDuration": lease_s})
        return Granted(host, port, lease_s)

    async def _map_pinhole(self, wanted: Wanted, before: Granted | None, lease_s: int) -> Granted:
        try:
            if before is not None:
                await self._try("UpdatePinhole", {"UniqueID": before.handle, "NewLeaseTime": lease_s})
                return before
        except igd.ActionRefused:
            pass  # it is gone: make a new one
        arguments: dict[str, str | int] = {
            "RemoteHost": "",
            "RemotePort": 0,
            "InternalClient": wanted.internal.host,
            "InternalPort": wanted.internal.port,
            "Protocol": wanted.protocol,
            "LeaseTime": lease_s,
        }
        unique_id = (await self._act("AddPinhole", arguments)).find_text("UniqueID")
        if not unique_id.isdecimal() or len(unique_id) > 5:
            raise MappingFailed("the router gives a pinhole without its number")
        return Granted(wanted.internal.host, wanted.internal.port, lease_s, unique_id)

    def _entry(self, wanted: Wanted, port: int) -> dict[str, str | int]:
        return {"NewRemoteHost": "", "NewExternalPort": port, "NewProtocol": _NAMES[wanted.protocol]}

    async def _act(self, name: str, arguments: Mapping[str, str | int]) -> Element:
        try:
            return await self._try(name, arguments)
        except igd.ActionRefused as exc:
            raise MappingFailed(f"the router refuses: {exc}") from exc

    async def _try(self, name: str, arguments: Mapping[str, str | int]) -> Element:
        """Raises `ActionRefused`, `MappingFailed`."""
        if self._service is None:
            raise MappingFailed("the router was not found")
        headers, body = igd.action(self._service, name, arguments)
        status, data = await fetch(self._network, "POST", self._service.control, dict(headers), body)
        try:
            return igd.answer(name, status, data)
        except igd.ActionRefused:
            raise
        except RemoteProtocolError as exc:
            raise MappingFailed(str(exc)) from exc


if TYPE_CHECKING:
    _fits: type[Mapper] = IgdMapper
