"""The plugin object: which ports to map at which router, and whom to tell."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from peerkit.address import Address
from peerkit.address_space import is_public
from peerkit.capabilities import DIAGNOSIS, OWN_ADDRESSES, PORT_MAPPER, REACHABILITY, Finding, PortMapping
from peerkit.link import Gateway
from peerkit.plugin import PluginContext

from .findings import TOPIC, with_mappings, without_mappings
from .io.igd_mapper import IgdMapper
from .io.lease_keeper import LeaseKeeper
from .io.nat_pmp_mapper import NatPmpMapper
from .io.pcp_mapper import PcpMapper
from .mapping import Granted, Mapper, PortMapped, PortMappingLost, Wanted
from .settings import MappingSettings
from .wanted_ports import gateway_named, wanted_ports

SLEPT_S = 30.0  # a jump of the date against the clock (PROTOCOL: suspend)
LOOK_S = 10.0  # how often to look whether the gateway or our listeners changed


class NatUpnp:
    """The plugin object of one node."""

    def __init__(self, ctx: PluginContext[MappingSettings]) -> None:
        self._ctx = ctx
        self._own_addresses = ctx.require(OWN_ADDRESSES)
        self._keepers: dict[Gateway, LeaseKeeper] = {}
        self._offset_s = ctx.clock.wall() - ctx.clock.now()
        ctx.provide(DIAGNOSIS, self)
        ctx.provide(PORT_MAPPER, self)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._turn()
            now = self._ctx.clock.now()
            due = min((keeper.next_at for keeper in self._keepers.values()), default=now + LOOK_S)
            await asyncio.sleep(min(LOOK_S, max(0.1, due - now)))

    async def close(self) -> None:
        keepers, self._keepers = list(self._keepers.values()), {}
        async with asyncio.TaskGroup() as tasks:
            for keeper in keepers:
                tasks.create_task(keeper.close())

    def mappings(self) -> Sequence[PortMapping]:
        found = []
        for keeper in self._keepers.values():
            for wanted, lease in keeper.leases.items():
                external = replace(wanted.internal, host=lease.granted.host, port=lease.granted.port)
                found.append(
                    PortMapping(wanted.internal, external, keeper.protocol, keeper.gateway.host, lease.expires_at)
                )
        return found

    async def diagnose(self) -> Sequence[Finding]:
        if not self._keepers:
            text = "No port mapping is asked for: there is no router, or no listener that it could forward to."
            return [Finding(TOPIC, "info", text)]
        return [self._finding(keeper) for keeper in self._keepers.values()]

    def _finding(self, keeper: LeaseKeeper) -> Finding:
        router, details = keeper.gateway.host, keeper.summary()
        if not keeper.leases:
            return without_mappings(router, keeper.failures, details)
        externals = [mapping.external for mapping in self.mappings() if mapping.gateway == router]
        return with_mappings(router, keeper.protocol, externals, self._seen(), details)

    def _seen(self) -> set[str]:
        """Public IPv4 addresses at which peers see us."""
        reach = self._ctx.find(REACHABILITY)
        observed = [a for scheme in ("udp", "tcp") for a in reach.observed(scheme)] if reach is not None else []
        return {a.host for a in observed if ":" not in a.host and is_public(a.host)}

    async def _turn(self) -> None:
        offset_s = self._ctx.clock.wall() - self._ctx.clock.now()
        has_slept, self._offset_s = abs(offset_s - self._offset_s) > SLEPT_S, offset_s
        wanted = {gateway: wanted_ports(self._own_addresses.bound, gateway) for gateway in self._gateways()}
        for gateway in [gateway for gateway in self._keepers if not wanted.get(gateway)]:
            await self._keepers.pop(gateway).close()
            self._advertise()
        for gateway, ports in wanted.items():
            if ports and gateway not in self._keepers:
                self._keepers[gateway] = self._keeper(gateway)
        async with asyncio.TaskGroup() as tasks:
            for gateway, keeper in self._keepers.items():
                if has_slept:
                    keeper.renew_all()
                tasks.create_task(keeper.turn(wanted[gateway]))

    def _gateways(self) -> Sequence[Gateway]:
        return gateway_named(self._ctx.settings.gateway, self._ctx.network.default_gateways())

    def _keeper(self, gateway: Gateway) -> LeaseKeeper:
        ctx = self._ctx
        mappers: list[Mapper] = []
        for name in ctx.settings.protocols:
            if name == "pcp":
                mappers.append(PcpMapper(ctx.network, gateway, ctx.clock, ctx.rng))
            elif name == "nat_pmp" and ":" not in gateway.host:
                mappers.append(NatPmpMapper(ctx.network, gateway, ctx.clock))
            elif name == "upnp":
                mappers.append(IgdMapper(ctx.network, gateway, ctx.rng))
        return LeaseKeeper(gateway, mappers, ctx.settings, ctx.clock, self._changed)

    def _changed(self, wanted: Wanted, before: Granted | None, granted: Granted | None, reason: str) -> None:
        internal = str(wanted.internal)
        if granted is not None:
            external = _external(wanted.internal, granted)
            self._ctx.log.info("port mapped", internal=internal, external=external)
            self._ctx.emit(PortMapped(internal, external, wanted.internal.scheme))
        elif before is not None:
            external = _external(wanted.internal, before)
            self._ctx.log.info("port mapping lost", internal=internal, external=external, reason=reason)
            self._ctx.emit(PortMappingLost(internal, external, reason))
        self._advertise()

    def _advertise(self) -> None:
        """What strangers can reach goes into our record; a router's false address does not."""
        externals = [mapping.external for mapping in self.mappings() if is_public(mapping.external.host)]
        self._own_addresses.advertise(self._ctx.name, externals)


def _external(internal: Address, granted: Granted) -> str:
    return str(replace(internal, host=granted.host, port=granted.port))
