"""Keeps our mappings at one router: finds the protocol that works, renews, looks whether they are still there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from peerkit.clock import Clock
from peerkit.link import Gateway

from ..mapping import Granted, Lease, Mapper, MappingFailed, Wanted
from ..settings import MappingSettings

UNMAP_S = 3.0  # the node that stops does not wait longer for its router


class LeaseKeeper:
    """Args:
    mappers: preferred first.
    changed: told (wanted, granted or `None`, why) when a mapping came, moved or went.

    Attributes:
        leases: in force.
        failures: what each protocol said, by name; empty for those that work.
    """

    def __init__(
        self,
        gateway: Gateway,
        mappers: Sequence[Mapper],
        settings: MappingSettings,
        clock: Clock,
        changed: Callable[[Wanted, Granted | None, Granted | None, str], None],
    ) -> None:
        self.gateway = gateway
        self.leases: dict[Wanted, Lease] = {}
        self.failures: dict[str, str] = {}
        self._mappers = mappers
        self._settings = settings
        self._clock = clock
        self._changed = changed
        self._working: list[Mapper] = []
        self._check_at = 0.0
        self._probe_at = 0.0

    @property
    def protocol(self) -> str:
        """The one in use, or empty."""
        return self._working[0].name if self._working else ""

    @property
    def next_at(self) -> float:
        """When `turn` has something to do again."""
        if not self._working:
            return self._probe_at
        return min([self._check_at, *(lease.renew_at for lease in self.leases.values())])

    def renew_all(self) -> None:
        """The machine slept: no clock tells how old the leases are."""
        for lease in self.leases.values():
            lease.renew_at = self._clock.now()

    async def turn(self, wanted: Sequence[Wanted]) -> None:
        """Do what is due."""
        for gone in [one for one in self.leases if one not in wanted]:
            await self._drop(gone)
        if not self._working and wanted and self._clock.now() >= self._probe_at:
            await self._probe()
        if not self._working:
            return
        if self._clock.now() >= self._check_at:
            await self._check()
        for one in wanted:
            lease = self.leases.get(one)
            if lease is None or self._clock.now() >= lease.renew_at:
                await self._map(one, lease)
        if wanted and not self.leases:
            self._working = []
            self._probe_at = self._clock.now() + self._settings.retry_s

    async def close(self) -> None:
        """Remove our mappings."""
        try:
            async with asyncio.timeout(UNMAP_S), asyncio.TaskGroup() as tasks:
                for wanted in list(self.leases):
                    tasks.create_task(self._drop(wanted))
        except TimeoutError:
            pass  # they end with their leases
        for mapper in self._mappers:
            mapper.close()

    async def _probe(self) -> None:
        """All protocols side by side; those that answer are kept in the order of preference."""

        async def one(mapper: Mapper) -> bool:
            try:
                await mapper.probe()
            except MappingFailed as exc:
                self.failures[mapper.name] = str(exc)
                return False
            self.failures.pop(mapper.name, None)
            return True

        answers = await asyncio.gather(*(one(mapper) for mapper in self._mappers))
        self._working = [mapper for mapper, works in zip(self._mappers, answers, strict=True) if works]
        now = self._clock.now()
        self._check_at = now  # at once: a first look is what later ones are compared with
        if not self._working:
            self._probe_at = now + self._settings.retry_s

    async def _check(self) -> None:
        self._check_at = self._clock.now() + self._settings.check_s
        mapper = self._working[0]
        for wanted, lease in list(self.leases.items()):
            try:
                try:
                    is_kept = await mapper.is_kept(wanted, lease.granted)
                except MappingFailed:
                    await mapper.probe()  # a router that restarted may serve UPnP at another port
                    is_kept = await mapper.is_kept(wanted, lease.granted)
            except MappingFailed as exc:
                self.failures[mapper.name] = str(exc)
                return  # renewal will tell
            if not is_kept:
                self.renew_all()  # a router that forgot one forgot them all
                return

    async def _map(self, wanted: Wanted, lease: Lease | None) -> None:
        reason = ""
        for mapper in list(self._working[:1] if lease else self._working):
            try:
                granted = await mapper.map(wanted, lease.granted if lease else None, self._settings.lease_s)
            except MappingFailed as exc:
                reason = self.failures[mapper.name] = str(exc)
                continue
            self.failures.pop(mapper.name, None)
            if mapper is not self._working[0]:  # the others answer, but do not map
                self._working = [mapper]
            now = self._clock.now()
            self.leases[wanted] = Lease.begin(wanted, granted, self._settings.lease_s, now)
            if lease is None or (lease.granted.host, lease.granted.port) != (granted.host, granted.port):
                self._changed(wanted, lease.granted if lease else None, granted, "")
            return
        if lease is not None:
            if self._clock.now() >= lease.expires_at:
                del self.leases[wanted]
                self._changed(wanted, lease.granted, None, reason)
            else:
                lease.renewal_failed(self._clock.now())

    async def _drop(self, wanted: Wanted) -> None:
        lease = self.leases.pop(wanted)
        reason = "no longer wanted"
        if self._working:
            try:
                await self._working[0].unmap(wanted, lease.granted)
            except MappingFailed as exc:
                reason = str(exc)
        self._changed(wanted, lease.granted, None, reason)

    def summary(self) -> Mapping[str, object]:
        """For people and programs."""
        return {"gateway": self.gateway.host, "protocol": self.protocol, "failures": dict(self.failures)}
