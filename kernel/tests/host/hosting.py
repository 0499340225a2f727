"""A host with plugins given as objects, on the simulated platform, without a node around it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peerkit._config.profile import resolve
from peerkit._host.plugin_host import PluginHost
from peerkit._host.registry import Extra, Registered
from peerkit._pool.address_book import AddressBook
from peerkit._pool.slots import SlotLimits
from peerkit._runtime.event_bus import EventBus
from peerkit._runtime.logging_setup import node_logger
from peerkit._runtime.pool import RuntimePool
from peerkit._runtime.services import Services
from peerkit._runtime.supervisor import Supervisor
from peerkit._runtime.trust_gate import TrustGate
from peerkit.capabilities import Capability
from peerkit.identity import Identity
from peerkit.plugin import AnyCapability, PluginContext, PluginSpec, Settings, hookimpl
from peerkit.record import PeerRecord
from peerkit.security import Aead, HandshakeParameters, PacketProtection, SecurityHandshake
from peerkit.testing import SimNetwork

AnySpec = PluginSpec[Any]
Context = PluginContext[Settings]


class Handshake:
    """A Security that offers everything and does nothing: the host only looks at its shape."""

    def __init__(self, name: str = "none") -> None:
        self.name = name

    def static_key(self, now_wall: float) -> bytes:
        return b""

    def handshake(self, parameters: HandshakeParameters) -> SecurityHandshake:
        raise NotImplementedError

    def protection(self, secret: bytes, aead: Aead) -> PacketProtection | None:
        return None


class SecurityPlugin:
    def __init__(self, ctx: Context) -> None:
        self._handshake = Handshake(ctx.name)

    @hookimpl
    def peerkit_register_wrappers(self) -> Sequence[Handshake]:
        return [self._handshake]


SECURITY: AnySpec = PluginSpec(Settings, SecurityPlugin)


def spec(
    factory: Callable[[Context], object],
    provides: Sequence[AnyCapability] = (),
    requires: Sequence[AnyCapability] = (),
    uses: Sequence[AnyCapability] = (),
) -> AnySpec:
    return PluginSpec(Settings, factory, provides, requires, uses)


def host_of(
    plugins: Mapping[str, AnySpec], node: Mapping[str, object] | None = None, secure: bool = True
) -> PluginHost:
    """A host of these plugins (and one that brings a security handshake) and of nothing installed."""
    given = {**({"security": SECURITY} if secure else {}), **plugins}
    return PluginHost(resolve({"node": dict(node or {})}), given, installed={})


@dataclass
class Loaded:
    host: PluginHost
    services: Services
    registered: Registered


def load(
    host: PluginHost,
    data_dir: Path = Path("/nowhere"),
    kernel: Mapping[str, object] | None = None,
    extras: Sequence[Extra] = (),
) -> Loaded:
    """Inside `peerkit.testing.run`."""
    platform = SimNetwork().platform()
    identity = Identity(bytes(32))
    log = node_logger(identity.peer_id)
    events = EventBus(platform.clock)
    supervisor = Supervisor(platform.clock, platform.rng, events, log)
    gate = TrustGate(platform.clock, events, default_allow=True)

    def own() -> PeerRecord:
        raise NotImplementedError

    pool = RuntimePool(SlotLimits(), AddressBook(own, lambda _: None), events)
    services = Services(identity, bytes(32), platform, data_dir, events, gate, supervisor, pool, log)
    return Loaded(host, services, host.load(services, kernel or {}, extras))


def token(name: str, many: bool = False) -> AnyCapability:
    return Capability(name, many)
