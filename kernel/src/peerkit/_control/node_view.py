"""What the kernel's operations need of a node, so that they can be tested without one; only interfaces."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .._config.profile import Explanation
from .._host.plan import PluginStatus
from .._host.plugin_host import PluginUsage
from .._host.run_time_control import Change
from .._runtime.event_bus import EventBus
from .._runtime.routines import RoutineScheduler
from .._runtime.supervisor import Supervisor
from .._runtime.trust_gate import TrustGate
from ..address import Address
from ..capabilities import Finding
from ..clock import Clock
from ..identity import PeerId
from ..session import Pool
from .registry import OperationRegistry


class Host(Protocol):
    """What the plugin host tells."""

    def status(self) -> Sequence[PluginStatus]: ...
    def explain(self) -> Sequence[Explanation]: ...
    def usage(self) -> Mapping[str, PluginUsage]: ...
    async def diagnose(self) -> Sequence[tuple[str, Finding]]: ...


class Control(Protocol):
    """What changes plugins while the node runs."""

    async def enable(self, name: str) -> Change: ...
    async def disable(self, names: Sequence[str]) -> Sequence[Change]: ...
    async def restart(self, name: str, sets: Sequence[str] = ()) -> Change: ...


class NodeView(Protocol):
    """What the kernel's operations need of a node."""

    @property
    def peer_id(self) -> PeerId: ...
    @property
    def addresses(self) -> Sequence[Address]: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def network(self) -> str: ...
    @property
    def started_at(self) -> float: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def host(self) -> Host: ...
    @property
    def control(self) -> Control: ...
    @property
    def supervisor(self) -> Supervisor: ...
    @property
    def routines(self) -> RoutineScheduler: ...
    @property
    def events(self) -> EventBus: ...
    @property
    def gate(self) -> TrustGate: ...
    @property
    def operations(self) -> OperationRegistry: ...
