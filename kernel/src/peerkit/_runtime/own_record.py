"""Our own peer record: where we can be reached and what we speak; made anew when that changes or half its life is over.

Addresses are what plugins found out (a port mapping, what peers observed, a relay), then what the listeners are bound
to; a wildcard stands for every address of the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..address import Address
from ..capabilities import OwnAddresses
from ..identity import Identity
from ..platform import Platform
from ..record import MAX_LIFE_S, PeerRecord
from ..security import Security


class OwnRecord:
    """See `peerkit.capabilities.OwnAddresses`.  Complete once `bind` has told what the plugins registered."""

    def __init__(self, identity: Identity, network_id: bytes, platform: Platform) -> None:
        self._identity = identity
        self._network_id = network_id
        self._platform = platform
        self._security: Security | None = None
        self._protocols: Mapping[str, str] = {}
        self._listening: tuple[Address, ...] = ()
        self._found: dict[str, tuple[Address, ...]] = {}  # by who found them
        self._is_reachable: bool | None = None
        self._record: PeerRecord | None = None
        self.sequence = 0  # of the last record, also across restarts
        self.on_change: Callable[[], None] = lambda: None

    def bind(self, security: Security, protocols: Mapping[str, str]) -> None:
        """Args:
        protocols: id → version of what we speak.
        """
        self._security = security
        self._protocols = dict(protocols)

    def speak(self, protocols: Mapping[str, str]) -> None:
        """What we speak has changed."""
        if protocols != self._protocols:
            self._protocols = dict(protocols)
            self._changed()

    def listen_on(self, addresses: Sequence[Address]) -> None:
        """Where the listeners are bound."""
        self._listening = tuple(addresses)
        self._record = None

    @property
    def bound(self) -> tuple[Address, ...]:
        return self._listening

    def advertise(self, source: str, addresses: Sequence[Address]) -> None:
        found = tuple(dict.fromkeys(address.without_peer() for address in addresses))
        if found != self._found.get(source, ()):
            self._found[source] = found
            self._changed()

    def judge(self, is_reachable: bool | None) -> None:
        if is_reachable != self._is_reachable:
            self._is_reachable = is_reachable
            self._changed()

    def _changed(self) -> None:
        """Make the record anew, if there was one, and tell."""
        had, self._record = self._record, None
        if had is not None:
            self()
            self.on_change()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where others can try to reach us, without the peer id."""
        expanded = dict.fromkeys(address for _, found in sorted(self._found.items()) for address in found)
        for address in self._listening:
            ip = address.ip
            if ip is None or not ip.is_unspecified:
                expanded[address] = None
                continue
            for host in self._hosts(ip.version):
                expanded[replace(address, host=host)] = None
        return tuple(expanded)

    def _hosts(self, version: int) -> list[str]:
        """Our own hosts of one family: loopback only when there is nothing else."""
        found = [h for h in self._platform.network.interface_addresses() if (":" in h) == (version == 6)]
        outside = [h for h in found if not _is_loopback(h)]
        return outside or found

    def __call__(self) -> PeerRecord:
        """The current record."""
        now = self._platform.clock.wall()
        record = self._record
        if record is None or now > record.issued_at + MAX_LIFE_S / 2 or now < record.issued_at - 60:
            self.sequence = max(self.sequence + 1, int(now * 1000))
            addresses = self.addresses
            had, self._record = (
                record,
                PeerRecord.make(
                    self._identity,
                    self._network_id,
                    self.sequence,
                    now,
                    addresses,
                    self._security.static_key(now) if self._security is not None else b"",
                    self._protocols,
                    is_client=self._is_reachable is False or not any(a.via is None for a in addresses),
                ),
            )
            record = self._record
            if had is not None:
                self.on_change()
        return record


def _is_loopback(host: str) -> bool:
    ip = Address("tcp", host, 0).ip
    return ip is not None and ip.is_loopback


if TYPE_CHECKING:
    _fits: type[OwnAddresses] = OwnRecord
