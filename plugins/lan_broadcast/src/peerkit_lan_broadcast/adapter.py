"""The plugin object: links, timers and events around `LanDiscovery`, which decides."""

import asyncio
from collections.abc import Sequence

from peerkit.address import Address
from peerkit.capabilities import DIAGNOSIS, NETWORK_KEY, OWN_ADDRESSES, Finding
from peerkit.discovery import Discovery
from peerkit.event import CandidatesFound, PeerConnected, PeerDisconnected
from peerkit.link import LinkDatagram, LinkEndpoint
from peerkit.plugin import PluginContext, hookimpl
from peerkit.record import PeerRecord

from .beacon import KEY_LABEL
from .discovery import LanDiscovery
from .settings import LanSettings

# Transient (RFC 4291 §2.7), link-local; the group id is of the dynamic range (RFC 3307 §4.3).
GROUP = "ff12::8065:6572"


class LanBroadcast:
    """The plugin object of one node."""

    def __init__(self, ctx: PluginContext[LanSettings]) -> None:
        self._ctx = ctx
        self._own_addresses = ctx.require(OWN_ADDRESSES)
        key = ctx.require(NETWORK_KEY).derive(KEY_LABEL)
        self._machine = LanDiscovery(key, ctx.settings, ctx.rng, ctx.clock.now())
        self._links: LinkEndpoint | None = None
        self._links_reached = 0  # by the last beacon
        self._wake = asyncio.Event()
        ctx.provide(DIAGNOSIS, self)

    @property
    def name(self) -> str:
        return self._ctx.name

    @hookimpl
    def peerkit_register_discoveries(self) -> Sequence[Discovery]:
        return [self]

    async def find_peers(self, count: int) -> Sequence[PeerRecord | Address]:
        return [*self._machine.take(count, self._ctx.clock.now(), self._is_known)]

    async def run(self) -> None:
        """Until cancelled."""
        settings = self._ctx.settings
        self._links = links = await self._ctx.network.open_links(settings.port, GROUP, self._on_datagram)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(PeerConnected))
                tasks.create_task(self._follow(PeerDisconnected))
                while True:
                    self._turn(links)
                    await self._sleep()
        finally:
            self._links = None
            links.close()

    async def diagnose(self) -> Sequence[Finding]:
        counters = self._machine.counters
        details = {
            "links": self._links_reached,
            "sent": counters.sent,
            "accepted": counters.accepted,
            "routed": counters.routed,
            "refused": counters.refused,
        }
        if self._links is None:
            text = f"UDP port {self._ctx.settings.port} cannot be opened: neighbours are not found."
            return [Finding("LAN", "problem", text, details)]
        if not counters.sent:
            text = "No listener can be announced to neighbours: we only hear them."
            return [Finding("LAN", "info", text, details)]
        if not self._links_reached:
            return [Finding("LAN", "warning", "No network interface took our last beacon.", details)]
        text = f"Beacons go out on {self._links_reached} links; {counters.accepted} of neighbours came in."
        return [Finding("LAN", "ok", text, details)]

    def _turn(self, links: LinkEndpoint) -> None:
        now, machine = self._ctx.clock.now(), self._machine
        machine.set_lonely(not self._ctx.pool.peers(), now)
        if links.refresh():
            self._ctx.log.info("links changed")
            machine.links_changed(now)
        machine.handle_timer(now)
        machine.listen_on(self._own_addresses.bound)
        to_send = machine.datagrams_to_send(self._ctx.clock.wall())
        if to_send:
            self._links_reached = sum(links.send(version, beacon) for version, beacon in to_send)

    async def _sleep(self) -> None:
        """Until the next beacon, the next look at the interfaces, or a change in the pool."""
        self._wake.clear()
        wait_s = min(self._machine.next_timer() - self._ctx.clock.now(), self._ctx.settings.watch_s)
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _follow(self, event_type: type[PeerConnected] | type[PeerDisconnected]) -> None:
        async for _ in self._ctx.subscribe(event_type):
            self._wake.set()

    def _on_datagram(self, datagram: LinkDatagram) -> None:
        self._machine.receive_datagram(datagram, self._ctx.clock.now(), self._ctx.clock.wall())
        while (event := self._machine.next_event()) is not None:
            self._ctx.log.debug("neighbour", address=str(event.address), interface=datagram.interface)
            self._ctx.emit(CandidatesFound(self._ctx.name, self._machine.candidates))

    def _is_known(self, address: Address) -> bool:
        """Whether a member is reached there, or says that it can be."""
        for peer in self._ctx.pool.peers():
            session = peer.session
            if session.remote.without_peer() == address:
                return True
            if session.record is not None and address in [a.without_peer() for a in session.record.addresses]:
                return True
        return False
